"""A verb's module is loaded quickly, and what was so before is so after."""

import gc
import os

import pytest

from stoker.cli.main import PLUGINS, _loaded


@pytest.mark.parametrize("before", [None, "one"])
def test_loading_leaves_collector_and_environment_as_they_were(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.delenv(PLUGINS, raising=False)
    if before:
        monkeypatch.setenv(PLUGINS, before)
    assert _loaded("stoker.cli.init").__name__ == "stoker.cli.init"
    assert (gc.isenabled(), os.environ.get(PLUGINS)) == (True, before)
    with pytest.raises(ModuleNotFoundError):
        _loaded("stoker.cli.nothing")
    assert (gc.isenabled(), os.environ.get(PLUGINS)) == (True, before)
    gc.unfreeze()
