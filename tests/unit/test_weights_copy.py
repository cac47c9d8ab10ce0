"""Copies from a hub and from buckets: whole or not there, resumed after a kill, checked, never a pickle."""

import os
from pathlib import Path

import pytest
from tests.support.hub import COMMIT, World

from stoker.errors import StokerError, UsageError, WeightsFailed
from stoker.events import Event, Progress
from stoker.spec.nouns import Bucket, Hub, ModelRef
from stoker.units import Bytes
from stoker.weights import fetch, peek, transfer
from stoker.weights.buckets import _failed
from stoker.weights.entries import entries, remove
from stoker.weights.remote import RemoteFile

HUB = Hub("org/repo")


def test_a_repository_is_copied_whole_and_the_second_time_not_at_all(world: World, tmp_path: Path) -> None:
    said: list[Event | Progress] = []
    folder = fetch(HUB, cache=tmp_path, report=said.append)
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.name != ".source"} == world.files
    assert any(isinstance(event, Event) and "copied and checked" in event.text for event in said)
    reads = world.reads
    assert fetch(HUB, cache=tmp_path) == folder
    assert world.reads == reads
    assert [entry.source for entry in entries(tmp_path)] == ["hf://org/repo"]


@pytest.mark.parametrize("source", [Bucket("s3", "bucket", "folder"), Bucket("gs", "bucket", "folder")])
def test_a_bucket_folder_is_copied(world: World, tmp_path: Path, source: Bucket) -> None:
    folder = fetch(source, cache=tmp_path)
    assert (folder / "model.safetensors").read_bytes() == world.files["model.safetensors"]


def test_reads_that_break_off_are_tried_again(world: World, tmp_path: Path) -> None:
    world.flaky = 4
    fetch(HUB, cache=tmp_path)


def test_content_that_is_not_as_promised_is_dropped(world: World, tmp_path: Path) -> None:
    world.lie = True
    with pytest.raises(WeightsFailed, match="sha256"):
        fetch(HUB, cache=tmp_path)
    assert not list(tmp_path.glob("hub/*/config.json"))
    assert not list(tmp_path.glob(".partial/*"))
    world.lie = False
    fetch(HUB, cache=tmp_path)


def test_a_torn_journal_and_a_short_partial_start_over(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "RANGE", 1024)
    file = RemoteFile("model.safetensors", Bytes(3000))
    partial = transfer.Partial(file, tmp_path / "blob")
    assert partial.missing() == [(0, 1024), (1024, 2048), (2048, 3000)]
    (tmp_path / "blob.ranges").write_text("0-1024\n1024-20")  # the last line was torn
    assert partial.missing() == [(1024, 2048), (2048, 3000)]
    with (tmp_path / "blob").open("wb") as data:
        data.truncate(10)
    assert len(partial.missing()) == 3


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, UsageError, "accept the licence"),
        (403, UsageError, "accept the licence"),
        (404, UsageError, "check the name"),
        (500, WeightsFailed, "again"),
    ],
)
def test_refusals_say_what_to_do(
    world: World, tmp_path: Path, status: int, kind: type[StokerError], said: str
) -> None:
    world.status = status
    with pytest.raises(kind) as caught:
        fetch(HUB, cache=tmp_path, token="hf_secret")
    assert said in str(caught.value)
    assert "hf_secret" not in str(caught.value)


def test_no_network_names_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(WeightsFailed, match=r"127\.0\.0\.1:1 does not answer"):
        fetch(HUB, cache=tmp_path)


def test_a_missing_bucket_is_a_mistake(world: World, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no bucket nobody"):
        fetch(Bucket("s3", "nobody", "folder"), cache=tmp_path)


def test_pickles_are_refused_and_never_read(world: World, tmp_path: Path) -> None:
    world.files = {"config.json": b"{}", "pytorch_model.bin": b"x" * 100, "modeling.py": b"import os"}
    with pytest.raises(UsageError, match="pickles"):
        fetch(HUB, cache=tmp_path)
    assert world.reads == 0


def test_code_is_not_copied(world: World, tmp_path: Path) -> None:
    world.files["modeling.py"] = b"import os"
    world.files["original/x.safetensors"] = b"x"
    folder = fetch(HUB, cache=tmp_path)
    assert not (folder / "modeling.py").exists()
    assert not any("original" in path for path, _, _ in world.seen if "/resolve/" in path)


def test_the_token_goes_to_the_hub(world: World, tmp_path: Path) -> None:
    fetch(HUB, cache=tmp_path, token="hf_secret")
    assert {authorization for _, _, authorization in world.seen} == {"Bearer hf_secret"}


def test_without_a_token_the_environments_is_used(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_ambient")
    fetch(HUB, cache=tmp_path)
    assert {authorization for _, _, authorization in world.seen} == {"Bearer hf_ambient"}


def test_no_room_is_said_before_a_byte_is_written(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "shutil.disk_usage", lambda _: os.statvfs_result([0] * 10) and type("D", (), {"free": 10})()
    )
    with pytest.raises(WeightsFailed, match="no room"):
        fetch(HUB, cache=tmp_path)
    assert world.reads == 0


def test_removing_a_model_frees_its_blobs(world: World, tmp_path: Path) -> None:
    fetch(HUB, cache=tmp_path)
    assert list(tmp_path.glob("blobs/*"))
    remove(tmp_path, "hf://org/repo")
    assert not list(tmp_path.glob("blobs/*"))
    assert entries(tmp_path) == ()


def test_a_whole_commit_needs_no_hub_the_second_time(world: World, tmp_path: Path) -> None:
    pinned = Hub("org/repo", COMMIT)
    folder = fetch(pinned, cache=tmp_path)
    world.status = 500
    assert fetch(pinned, cache=tmp_path) == folder


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        (
            "GET http://169.254.169.254/token in 839.404µs - Server returned non-2xx status code: 403 "
            "Forbidden",
            "bucket-denied",
        ),
        ("GET https://storage.googleapis.com/b in 1.403ms - connection refused", "bucket-network"),
        ("Server returned non-2xx status code: 404 Not Found", "bucket-missing"),
        ("Object at location x not found: NoSuchBucket", "bucket-missing"),
        ("Server returned non-2xx status code: 401", "bucket-denied"),
    ],
)
def test_why_a_bucket_cannot_be_read(said: str, rule: str) -> None:
    """Times in an error's text are no status codes."""
    assert _failed(Bucket("gs", "b", "m"), OSError(said)).finding.rule == rule


def test_nobody_is_asked_where_the_environment_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_OFFLINE", "1")
    for source in (Bucket("gs", "b", "m"), Hub("org/model", "main")):
        with pytest.raises(WeightsFailed, match="is not in the cache"):
            peek(ModelRef(source, "m"))
