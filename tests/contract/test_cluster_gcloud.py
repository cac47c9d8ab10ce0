"""gcloud's steps are a part of `up`: shown, run after a yes, or only printed; done ones are not done
again."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import Stoker
from tests.support.cluster import Cluster
from tests.support.user import User

WHO = "principal://iam.googleapis.com/projects/4711/locations/global/workloadIdentityPools/acme.svc.id.goog/subject/ns/default/sa/shop"
# A project and its buckets, as far as Stoker asks: state in a file, every call in another.
GCLOUD = """#!{python}
import json, sys
from pathlib import Path
words, home = sys.argv[1:], Path({home!r})
with (home / "gcloud.calls").open("a") as calls:
    calls.write(" ".join(words) + "\\n")
file = home / "gcloud.json"
state = json.loads(file.read_text())
def role(words):
    named = dict(w[2:].split("=", 1) for w in words if w.startswith("--") and "=" in w)
    return dict(role=named["role"], members=[named["member"]])
if words[:2] == ["projects", "describe"]:
    print(state["number"])
elif words[:3] == ["storage", "buckets", "describe"]:
    print(state["uniform"])
elif words[:3] == ["storage", "buckets", "get-iam-policy"]:
    print(json.dumps(dict(bindings=state["bindings"])))
elif state.get("refuse"):
    sys.exit("ERROR: (gcloud.storage.buckets) " + state["refuse"])
elif words[:3] == ["storage", "buckets", "update"]:
    state["uniform"] = True
elif words[:3] == ["storage", "buckets", "add-iam-policy-binding"]:
    state["bindings"].append(role(words))
else:
    sys.exit(f"unknown: {{words}}")
file.write_text(json.dumps(state))
"""


@pytest.fixture
def user(stoker: Stoker) -> Iterator[User]:
    folder = stoker.home / "bin"
    folder.mkdir()
    (folder / "gcloud").write_text(GCLOUD.format(python=sys.executable, home=str(stoker.home)))
    (folder / "gcloud").chmod(0o755)
    (stoker.home / "gcloud.json").write_text(json.dumps({"number": "4711", "uniform": False, "bindings": []}))
    stoker.env |= {"PATH": f"{folder}:{os.environ['PATH']}", "STOKER_OFFLINE": "1"}
    with Cluster() as cluster:
        cluster.node("l4-0", 1, "nvidia-l4")
        made = User(stoker, cluster)
        made.write(
            model="gs://acme-models/gemma-ft", engine={}, kubernetes={"weights": "stream", "project": "acme"}
        )
        yield made


def changing(home: Path) -> list[str]:
    """The calls that changed something."""
    lines = (home / "gcloud.calls").read_text().splitlines()
    return [line for line in lines if " update " in line or " add-iam" in line]


def test_a_dry_run_shows_them_first(user: User) -> None:
    lines = user.ok("up", "--dry-run").out.splitlines()
    assert lines[0].startswith(
        "run gcloud storage buckets update gs://acme-models --uniform-bucket-level-access"
    )
    assert lines[1].startswith("run gcloud storage buckets add-iam-policy-binding gs://acme-models")
    assert WHO in lines[1]
    assert "--role=roles/storage.objectViewer" in lines[1]
    assert changing(user.stoker.home) == []
    assert user.there() == set()


def test_a_yes_runs_them_once(user: User) -> None:
    user.ok("up", "-y")
    assert len(changing(user.stoker.home)) == 3, "uniform access, a reader of objects and of the bucket"
    assert user.live("Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "shop", (
        "whom they grant"
    )
    user.ok("up")
    assert len(changing(user.stoker.home)) == 3, "what is done is not asked for again"
    assert user.ok("up", "--dry-run").out == "nothing to do\n"


def test_without_a_yes_nothing_is_run(user: User) -> None:
    ran = user.stoker("up", KUBECONFIG=str(user.config), stdin="")
    assert ran.code == 2
    assert "-y runs it, --no-gcloud goes on without" in ran.err
    assert user.there() == set()
    ran = user.ok("up", "--no-gcloud")
    assert (
        f"to be run by hand: gcloud storage buckets add-iam-policy-binding gs://acme-models --member={WHO}"
        in " ".join(ran.err.split())
    )
    assert changing(user.stoker.home) == []


def test_a_refusal_is_gclouds_own(user: User) -> None:
    state = {
        "number": "4711",
        "uniform": False,
        "bindings": [],
        "refuse": "HTTPError 403: you do not have storage.buckets.update",
    }
    (user.stoker.home / "gcloud.json").write_text(json.dumps(state))
    ran = user("up", "-y")
    assert ran.code == 2
    assert "HTTPError 403: you do not have storage.buckets.update" in ran.err
    assert user.there() == set(), "nothing was applied"


def test_a_quota_that_is_too_small_is_found_first(user: User) -> None:
    from tests.support.cluster.kinds import BY_KIND

    quota = {"metadata": {"name": "gpus"}, "spec": {"hard": {"requests.nvidia.com/gpu": "0"}}}
    user.cluster.store.create(BY_KIND["ResourceQuota"], "default", quota)
    ran = user("up", "--no-gcloud")
    assert ran.code == 3
    assert "the quota gpus of default leaves 0 GPUs, and the fleet needs 1" in ran.err
    assert "Deployment/shop" not in user.there()
