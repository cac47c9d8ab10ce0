"""Changes that take nothing away before they can: weights first, all or nothing, the count kept, a way past
others' fields."""

import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest
from tests.support.cluster.kinds import BY_KIND
from tests.support.cluster.pods import is_ready
from tests.support.cluster.store import Refused
from tests.support.user import COPIED, User, until

BUCKET = "gs://acme-models/gemma-ft"
KEY = ("Deployment", "default", "shop")
SCALING = {"metrics": {"queue-depth": 5}}


def by_other(user: User, change: Callable[[Any], None], manager: str) -> None:
    """Somebody else changes the Deployment's spec."""
    store = user.cluster.store
    with store.lock:
        live = json.loads(json.dumps(store.objects[KEY]))
        change(live["spec"])
        store.put(KEY, live, manager)


def set_image(user: User, image: str = "acme/vllm:hotfix") -> None:
    """As `kubectl set image` does."""
    by_other(user, lambda spec: spec["template"]["spec"]["containers"][0].update(image=image), "kubectl-set")


def set_count(user: User, count: int) -> None:
    """As `kubectl scale` does."""
    by_other(user, lambda spec: spec.update(replicas=count), "kubectl")


def part(user: User) -> Any:
    return user.live("Deployment")["spec"]["template"]["spec"]


def claimed(user: User) -> str:
    return str(
        next(v for v in part(user)["volumes"] if "persistentVolumeClaim" in v)["persistentVolumeClaim"][
            "claimName"
        ]
    )


def ready(user: User) -> int:
    return sum(map(is_ready, user.cluster.store.list("Pod")))


def test_replicas_stay_until_the_new_weights_are_there(user: User) -> None:
    slow = {**COPIED, "annotations": {"fake/run-seconds": "3"}}
    (user.stoker.home / "gemma-ft" / "config.json").unlink()
    user.write(model=BUCKET, kubernetes=COPIED, engine={})
    user.ok("up", STOKER_OFFLINE="1")
    first, before = claimed(user), user.live("Deployment")["metadata"]["generation"]
    user.write(model=f"{BUCKET}-2", kubernetes=slow, engine={})
    out = user.ok("up", "--dry-run", STOKER_OFFLINE="1").out
    assert "update Deployment/shop\n" in out
    assert "later: its weights are not there yet" in out
    user.stoker.env["STOKER_OFFLINE"] = "1"
    process = user.begin("up")
    store = user.cluster.store
    until(lambda: len(store.list("Job")) == 2, process=process)
    while not any(
        one["metadata"]["name"] not in (first, f"{first}-copy") and "dataSource" in one["spec"]
        for one in store.list("PersistentVolumeClaim")
    ):
        live = user.live("Deployment")
        assert (claimed(user), live["metadata"]["generation"]) == (first, before)
        assert ready(user) == 1
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    assert process.wait(60) == 0
    process.communicate()
    assert claimed(user) != first
    user.ok("rollback")
    assert claimed(user) == first


def test_a_disk_that_is_still_being_made_is_waited_for(user: User) -> None:
    """Where a class makes it at once, rather than with the first pod."""
    (user.stoker.home / "gemma-ft" / "config.json").unlink()
    user.write(model=BUCKET, kubernetes=COPIED, engine={})
    user.ok("up", STOKER_OFFLINE="1")
    at_once = {"metadata": {"name": "fast"}, "provisioner": "x", "volumeBindingMode": "Immediate"}
    user.cluster.store.create(BY_KIND["StorageClass"], "", at_once)
    volumes, before = user.cluster.lives.volumes, claimed(user)
    bind = volumes.bind
    volumes.bind = lambda claim: None if "dataSource" in claim["spec"] else bind(claim)  # type: ignore[method-assign]
    user.write(model=f"{BUCKET}-2", kubernetes={**COPIED, "disk": {"storage_class": "fast"}}, engine={})
    user.stoker.env["STOKER_OFFLINE"] = "1"
    process = user.begin("up")
    claims = user.cluster.store.list
    until(
        lambda: sum("dataSource" in one["spec"] for one in claims("PersistentVolumeClaim")) == 2,
        process=process,
    )
    time.sleep(3)  # for looks that would have changed it
    assert (claimed(user), ready(user)) == (before, 1)
    volumes.bind = bind  # type: ignore[method-assign]
    assert process.wait(60) == 0
    process.communicate()
    assert claimed(user) != before


def test_a_rollback_keeps_the_count_and_never_drains_all(user: User) -> None:
    user.ok("up")
    user.write(engine={"max-model-len": "8K"})
    user.ok("up")
    user.ok("scale", "3")
    least, over = [3], Event()

    def watch() -> None:
        while not over.wait(0.01):
            least.append(ready(user))

    watcher = Thread(target=watch)
    watcher.start()
    out = user.ok("rollback").out
    over.set()
    watcher.join()
    assert "3 of 3 replicas ready" in out
    assert user.live("Deployment")["spec"]["replicas"] == 3
    assert "4K" in part(user)["containers"][0]["command"]
    assert min(least) >= 2, "one at a time"


def test_a_rollback_from_a_range_to_a_number_keeps_what_the_hpa_has_set(user: User) -> None:
    user.ok("up")
    user.write(replicas="1..3", scaling=SCALING, engine={"max-model-len": "8K"})
    user.ok("up")
    by_other(user, lambda spec: spec.update(replicas=2), "kube-controller-manager")
    user.ok("rollback")
    assert user.live("Deployment")["spec"]["replicas"] == 2
    assert "HorizontalPodAutoscaler/shop" not in user.there()


