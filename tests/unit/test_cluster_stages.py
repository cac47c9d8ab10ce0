"""The copy of the weights and its snapshot, as stages of an `up`."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stoker.errors import UsageError
from stoker.targets.kubernetes import stages
from stoker.targets.kubernetes.copying import Copying

LOGS = Path(__file__).resolve().parents[1] / "data/logs"
AT = "2026-11-02T10:00:00Z"
JOB: dict[str, Any] = {"metadata": {"name": "j", "creationTimestamp": AT}}
STATS = (
    '{"level":"notice","msg":"","stats":'
    '{"bytes":1073741824,"totalBytes":3221225472,"speed":104857600,"eta":20}}'
)
DENIED = '{"level":"error","msg":"googleapi: Error 403: shop does not have storage.objects.list access"}'


def pod(**state: Any) -> dict[str, Any]:
    containers = [{"name": "copy", "state": state}]
    return {
        "metadata": {"name": "p", "creationTimestamp": AT},
        "status": {"initContainerStatuses": containers},
    }


@pytest.mark.parametrize(
    ("state", "lines", "said"),
    [
        ({"running": {}}, ["not json", STATS, "{}"], "copying 1 GiB of 3 GiB, 100 MiB/s, 20 s left"),
        ({"running": {}}, [], "copying"),
        ({"waiting": {"reason": "ImagePullBackOff"}}, [], "the copy's container copy: ImagePullBackOff"),
        ({"waiting": {"reason": "PodInitializing"}}, [], "the copy starts"),
    ],
)
def test_a_copy_says_how_far_it_is(state: dict[str, Any], lines: list[str], said: str) -> None:
    (found,) = stages.copy([JOB], [pod(**state)], lambda *_: lines)
    assert (found.phase, found.detail.replace(".0 ", " ")) == ("Loading", said)


def test_a_copy_without_a_node_waits() -> None:
    waits = {"metadata": {"name": "p", "creationTimestamp": AT}, "spec": {}, "status": {}}
    (found,) = stages.copy([JOB], [waits], lambda *_: [])
    assert found.detail == "the copy waits for its disk and a node"


def test_a_copy_that_ended() -> None:
    done = {**JOB, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    failed = {**JOB, "status": {"conditions": [{"type": "Failed", "status": "True", "message": "backoff"}]}}
    assert [s.phase for s in stages.copy([done], [], lambda *_: [])] == ["Ready"]
    (found,) = stages.copy([failed], [pod(terminated={})], lambda *_: ["x", DENIED])
    assert found.phase == "Failed"
    assert "storage.objects.list" in (found.last_error or "")
    (found,) = stages.copy([failed], [], lambda *_: [])
    assert found.last_error == "backoff"
    assert stages.copy([], [], lambda *_: []) == ()


def recorded(name: str) -> list[str]:
    return (LOGS / f"rclone-1.60.1-{name}.jsonl").read_text().splitlines()


def test_what_rclone_really_writes() -> None:
    halfway = recorded("copy")[:-2]
    (found,) = stages.copy([JOB], [pod(running={})], lambda *_: halfway)
    assert found.detail == "copying 40.1 MiB of 57.2 MiB, 20.1 MiB/s"
    check = pod(running={})
    check["status"]["initContainerStatuses"][0]["name"] = "check"
    (found,) = stages.copy([JOB], [check], lambda *_: recorded("check-differs"))
    assert found.detail == "checking 2 of 2 files"
    failed = {**JOB, "status": {"conditions": [{"type": "Failed", "status": "True", "message": "backoff"}]}}
    (found,) = stages.copy([failed], [pod(terminated={})], lambda *_: recorded("check-differs"))
    assert found.last_error == "config.json: sizes differ"


def test_snapshots() -> None:
    one = {"metadata": {"creationTimestamp": AT}}
    assert stages.snapshots([]) == ()
    assert [s.phase for s in stages.snapshots([one])] == ["Loading"]
    assert [s.phase for s in stages.snapshots([{**one, "status": {"readyToUse": True}}])] == ["Ready"]
    (found,) = stages.snapshots([{**one, "status": {"error": {"message": "quota"}}}])
    assert (found.phase, found.last_error) == ("Failed", "quota")


def test_no_snapshot_before_the_disk_is_let_go() -> None:
    def attached(volume: str) -> Any:
        spec = {"nodeName": "n1", "source": {"persistentVolumeName": volume}}
        return {"spec": spec, "status": {"attached": True}}

    class Api:
        claim: Any = None
        found: Any = ()

        def get(self, *_: str) -> Any:
            return self.claim

        def list(self, *_: Any) -> Any:
            if isinstance(self.found, Exception):
                raise self.found
            return self.found

    def done(seconds_ago: float) -> Any:
        at = datetime.fromtimestamp(time.time() - seconds_ago, UTC).isoformat()
        return {"metadata": {"name": "shop-1-copy"}, "status": {"completionTime": at}}

    api = Api()
    copying = Copying(api, "shop", "default", "")  # type: ignore[arg-type]
    api.found = (attached("other"), {"spec": {"nodeName": "n2", "source": {"inlineVolumeSpec": {}}}})
    assert copying.unwritten(done(1)) == "", "nothing is bound"
    api.claim = {"spec": {"volumeName": "pv"}}
    assert copying.unwritten(done(1)) == ""
    api.found = (attached("pv"),)
    assert copying.unwritten(done(999)) == "the copy's disk is still attached to n1"
    api.found = UsageError("forbidden", rule="kube-forbidden")
    assert copying.unwritten(done(1)) == "the copy's disk is being unmounted"
    assert copying.unwritten(done(120)) == ""


def test_what_a_copy_said_outlives_its_pods() -> None:
    """A Job that gives up deletes its pods; between two tries it only says that it copies."""
    failed = {**JOB, "status": {"conditions": [{"type": "Failed", "status": "True", "message": "backoff"}]}}
    stuck, running = pod(waiting={"reason": "CrashLoopBackOff"}), pod(running={})
    looks = iter([(JOB, [stuck]), (JOB, [running]), (failed, [])])

    class Api:
        def visible(self, kind: str, *_: str) -> tuple[Any, ...]:
            if kind != "Job":
                return ()
            job, self.pods = next(looks)
            return (job,)

        def list(self, *_: str) -> tuple[Any, ...]:
            return tuple(self.pods)

        def log(self, *_: Any) -> tuple[str, ...]:
            return (DENIED,)

    copying = Copying(Api(), "shop", "default", "")  # type: ignore[arg-type]
    *_, (last,) = (copying.stages() for _ in range(3))
    assert last.phase == "Failed"
    assert "storage.objects.list" in (last.last_error or "")
