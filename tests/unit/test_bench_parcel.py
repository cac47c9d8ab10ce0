"""A run's directory goes through a pod's log and comes out whole, or it is said that it did not."""

import base64
import hashlib
import io
import random
import tarfile
from pathlib import Path

import pytest

from stoker.bench.parcel import LINE, MARK, Parcel, packed
from stoker.errors import EnvironmentFailed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sweep's: files in folders."""
    (tmp_path / "run" / "rate-5").mkdir(parents=True)
    (tmp_path / "run" / "sweep.json").write_text('{"level": 5}')
    (tmp_path / "run" / "rate-5" / "run.json").write_text("{}")
    rest = random.Random(0).randbytes(40_000)
    (tmp_path / "run" / "rate-5" / "records.jsonl").write_bytes(rest)
    return tmp_path / "run"


def read(lines: list[str]) -> Parcel:
    parcel = Parcel()
    for line in lines:
        assert parcel.feed(line)
    return parcel


def files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_everything_comes_out_as_it_was(folder: Path, tmp_path: Path) -> None:
    lines = list(packed(folder, 1))
    assert len(lines) > 10
    assert max(map(len, lines)) <= LINE + 30
    parcel = read(lines)
    parcel.unpack(tmp_path / "here")
    assert files(tmp_path / "here") == files(folder)
    assert (parcel.code, parcel.left) == (1, ())


def test_lines_may_come_again_late_and_between_others(folder: Path, tmp_path: Path) -> None:
    lines = list(packed(folder, 0))
    begin, *parts, end = lines
    random.Random(1).shuffle(parts)
    parcel = Parcel()
    for line in [begin, *parts, *parts[:3], end]:
        assert parcel.feed(f"{line}\r")
        assert not parcel.feed("  ...   bench       12s of 1m, 40 done")
    parcel.unpack(tmp_path / "here")
    assert files(tmp_path / "here") == files(folder)


@pytest.mark.parametrize("wrong", ["one is missing", "one is cut", "the beginning is missing"])
def test_what_did_not_come_whole_is_refused(folder: Path, tmp_path: Path, wrong: str) -> None:
    lines = list(packed(folder, 0))
    if wrong == "one is cut":
        lines[3] = lines[3][:-9]
    else:
        del lines[3 if wrong == "one is missing" else 0]
    with pytest.raises(EnvironmentFailed, match="did not come whole"):
        read(lines).unpack(tmp_path / "here")


def test_before_its_end_it_has_no_code(folder: Path) -> None:
    assert read(list(packed(folder, 0))[:-1]).code is None


def test_single_requests_stay_behind_before_figures_do(folder: Path, tmp_path: Path) -> None:
    lines = list(packed(folder, 0, most=4000))
    parcel = read(lines)
    assert parcel.left == ("records.jsonl",)
    parcel.unpack(tmp_path / "here")
    assert set(files(tmp_path / "here")) == {"sweep.json", "rate-5/run.json"}


def test_no_directory_is_no_file(tmp_path: Path) -> None:
    parcel = read(list(packed(tmp_path / "none", 2)))
    parcel.unpack(tmp_path / "here")
    assert not (tmp_path / "here").exists()
    assert parcel.code == 2


@pytest.mark.parametrize(
    ("name", "kind"), [("../out", tarfile.REGTYPE), ("/out", tarfile.REGTYPE), ("run.json", tarfile.SYMTYPE)]
)
def test_nothing_is_written_outside_the_directory(tmp_path: Path, name: str, kind: bytes) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    text = base64.b64encode(data.getvalue()).decode()
    lines = [
        f"{MARK} begin 1 {hashlib.sha256(text.encode()).hexdigest()}",
        f"{MARK} 0 {text}",
        f"{MARK} end 0 ",
    ]
    with pytest.raises(EnvironmentFailed):
        read(lines).unpack(tmp_path / "here")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("line", ["", "stoker-run", "stoker-run nonsense x", "a stoker-run begin 1 x"])
def test_other_lines_are_none_of_it(line: str) -> None:
    assert not Parcel().feed(line)
