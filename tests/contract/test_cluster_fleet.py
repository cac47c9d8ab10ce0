"""A fleet in a cluster, verb by verb, against the API-server double."""

import base64
import json
import subprocess
import sys
import time
from typing import Any

from tests.support.user import COPIED, SPEC, User


def test_up_twice_status_and_down(user: User) -> None:
    ran = user.ok("up")
    assert "1 of 1 replicas ready" in ran.out
    assert "endpoint  http://shop.default:8000/v1" in ran.out
    assert "Deployment/shop" in user.there()
    state = user.ok("status", "-o", "json").json()
    assert (state["target"], state["wanted"], [r["phase"] for r in state["replicas"]]) == (
        "kubernetes/default",
        1,
        ["Ready"],
    )
    assert state["replicas"][0]["ranks"][0]["host"].startswith("l4-")
    assert state["replicas"][0]["sample"]["running"] == 3.0, "what its own page says"
    assert user.ok("status").out.splitlines()[2].split()[4:6] == ["3", "0"]
    before = len(user.writes())
    user.ok("up")
    assert len(user.writes()) == before, "a second up does nothing"
    assert user.ok("up", "--dry-run").out == "nothing to do\n"
    user.ok("down")
    left = user.there()
    assert left == {name for name in left if name.startswith("Persistent")}
    assert left
    assert user("status").code == 2
    user.ok("up")
    user.ok("down", "--weights")
    assert user.there() == set()


def test_a_dry_run_is_the_difference_field_by_field(user: User) -> None:
    assert "create Deployment/shop" in user.ok("up", "--dry-run").out
    assert user.there() == set()
    user.ok("up")
    user.write(engine={"max-model-len": "8K"})
    out = user.ok("up", "--dry-run").out
    assert "update Deployment/shop\n" in out
    assert "spec.template.spec.containers[engine].command --max-model-len: 4K -> 8K" in out
    assert out.count("update") == 1


def test_a_change_rolls_out(user: User) -> None:
    user.write(replicas=2)
    user.ok("up")
    user.write(replicas=2, engine={"max-model-len": "8K"})
    user.ok("up")
    pods = [body for (kind, _, _), body in user.cluster.store.objects.items() if kind == "Pod"]
    assert len(pods) == 2
    assert all("8K" in pod["spec"]["containers"][0]["command"] for pod in pods)


def test_another_key_is_another_rollout_and_the_same_is_none(user: User) -> None:
    def carried() -> str:
        notes = user.live("Deployment")["spec"]["template"]["metadata"].get("annotations", {})
        return str(notes["stoker/key-id"])

    user.write(endpoint={"api_key": "env:SHOP_KEY"})
    user.ok("up", SHOP_KEY="first")
    first, before = carried(), len(user.writes())
    user.ok("up", SHOP_KEY="first")
    assert len(user.writes()) == before
    assert "first" not in json.dumps(user.live("Deployment"))
    user.ok("up", SHOP_KEY="second")
    assert carried() != first
    assert base64.b64decode(user.live("Secret", "shop-keys")["data"]["api-key"]) == b"second"
    second = carried()
    user.ok("scale", "2")  # where nobody knows the key, and nobody needs to
    user.ok("restart")
    assert carried() == second
    assert ("Secret", "default", "shop-keys") in user.cluster.store.objects
    user.cluster.store.delete(("Secret", "default", "shop-keys"))
    ran = user("restart", SHOP_KEY="second")
    assert ran.code == 2
    assert "the secret shop-keys is not in default, and the kept spec needs it" in ran.err


def test_a_spec_out_of_the_cluster_reads_nothing_of_this_machine(user: User) -> None:
    """Who may write to the namespace could name any file there."""
    user.write(endpoint={"api_key": "env:SHOP_KEY"})
    user.ok("up", SHOP_KEY="the-real-key")
    (user.stoker.home / "stoker.yaml").unlink()
    code = (
        "from stoker.operate.cluster import connect_cluster as c; t = c('shop').target; "
        "print(t._key(t.spec.endpoint.api_key))"
    )
    argv = [sys.executable, "-c", code]
    env = {**user.stoker.env, "KUBECONFIG": str(user.config), "SHOP_KEY": "of-this-machine"}
    ran = subprocess.run(argv, env=env, cwd=user.stoker.home, capture_output=True, text=True, check=False)
    assert ran.stdout == "the-real-key\n", ran.stderr
    user.ok("scale", "2", "--target", "kubernetes", "--name", "shop", SHOP_KEY="of-this-machine")
    assert base64.b64decode(user.live("Secret", "shop-keys")["data"]["api-key"]) == b"the-real-key"


