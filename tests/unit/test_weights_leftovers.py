"""What copies that did not finish have left: shown, gone on with, and removed; never under a copy that
runs."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.hub import World, tiny_model

from stoker.cli.main import run
from stoker.errors import UsageError, WeightsFailed
from stoker.spec.nouns import Bucket
from stoker.system.files import locked
from stoker.weights import fetch
from stoker.weights.entries import entries, remove, remove_partial
from stoker.weights.leftovers import OLD_SECONDS, leftovers
from stoker.weights.remote import Interrupted, Remote
from stoker.weights.transfer import Partial, Range

Copy = Callable[[Partial, Remote, Range, Callable[[int], None]], None]

FOLDER, OTHER = Bucket("gs", "bucket", "folder"), Bucket("s3", "bucket", "folder")


def _half(
    self: Partial, remote: Remote, one: Range, told: Callable[[int], None], copy: Copy = Partial.copy
) -> None:
    """A copy whose source breaks off behind the first 3 MiB of each file."""
    if one[0] >= 3 << 20:
        raise Interrupted("the source broke off")
    copy(self, remote, one, told)


@pytest.fixture
def broken_off(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache in which a copy of FOLDER has stopped half way."""
    monkeypatch.setattr("stoker.weights.transfer.RANGE", 1 << 20)
    world.files = tiny_model(1_500_000)
    with monkeypatch.context() as once:
        once.setattr("stoker.weights.copy.TRIES", 1)
        once.setattr(Partial, "copy", _half)
        with pytest.raises(WeightsFailed):
            fetch(FOLDER, cache=tmp_path)
    assert leftovers(tmp_path)
    return tmp_path


def test_it_is_listed_with_its_source_and_what_it_takes_on_the_disk(broken_off: Path) -> None:
    (entry,) = entries(broken_off)
    assert (entry.source, entry.state) == (str(FOLDER), "partial")
    assert 0 < entry.size < 6_100_000
    assert time.time() - entry.at < 600


def test_a_copy_of_the_same_revision_goes_on_from_it(broken_off: Path, world: World) -> None:
    world.seen.clear()
    fetch(FOLDER, cache=broken_off)
    assert leftovers(broken_off) == ()
    assert [entry.state for entry in entries(broken_off)] == ["whole"]


def test_a_source_that_has_changed_leaves_nothing_of_what_it_was(broken_off: Path, world: World) -> None:
    world.files = tiny_model(1_400_000)
    fetch(FOLDER, cache=broken_off)
    assert not list(broken_off.glob(".partial/*"))


def test_another_sources_stays_until_it_is_old(broken_off: Path) -> None:
    fetch(OTHER, cache=broken_off)
    (left,) = leftovers(broken_off)
    assert left.source == str(FOLDER)
    for path in broken_off.glob(".partial/*"):
        os.utime(path, (0, time.time() - OLD_SECONDS - 60))
    fetch(OTHER, cache=broken_off)
    assert leftovers(broken_off) == ()


def test_what_a_copy_works_on_is_left_alone(broken_off: Path, world: World) -> None:
    (left,) = leftovers(broken_off)
    assert left.lock is not None
    for path in broken_off.glob(".partial/*"):
        os.utime(path, (0, 0))
    with locked(left.lock):
        fetch(OTHER, cache=broken_off)
        assert [entry.state for entry in entries(broken_off)] == ["copying", "whole"]
        assert remove_partial(broken_off) == ()
        with pytest.raises(UsageError, match="is being copied"):
            remove(broken_off, str(FOLDER))
        blobs = len(list(broken_off.glob("blobs/*")))
        remove(broken_off, str(OTHER))
        assert len(list(broken_off.glob("blobs/*"))) == blobs, "the copy that runs may be about to name them"
    assert leftovers(broken_off)


def test_models_list_shows_it_and_rm_removes_it(
    broken_off: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.setattr("stoker.system.paths.weights", lambda: broken_off)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert run(["models", "list"]) == 0
    assert "partial" in capsys.readouterr().out
    assert run(["models", "list", "-o", "json"]) == 0
    assert [one["state"] for one in json.loads(capsys.readouterr().out)] == ["partial"]
    assert run(["models", "rm", "--partial", "gs://bucket/another"]) == 0
    assert "nothing is left" in capsys.readouterr().out
    assert run(["models", "rm", str(FOLDER)]) == 0
    assert "left by a copy that did not finish" in capsys.readouterr().out
    assert not list(broken_off.glob(".partial/*"))
    assert run(["models", "rm", "--partial"]) == 0
    assert run(["models", "rm"]) == 2


def test_what_an_older_stoker_left_has_no_source_and_goes_all_the_same(tmp_path: Path) -> None:
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / f"{'a' * 64}-0123456789ab").write_bytes(b"x" * 5000)
    (tmp_path / ".partial" / f"{'a' * 64}-0123456789ab.ranges").write_text("0-5000\n")
    (tmp_path / ".partial" / "x").write_bytes(b"x")
    assert [(entry.source, entry.files) for entry in entries(tmp_path)] == [("an unknown source", 1)] * 2
    assert len(remove_partial(tmp_path)) == 2
    assert not list(tmp_path.glob(".partial/*"))
