"""The wheel of this checkout, and environments that know nothing of it; skipped without a package index."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stranger import Stranger, built, why_no_index


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution of this checkout."""
    return built(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    """The wheel."""
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def index() -> None:
    """The package index that pip is configured with answers; else the test is skipped, with what pip said."""
    if (why := why_no_index()) is not None:
        pytest.skip(f"no package index can be reached: {why}")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory, wheel: Path, index: None) -> Iterator[Stranger]:
    """Somebody with the wheel alone, in an environment of their own; their fleets are taken down."""
    home = tmp_path_factory.mktemp("stranger")
    subprocess.run([sys.executable, "-m", "venv", str(home / "env")], check=True)
    made = Stranger(home)
    made.pip("install", "--quiet", str(wheel))
    yield made
    made("down", "--all", "--now")


@pytest.fixture(autouse=True)
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the shell that runs the tests reaches a stranger's fleets."""
    for name in [name for name in os.environ if name.startswith("STOKER_")]:
        monkeypatch.delenv(name)