def test_weights_are_copied_then_snapshot_then_claimed(user: User) -> None:
    (user.stoker.home / "gemma-ft" / "config.json").unlink()
    slow = {**COPIED, "annotations": {"fake/run-seconds": "1.5"}}
    user.write(model="gs://acme-models/gemma-ft", kubernetes=slow, engine={})
    store = user.cluster.store
    early: list[str] = []
    made: list[str] = []

    def watch(kind: str, body: dict[str, Any]) -> None:
        """What each object finds as it is made: the server holds its lock meanwhile."""
        if store.rehearsing:
            return
        if kind == "VolumeSnapshot" and kind not in made:
            jobs = [job.get("status", {}) for job in store.list("Job")]
            early.extend(f"{kind} before {status}" for status in jobs if not status.get("succeeded"))
            early.extend(f"{kind} while {one['metadata']['name']}" for one in store.list("VolumeAttachment"))
        if kind == "PersistentVolumeClaim" and "dataSource" in body["spec"]:
            taken = [one.get("status", {}).get("readyToUse") for one in store.list("VolumeSnapshot")]
            early.extend(f"the claim before {taken}" for _ in "1" if taken != [True])
        made.append(kind)

    store.admit.append(watch)
    user.ok("up", STOKER_OFFLINE="1")
    assert early == []
    assert {"Job", "VolumeSnapshot", "Deployment"} <= set(made)
    claims = sorted(name for kind, _, name in store.objects if kind == "PersistentVolumeClaim")
    assert len(claims) == 2
    user.ok("down")
    assert {name.partition("/")[0] for name in user.there()} >= {"PersistentVolumeClaim", "VolumeSnapshot"}


def test_a_copy_that_fails_is_said_and_tried_again(user: User) -> None:
    denied = '{"level":"error","msg":"googleapi: Error 403: shop does not have storage.objects.list access"}'
    broken = {"fake/start-seconds": "0.3", "fake/exit-code": "1", "fake/log": denied}
    model: dict[str, Any] = {"model": "gs://acme-models/gemma-ft", "engine": {}}
    user.write(kubernetes={**COPIED, "annotations": broken}, **model)
    begun = time.monotonic()
    ran = user("up", "--timeout", "60s", STOKER_OFFLINE="1")
    assert ran.code == 1, ran.err
    assert time.monotonic() - begun < 55, "nobody waits for what has given up"
    assert "the copy may not read the bucket" in ran.err
    assert "roles/storage.objectViewer" in ran.err
    user.write(kubernetes=COPIED, **model)
    assert "it failed before, and is tried again" in user.ok("up", "--dry-run", STOKER_OFFLINE="1").out
    assert "1 of 1 replicas ready" in user.ok("up", STOKER_OFFLINE="1").out


def test_fleets_of_one_name_in_two_namespaces(user: User) -> None:
    ladder = {**SPEC["kubernetes"], "capacity": ["on-demand", "spot"]}
    user.write(kubernetes=ladder)
    user.cluster.node("any", 8, "nvidia-l4")
    for node in user.cluster.store.list("Node"):
        node["metadata"]["labels"] |= {"cloud.google.com/compute-class": "a-shop"}
    user.ok("up", "-n", "a")
    for node in user.cluster.store.list("Node"):
        node["metadata"]["labels"] |= {"cloud.google.com/compute-class": "b-shop"}
    user.ok("up", "-n", "b")
    user.ok("down", "-n", "a", "--weights")
    left = {(kind, name) for kind, _, name in user.cluster.store.objects}
    assert ("ComputeClass", "b-shop") in left
    assert ("ComputeClass", "a-shop") not in left
    assert any(kind == "PersistentVolume" and name.startswith("b-shop") for kind, name in left)
    assert user.ok("up", "-n", "b", "--dry-run").out == "nothing to do\n"


