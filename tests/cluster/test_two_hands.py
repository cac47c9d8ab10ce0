"""Several hands at one fleet: two `up`s, kubectl beside them, a namespace that goes. kubectl judges."""

import json
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.cluster.conftest import Place
from tests.cluster.test_lifecycle import SCALING, container

NEVER = {"fake/fault": "NeverReady"}


def begin(place: Place, *argv: str) -> "subprocess.Popen[str]":
    """A command that goes on beside the test."""
    env = {**place.stoker.env, "KUBECONFIG": str(place.kubectl.config), "STOKER_OFFLINE": "1"}
    argv = (sys.executable, "-m", "stoker", *argv)
    return subprocess.Popen(
        argv, env=env, cwd=place.stoker.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until(found: Callable[[], object], process: "subprocess.Popen[str] | None" = None) -> None:
    deadline = time.monotonic() + 90
    while not found():
        assert time.monotonic() < deadline, "it did not come to that"
        assert process is None or process.poll() is None, process.communicate()[1] if process else ""
        time.sleep(0.2)


def holder(place: Place) -> str:
    return place.kubectl.run("get", "lease", "stoker-shop", "-o", "jsonpath={.spec.holderIdentity}").stdout


def waiting(place: Place) -> "subprocess.Popen[str]":
    """An `up` that has applied everything, and waits for a replica that is never ready."""
    place.write(annotations=NEVER)
    process = begin(place, "up")
    until(
        lambda: (
            holder(place) and place.kubectl.run("get", "deployment", "shop").returncode == 0 and place.pods()
        ),
        process,
    )
    return process


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, err = process.communicate(timeout=120)
    return process.returncode, err


def image(place: Place) -> str:
    live = place.kubectl.get("deployment", "shop")
    return str(live["spec"]["template"]["spec"]["containers"][0]["image"])


def test_two_ups_with_different_files_do_not_take_turns(place: Place) -> None:
    first = waiting(place)
    place.write(engine={"max-model-len": "8K"})
    before = place.kubectl.get("deployment", "shop")["metadata"]["generation"]
    ran = place("up", "--timeout", "60s")
    assert ran.code == 1, ran.err
    assert holder(place).partition("/")[0] in ran.err
    assert "max-model-len: 4K -> 8K" in ran.err
    assert "--take-over" in ran.err
    assert place.kubectl.get("deployment", "shop")["metadata"]["generation"] == before
    place.up("--take-over")
    code, err = ended(first)
    assert code == 1
    assert "has taken the fleet over" in err
    assert "8K" in container(place)
    assert holder(place) == ""


def test_a_killed_up_blocks_nobody_for_long(place: Place) -> None:
    first = waiting(place)
    first.kill()
    first.communicate()
    assert holder(place)
    place.write(engine={"max-model-len": "8K"})
    begun = time.monotonic()
    place.up()
    assert time.monotonic() - begun < 90
    assert "8K" in container(place)


def test_down_ends_an_up_that_waits(place: Place) -> None:
    first = waiting(place)
    place.ok("down")
    code, err = ended(first)
    assert code == 1, err
    assert "`down`" in err
    left = place.kubectl.get(
        "deployments,services,configmaps,leases", "-l", "app.kubernetes.io/managed-by=stoker"
    )
    assert [one["kind"] for one in left if not one["metadata"].get("deletionTimestamp")] == []


@pytest.mark.parametrize("what", ["namespace", "deployment"])
def test_what_kubectl_takes_away_is_not_made_anew(place: Place, what: str) -> None:
    first = waiting(place)
    name = place.kubectl.namespace if what == "namespace" else "shop"
    place.kubectl.ok("delete", what, name, "--wait=false")
    code, err = ended(first)
    assert code == 1, err
    assert "the fleet was taken away" in err
    if what == "namespace":
        until(lambda: place.kubectl.run("get", "namespace", name).returncode != 0)
    else:
        time.sleep(2)
        assert place.kubectl.run("get", "deployment", "shop").returncode != 0


def test_a_range_over_a_fleet_at_0(place: Place) -> None:
    inside = {"metrics": "stackdriver" if place.offer.platform == "gke" else "prometheus"}
    place.write(kubernetes=inside)
    place.up()
    place.ok("scale", "0")
    place.write(replicas="1..2", scaling=SCALING, kubernetes=inside)
    ran = place.up()
    assert "1 of 1 replicas ready" in ran.out
    assert place.kubectl.get("deployment", "shop")["spec"]["replicas"] >= 1


def test_a_rollback_keeps_the_count(place: Place) -> None:
    if place.offer.total < 2:
        pytest.skip("two GPUs are needed")
    place.up()
    place.write(engine={"max-model-len": "8K"})
    place.up()
    place.ok("scale", "2")
    place.ok("rollback")
    assert place.kubectl.get("deployment", "shop")["spec"]["replicas"] == 2
    assert "4K" in container(place)
    assert len(place.pods()) == 2


def test_each_verb_has_its_way_past_what_kubectl_has_set(place: Place) -> None:
    place.up()
    place.write(engine={"max-model-len": "8K"})
    place.up()
    mine = image(place)
    for verb in (("restart",), ("rollback",), ("scale", "1")):
        place.kubectl.ok("set", "image", "deployment/shop", "engine=acme/vllm:hotfix")
        ran = place(*verb)
        assert ran.code == 2, ran.err
        assert f"`stoker {verb[0]} --force-conflicts`" in ran.err
        assert image(place) == "acme/vllm:hotfix"
        place.ok(*verb, "--force-conflicts")
        assert image(place) == mine
    place.kubectl.ok("scale", "deployment", "shop", "--replicas=0")
    ran = place.ok("up", "--dry-run")
    assert "`up` will be refused" in ran.err
    place.ok("scale", "1")
    assert place.kubectl.get("deployment", "shop")["spec"]["replicas"] == 1


def test_nothing_is_applied_of_what_a_policy_refuses(place: Place, real: None) -> None:
    """In a namespace that is not there yet, too."""
    name = place.kubectl.namespace
    rule = {
        "apiGroups": ["apps", "policy"],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["deployments", "poddisruptionbudgets"],
    }
    place.kubectl.create(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [{"expression": "false", "message": "no fleets on Mondays"}],
            },
        }
    )
    try:
        where = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
        place.kubectl.create(
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingAdmissionPolicyBinding",
                "metadata": {"name": name},
                "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": where},
            }
        )
        time.sleep(10)  # a policy takes a moment to be in force
        ran = place("up", "--timeout", "30s")
        assert ran.code == 2, ran.err
        assert "2 objects are refused: Deployment/shop, PodDisruptionBudget/shop" in ran.err
        assert "no fleets on Mondays" in ran.err
        until(lambda: place.kubectl.run("get", "namespace", name).returncode != 0)
    finally:
        place.kubectl.run("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name)


def test_all_rights_are_asked_for_at_once(place: Place, real: None) -> None:
    from tests.cluster.conftest import as_user

    place.kubectl.space()
    look = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
    ran = place("up", KUBECONFIG=str(as_user(place, [look])))
    assert ran.code == 2
    (said,) = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    for one in ("deployments", "services", "configmaps", "networkpolicies", "create or patch"):
        assert one in said, json.dumps(said)
