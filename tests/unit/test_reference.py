"""The generated pages are those that the code makes, and name what is there."""

from pathlib import Path

import pytest
import reference


@pytest.mark.parametrize("path", reference.pages(), ids=lambda path: path.name)
def test_the_page_is_as_generated(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == reference.pages()[path], "make docs"