def test_a_range_from_zero_is_refused_before_anything_is_applied(user: User) -> None:
    user.write(replicas="0..3", scaling={"metrics": {"queue-depth": 5}})
    ran = user("up")
    assert ran.code == 2
    assert "replicas: 0..3 goes to 0, and nothing would bring it back" in ran.err
    assert user.there() == set()


def test_scale_and_restart(user: User) -> None:
    user.ok("up")
    assert "3 of 3 replicas ready" in user.ok("scale", "3").out
    before = {name for kind, _, name in user.cluster.store.objects if kind == "Pod"}
    user.ok("restart")
    after = {name for kind, _, name in user.cluster.store.objects if kind == "Pod"}
    assert len(after) == 3
    assert not before & after


def test_a_rollback_goes_to_what_was_ready_weights_included(user: User) -> None:
    first, second = (
        {"weights": {"disk": f"projects/p/zones/us-east4-a/disks/{name}"}} for name in ("v1", "v2")
    )
    user.write(kubernetes=first)
    user.ok("up")
    claim = user.live("Deployment")["spec"]["template"]["spec"]["volumes"][3]
    assert user("rollback").code == 2, "there is nothing to go back to"
    user.write(kubernetes={**second, "annotations": {"fake/fault": "ImagePullBackOff"}})
    assert user("up", "--timeout", "2s").code == 4
    assert user.live("Deployment")["spec"]["template"]["spec"]["volumes"][3] != claim
    out = user.ok("rollback").out
    assert "1 of 1 replicas ready; the file still says otherwise" in out
    assert user.live("Deployment")["spec"]["template"]["spec"]["volumes"][3] == claim
    user.write(kubernetes=first, engine={"max-model-len": "8K"})
    user.ok("up")
    assert "8K" in user.live("Deployment")["spec"]["template"]["spec"]["containers"][0]["command"]
    user.ok("rollback", "--to", "1")
    assert "4K" in user.live("Deployment")["spec"]["template"]["spec"]["containers"][0]["command"]
    assert user("rollback", "--to", "9").code == 2


def test_a_range_is_the_hpas_to_move(user: User) -> None:
    user.write(replicas="2..3", scaling={"metrics": {"queue-depth": 5}})
    user.ok("up")
    assert user.live("HorizontalPodAutoscaler")["spec"]["maxReplicas"] == 3
    key = ("Deployment", "default", "shop")
    live = user.cluster.store.objects[key]
    user.cluster.store.put(key, {**live, "spec": {**live["spec"], "replicas": 3}}, "kube-controller-manager")
    user.ok("up")
    assert user.live("Deployment")["spec"]["replicas"] == 3, "up does not fight the HPA"
    ran = user("scale", "1")
    assert ran.code == 2
    assert "an HPA moves the replicas" in ran.err


def test_replicas_go_to_an_hpa_and_come_back_without_one_lost(user: User) -> None:
    user.write(replicas=3)
    user.ok("up")
    before = {pod["metadata"]["uid"] for pod in user.cluster.store.list("Pod")}
    user.write(replicas="1..5", scaling={"metrics": {"queue-depth": 5}})
    assert "spec.replicas" not in user.ok("up", "--dry-run").out
    user.ok("up")
    user.ok("up")
    assert user.live("Deployment")["spec"]["replicas"] == 3
    assert {pod["metadata"]["uid"] for pod in user.cluster.store.list("Pod")} == before
    key = ("Deployment", "default", "shop")
    live = user.cluster.store.objects[key]
    user.cluster.store.put(key, {**live, "spec": {**live["spec"], "replicas": 4}}, "kube-controller-manager")
    user.write(replicas=2)
    user.ok("up")
    assert user.live("Deployment")["spec"]["replicas"] == 2
    user.ok("scale", "1")
    assert user.live("Deployment")["spec"]["replicas"] == 1


def test_the_least_of_a_range_is_there_from_the_beginning(user: User) -> None:
    user.cluster.lives.autoscalers.moves = False
    user.write(replicas="2..3", scaling={"metrics": {"queue-depth": 5}})
    assert "2 of 2 replicas ready" in user.ok("up").out
    assert user.ok("up", "--dry-run").out == "nothing to do\n"


