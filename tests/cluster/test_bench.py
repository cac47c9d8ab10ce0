"""A load test as a Job, with kubectl as the judge. What its pod says is the double's `fake/log`."""

import io
from pathlib import Path

import pytest

from stoker.bench import folder as runs
from stoker.bench.folder import RunFolder
from stoker.bench.parcel import packed
from stoker.traffic.measures import Window, summarize
from stoker.traffic.run import Run
from tests.cluster.conftest import Place

IMAGE = "registry.example/stoker:1"


@pytest.fixture
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a pod says that has measured: its progress, and its run."""
    where = tmp_path_factory.mktemp("pod") / "run"
    kept, said = RunFolder(where), io.StringIO()
    url = "http://shop:8000"
    found = Run("measured", url, "m", url, 1.0, {"users": "3"}, summarize([], Window(0, 9)))
    assert kept.close(found) is None
    said.write("  ...   bench       3s of 9s, 12 done, 3 running\n")
    said.writelines(f"{line}\n" for line in packed(where, 0))
    return said.getvalue()


def test_its_job_goes_when_it_is_done_with_and_its_result_is_here(place: Place, log: str) -> None:
    if place.real:
        pytest.skip("what a pod of a real cluster says is its own")
    place.write(annotations={"fake/log": log}, kubernetes={"image": IMAGE}, replicas=1)
    place.up()
    ran = place.ok("bench", "--in-cluster", "--users", "3", "--requests", "9", "--results", "kept")
    found = runs.load(Path(place.stoker.home) / "kept")
    assert (found.name, found.workload["users"]) == ("shop", "3")
    assert "stoker-run" not in ran.err + ran.out
    (job,) = place.kubectl.get("jobs", "-l", "app.kubernetes.io/component=bench")
    name, uid = job["metadata"]["name"], job["metadata"]["uid"]
    for kind in ("configmap", "networkpolicy"):
        (owner,) = place.kubectl.get(kind, name)["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("Job", uid)
    assert "nothing is wrong" in place.ok("why").out
    assert [one["name"] for one in place.ok("status", "-o", "json").json()["replicas"]] != [name]
    assert place.ok("up", "--dry-run").out == "nothing to do\n"
    assert name not in place.ok("logs").out, "its pod's log is none of the fleet's"
    place.ok("down")
    kinds = "jobs,configmaps,networkpolicies,pods"
    assert place.kubectl.get(kinds, "-l", "app.kubernetes.io/component=bench") == []
