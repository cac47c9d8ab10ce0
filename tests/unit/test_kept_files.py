"""Files that must not be lost: written whole, checked when they are read, with the version before beside
them."""

import contextlib
import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.errors import StateBroken
from stoker.system.files import (
    is_locked,
    keep_json,
    kept_json,
    locked,
    newest_json,
    previous,
    read_json,
    read_secret,
    try_lock,
    write_secret,
)


def whole(raw: dict[str, Any]) -> dict[str, Any]:
    return raw


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def test_what_was_kept_comes_back_and_nothing_is_none(file: Path) -> None:
    assert kept_json(file, whole) is None
    keep_json(file, {"a": 1, "b": [1.5, "ü"]})
    assert kept_json(file, whole) == {"a": 1, "b": [1.5, "ü"]}
    assert file.stat().st_mode & 0o777 == 0o600


@given(st.data())
def test_whatever_is_cut_off_the_version_before_is_read(tmp_path_factory: Any, data: st.DataObject) -> None:
    file = tmp_path_factory.mktemp("kept") / "state.json"
    keep_json(file, {"n": 1})
    keep_json(file, {"n": 2})
    raw = file.read_bytes()
    file.write_bytes(raw[: data.draw(st.integers(0, len(raw) - 2))])
    assert kept_json(file, whole) == {"n": 1}


@given(st.data())
def test_one_byte_that_was_changed_is_noticed(tmp_path_factory: Any, data: st.DataObject) -> None:
    file = tmp_path_factory.mktemp("kept") / "state.json"
    value = {"name": "shop", "n": 12, "list": [1, 2, 3], "deep": {"a": None, "b": True}}
    keep_json(file, value)
    raw = bytearray(file.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(raw)
    found = value
    with contextlib.suppress(StateBroken):
        found = newest_json(file, whole) or {}  # white space may be another, or the checksum's own name
    assert {name: found[name] for name in value} == value


def test_a_broken_version_never_becomes_the_one_before(file: Path) -> None:
    keep_json(file, {"n": 1})
    keep_json(file, {"n": 2})
    file.write_text("{")
    keep_json(file, {"n": 3})
    file.write_text("{")
    assert kept_json(file, whole) == {"n": 1}


def test_what_a_reader_cannot_use_is_broken_too(file: Path) -> None:
    keep_json(file, {"other": 1})
    with pytest.raises(StateBroken, match="KeyError"):
        newest_json(file, lambda raw: raw["mine"])


def test_one_of_an_older_stoker_has_no_checksum(file: Path) -> None:
    file.write_text(json.dumps({"n": 1}))
    assert kept_json(file, whole) == {"n": 1}


def test_writes_that_fail_again_and_again_leave_what_was_there(file: Path, monkeypatch: Any) -> None:
    keep_json(file, {"n": 1})
    keep_json(file, {"n": 2})

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for _ in range(3):
        with monkeypatch.context() as patched:
            patched.setattr("stoker.system.files.os.replace", full, raising=True)
            with pytest.raises(OSError, match="No space"):
                keep_json(file, {"n": 3})
    assert kept_json(file, whole) == {"n": 2}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for _ in range(3):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                keep_json(file, {"n": 3})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert kept_json(file, whole) == {"n": 2}
    assert [
        one.name
        for one in file.parent.iterdir()
        if "older" in one.name or one.name.endswith(str(os.getpid()))
    ] == []


@pytest.mark.parametrize("kind", ["folder", "pipe", "list", "deep", "bytes", "huge"])
def test_what_is_no_such_file_is_said_and_never_waited_for(file: Path, kind: str, monkeypatch: Any) -> None:
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "huge":
        monkeypatch.setattr("stoker.system.files.LARGEST", 10)
        file.write_text(" " * 11)
    else:
        raw = {"list": b"[1]", "deep": b"[" * 3000, "bytes": b"\xff\xfe{"}
        file.write_bytes(raw[kind])
    with pytest.raises(StateBroken) as caught:
        kept_json(file, whole)
    assert caught.value.finding.at == str(file)


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "fleets").write_text("")
    with pytest.raises(StateBroken) as caught:
        read_json(tmp_path / "fleets" / "state.json")
    assert caught.value.finding.at == str(tmp_path / "fleets")
    assert f"move {tmp_path / 'fleets'} away" in caught.value.finding.fix
    with pytest.raises(StateBroken) as caught:
        try_lock(tmp_path / "fleets" / "lock")
    assert f"move {tmp_path / 'fleets'} away" in caught.value.finding.fix


def test_a_secret_is_read_from_its_second_copy(tmp_path: Path) -> None:
    file = tmp_path / "engine.key"
    assert read_secret(file) is None
    write_secret(file, "sesame")
    for one in (file, previous(file)):
        assert one.stat().st_mode & 0o777 == 0o600
    file.write_text("")
    assert read_secret(file) == "sesame"


def test_a_lock_is_seen_had_and_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    lock = tmp_path / "lock"
    assert not is_locked(lock)
    with locked(lock):
        assert is_locked(lock)
        with pytest.raises(StateBroken, match="another command"), locked(lock, seconds=0.05):
            pass
    assert not is_locked(lock)