def test_scale_and_restart_keep_to_what_runs(user: User) -> None:
    user.ok("up")
    user.write(engine={"max-model-len": "8K"})
    assert "3 of 3 replicas ready" in user.ok("scale", "3").out
    assert "4K" in user.live("Deployment")["spec"]["template"]["spec"]["containers"][0]["command"], (
        "an edit is for `up`"
    )
    user.ok("restart")
    live = user.live("Deployment")["spec"]
    assert live["replicas"] == 3
    assert "4K" in live["template"]["spec"]["containers"][0]["command"]
    user.write(kubernetes={**SPEC["kubernetes"], "annotations": {"fake/fault": "ImagePullBackOff"}})
    assert user("up", "--timeout", "2s").code == 4
    user.write()
    ran = user("scale", "2")
    assert ran.code == 2
    assert "runs another spec than this one, which was never ready" in ran.err


def test_all_fleets_of_a_cluster(user: User) -> None:
    user.ok("up")
    user.write(name="other", endpoint={"port": 9000})
    user.ok("up", "-n", "ml")
    found = json.loads(user.ok("status", "-A", "-o", "json").out)
    assert [(one["name"], one["target"], one["endpoint"], one["model"]) for one in found] == [
        ("shop", "kubernetes/default", "http://shop.default:8000", "gemma-ft"),
        ("other", "kubernetes/ml", "http://other.ml:9000", "gemma-ft"),
    ]
    assert "other   kubernetes/ml   revision 1   1 of 1 ready" in user.ok("status", "-A", "-n", "ml").out
    assert "shop" not in user.ok("status", "-A", "-n", "ml").out
    (user.stoker.home / "stoker.yaml").unlink()
    assert "shop" in user.ok("status", "-A", "--target", "kubernetes").out
    assert "no fleet runs there" in user.ok("status", "-A").out, "this machine's"


def test_a_fleet_is_known_without_its_file(user: User) -> None:
    user.ok("up")
    (user.stoker.home / "stoker.yaml").unlink()
    far = ("--target", "kubernetes")
    assert "1 of 1 ready" in user.ok("status", *far).out
    assert "2 of 2 replicas ready" in user.ok("scale", "2", "--name", "shop", *far).out
    assert user("status", "--name", "nobody", *far).code == 2
    user.ok("down", *far)
    assert "no fleet is in default" in user("why", *far).err


def test_what_the_file_has_no_more_goes(user: User) -> None:
    user.write(replicas="1..3", scaling={"metrics": {"queue-depth": 5}})
    user.ok("up")
    user.write(kubernetes={**SPEC["kubernetes"], "network_policy": False})
    user.ok("up")
    assert not {name for name in user.there() if name.startswith(("Horizontal", "NetworkPolicy"))}


def test_keys_travel_in_a_secret_alone(user: User) -> None:
    user.write(endpoint={"api_key": "env:SHOP_KEY"})
    ran = user.ok("up", SHOP_KEY="s3cret-value")
    assert "s3cret-value" not in ran.out + ran.err
    assert user.live("Secret", "shop-keys")["data"] == {"api-key": "czNjcmV0LXZhbHVl"}
    pods = json.dumps(
        [body for (kind, _, _), body in user.cluster.store.objects.items() if kind in ("Pod", "Deployment")]
    )
    assert "s3cret-value" not in pods
    before = len(user.writes())
    user.ok("up", SHOP_KEY="s3cret-value")
    assert len(user.writes()) == before
    out = user.ok("up", "--dry-run", SHOP_KEY="another").out
    assert out.startswith(
        "update Secret/shop-keys\n  another key\nupdate Deployment/shop\n  spec.template.metadata"
    )
    assert "another" not in out.replace("another key", "")


def test_a_model_that_only_the_cluster_may_read(user: User) -> None:
    """The hub's token is the cluster's: from here the model is asked for without, or not at all."""
    hub = {**SPEC["kubernetes"], "weights": "hub"}
    user.write(model={"source": "hf://acme/gated", "token": "secret:hub/token"}, kubernetes=hub)
    user.ok("up", STOKER_OFFLINE="1")
    env = user.live("Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}} in env
