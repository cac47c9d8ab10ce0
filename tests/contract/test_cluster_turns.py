"""Two hands at one fleet of a cluster: the second is told of the first, and what was taken away stays
away."""

import json
import signal
import subprocess

import pytest
from tests.support.user import SPEC, User, until

LEASE = ("Lease", "default", "stoker-shop")
NEVER = {**SPEC["kubernetes"], "annotations": {"fake/fault": "NeverReady"}}


def held(user: User) -> bool:
    return "holderIdentity" in user.cluster.store.objects.get(LEASE, {}).get("spec", {})


def waiting(user: User, *argv: str) -> "subprocess.Popen[str]":
    """An `up` that has applied everything, and waits for a replica that is never ready."""
    user.write(kubernetes=NEVER)
    process = user.begin("up", *argv)
    until(lambda: held(user) and {"Deployment/shop", "Rules/shop"} <= user.there(), process=process)
    return process


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """The exit code and what it said."""
    _, err = process.communicate(timeout=90)
    return process.returncode, err


def length(user: User) -> str:
    command = user.live("Deployment")["spec"]["template"]["spec"]["containers"][0]["command"]
    return str(command[command.index("--max-model-len") + 1])


def test_the_second_of_two_ups_names_the_first_and_what_differs(user: User) -> None:
    first = waiting(user)
    user.write(engine={"max-model-len": "8K"})
    before = len(user.writes())
    ran = user("up", "-y", "--timeout", "60s")
    assert ran.code == 1, ran.err
    assert "@" in ran.err
    assert "`up` is changing the fleet since" in ran.err
    assert "max-model-len: 4K -> 8K" in ran.err
    assert "`stoker up --take-over`" in ran.err
    assert length(user) == "4K"
    assert {one.partition("?")[0] for one in user.writes()[before:]} <= {
        f"PUT /apis/coordination.k8s.io/v1/namespaces/default/leases/{LEASE[2]}"
    }
    assert "is changing the fleet since" in user.ok("up", "--dry-run").err
    ran = user.ok("up", "--take-over")
    assert "taken over from" in ran.err
    code, err = ended(first)
    assert code == 1
    assert "`up` has taken the fleet over from this `up`" in err
    assert length(user) == "8K"
    assert not held(user)


def test_two_ups_of_one_file_are_one(user: User) -> None:
    user.write(kubernetes={**SPEC["kubernetes"], "annotations": {"fake/ready-seconds": "6"}})
    first, second = user.begin("up"), user.begin("up")
    assert (ended(first)[0], ended(second)[0]) == (0, 0)
    assert user.live("Deployment")["metadata"]["generation"] == 1


def test_other_verbs_during_an_up(user: User) -> None:
    user.ok("up")
    first = waiting(user)
    for argv in (("rollback",), ("scale", "2", "-f", "other.json"), ("restart", "-f", "other.json")):
        (user.stoker.home / "other.json").write_text((user.stoker.home / "stoker.yaml").read_text())
        ran = user(*argv)
        assert ran.code in (1, 2), ran.err
        if ran.code == 1:
            assert f"`stoker {argv[0]} --take-over`" in ran.err
    assert user("rollback").code == 1
    user.ok("rollback", "--take-over")
    code, err = ended(first)
    assert code == 1
    assert "`rollback` has taken the fleet over from this `up`" in err


def test_a_killed_up_is_in_nobodys_way_for_long(user: User) -> None:
    first = waiting(user)
    first.kill()
    first.communicate()
    user.write(engine={"max-model-len": "8K"})
    store = user.cluster.store
    with store.lock:
        live = store.objects[LEASE]
        assert 10 <= live["spec"]["leaseDurationSeconds"] <= 60
        old = {**live["spec"], "renewTime": "2026-01-01T00:00:00.000000Z"}
        store.put(LEASE, {**live, "spec": old}, "stoker")
    ran = user.ok("up")
    assert "taken over" not in ran.err
    assert length(user) == "8K"


def test_a_killed_up_is_found_out_by_its_silence(user: User) -> None:
    first = waiting(user)
    first.kill()
    first.communicate()
    user.write(engine={"max-model-len": "8K"})
    assert "1 of 1 replicas ready" in user.ok("up", "--timeout", "2m").out


def test_who_may_write_no_lease_claims_it_all_the_same(user: User) -> None:
    user.cluster.forbidden |= {(verb, "leases") for verb in ("get", "list", "create", "update")}
    user.write(kubernetes=NEVER)
    first = user.begin("up")
    until(lambda: {"Deployment/shop", "ConfigMap/stoker-shop"} <= user.there(), process=first)
    user.write(engine={"max-model-len": "8K"})
    ran = user("up", "--timeout", "60s")
    assert ran.code == 1, ran.err
    assert "is changing the fleet since" in ran.err
    user.ok("down")
    assert ended(first)[0] == 1
    assert {name for name in user.there() if not name.startswith("Persistent")} == set()


def test_down_ends_an_up_that_waits(user: User) -> None:
    first = waiting(user)
    ran = user.ok("down")
    assert "taken over from" in ran.err
    code, err = ended(first)
    assert code == 1
    assert "`down` has taken the fleet over from this `up`" in err
    assert {name for name in user.there() if not name.startswith("Persistent")} == set()


@pytest.mark.parametrize("gone", ["Namespace", "Deployment", "Service"])
def test_what_is_taken_away_is_not_made_anew(user: User, gone: str) -> None:
    user.write(kubernetes=NEVER)
    first = user.begin("up", "-n", "ml")
    store = user.cluster.store
    until(lambda: ("PodMonitoring", "ml", "shop") in store.objects, process=first)
    pods = store.list("Pod", "ml")
    until(lambda: bool(pods or store.list("Pod", "ml")), process=first)
    store.end(("Namespace", "", "ml") if gone == "Namespace" else (gone, "ml", "shop"))
    code, err = ended(first)
    assert code == 1, err
    assert "the fleet was taken away while this `up` was at work" in err
    assert ("the namespace ml" if gone == "Namespace" else f"{gone}/shop is gone") in err
    assert (
        "Namespace" if gone == "Namespace" else gone,
        "" if gone == "Namespace" else "ml",
        "ml" if gone == "Namespace" else "shop",
    ) not in store.objects


def test_an_interrupted_up_holds_nothing(user: User) -> None:
    first = waiting(user)
    first.send_signal(signal.SIGINT)
    assert ended(first)[0] == 130
    assert not held(user)
    first = waiting(user)
    first.terminate()
    assert ended(first)[0] == 130
    assert not held(user)
    user.write()
    user.ok("up")


def test_what_became_ready_by_itself_is_a_way_back(user: User) -> None:
    """Its `up` did not stay to see it."""
    user.write(kubernetes={**SPEC["kubernetes"], "annotations": {"fake/ready-seconds": "4"}})
    assert user("up", "--timeout", "2s").code == 4
    until(lambda: user.live("Deployment").get("status", {}).get("readyReplicas") == 1)
    user.write(engine={"max-model-len": "8K"}, kubernetes=NEVER)
    assert user("up", "--timeout", "3s").code == 4
    assert length(user) == "8K"
    user.ok("rollback")
    assert length(user) == "4K"
    kept = [json.dumps(one["data"]) for one in user.cluster.store.list("ControllerRevision")]
    assert len(kept) >= 1