def test_a_range_over_a_fleet_at_0_is_taken_to_its_low_end(user: User) -> None:
    user.cluster.lives.autoscalers.moves = False  # a real HPA leaves a target at 0 alone
    user.ok("up")
    assert "0 of 0" in user.ok("scale", "0").out
    user.write(replicas="2..3", scaling=SCALING)
    assert "spec.replicas: 0 -> 2" in user.ok("up", "--dry-run").out
    assert "2 of 2 replicas ready" in user.ok("up").out
    assert user.ok("up", "--dry-run").out == "nothing to do\n"
    set_count(user, 0)
    assert "2 of 2 replicas ready" in user.ok("up").out


def test_nothing_is_applied_of_what_is_refused_in_part(user: User) -> None:
    def deny(kind: str, _: Any) -> None:
        if kind in ("Deployment", "PodMonitoring"):
            raise Refused(
                403, "Forbidden", f'admission webhook "policy.acme" denied the request: no {kind}s on Mondays'
            )

    user.cluster.store.admit.append(deny)
    for space in ("default", "fresh"):
        ran = user("up", "-n", space)
        assert ran.code == 2
        assert "2 objects are refused: Deployment/shop, PodMonitoring/shop" in ran.err
        assert "no Deployments on Mondays" in ran.err
        assert "no PodMonitorings on Mondays" in ran.err
        assert user.there() == set()
        until(lambda: ("Namespace", "", "fresh") not in user.cluster.store.objects)
    ran = user.ok("up", "--dry-run")
    assert ran.err.count("`up` will be refused") == 2
    user.cluster.store.admit.clear()
    user.ok("up")
    user.cluster.store.admit.append(deny)
    user.write(engine={"max-model-len": "8K"}, endpoint={"port": 9000})
    before = len(user.writes())
    assert user("up").code == 2
    assert len(user.writes()) == before, "a change neither"


def test_what_a_failed_first_up_has_made_is_named_and_known(user: User) -> None:
    """Refused in earnest alone, as by a quota that somebody else has used up since."""

    def deny(kind: str, _: Any) -> None:
        if kind == "Deployment" and not user.cluster.store.rehearsing:
            raise Refused(403, "Forbidden", 'deployments.apps "shop" is forbidden: exceeded quota: few')

    user.cluster.store.admit.append(deny)
    ran = user("up")
    assert ran.code == 2
    assert "Deployment/shop is not admitted" in ran.err
    assert "made in default before that: " in ran.err
    assert "Service/shop" in ran.err
    assert "`stoker down` takes away what was made" in ran.err
    (user.stoker.home / "stoker.yaml").unlink()
    far = ("--target", "kubernetes")
    out = user.ok("status", *far).out
    assert "0 of 1 ready" in out
    assert "Service/shop" in json.dumps(user.ok("status", *far, "-o", "json").json())
    user.ok("down", *far)
    assert {name for name in user.there() if not name.startswith("Persistent")} == set()
    assert user("status", "--name", "shop", *far).code == 2


@pytest.mark.parametrize("verb", [("restart",), ("scale", "2"), ("rollback",)])
def test_each_verb_has_its_own_way_past_fields_of_others(user: User, verb: tuple[str, ...]) -> None:
    user.ok("up")
    user.write(engine={"max-model-len": "8K"})
    user.ok("up")
    set_image(user)
    ran = user.ok("up", "--dry-run")
    assert "`up` will be refused" in ran.err
    assert 'conflict with "kubectl-set"' in ran.err
    ran = user(*verb)
    assert ran.code == 2
    assert f"`stoker {verb[0]} --force-conflicts`" in ran.err
    assert part(user)["containers"][0]["image"] == "acme/vllm:hotfix"
    user.ok(*verb, "--force-conflicts")
    assert part(user)["containers"][0]["image"] != "acme/vllm:hotfix"


def test_a_count_that_kubectl_has_set(user: User) -> None:
    user.ok("up")
    user.write(engine={"max-model-len": "8K"})
    user.ok("up")
    set_count(user, 2)
    assert "`up` will be refused" in user.ok("up", "--dry-run").err
    user.ok("restart")
    assert user.live("Deployment")["spec"]["replicas"] == 2
    user.ok("rollback")
    assert user.live("Deployment")["spec"]["replicas"] == 2
    set_count(user, 3)
    assert "1 of 1" in user.ok("scale", "1").out, "a number that is asked for"


def test_all_rights_that_are_missing_are_told_at_once(user: User) -> None:
    user.cluster.forbidden |= {
        ("create", "deployments"),
        ("patch", "deployments"),
        ("patch", "services"),
        ("get", "networkpolicies"),
        ("list", "pods"),
        ("create", "persistentvolumes"),
    }
    ran = user("up")
    assert ran.code == 2
    (said,) = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    for one in (
        "create or patch deployments",
        "patch services",
        "get networkpolicies",
        "list pods",
        "create persistentvolumes of the cluster",
    ):
        assert one in said
    assert user.there() == set()


def test_the_deadline_holds_for_the_checks_too(user: User) -> None:
    over = Event()

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            over.wait(60)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        config = user.cluster.kubeconfig().replace(user.cluster.url, f"http://127.0.0.1:{server.server_port}")
        user.config.write_text(config)
        ran = user("up", "--timeout", "5s")
        over.set()
        server.shutdown()
    assert ran.code == 4, ran.err
    assert "were not done after 5 s" in ran.err
