"""What goes wrong in a cluster, and what others forbid or refuse: said, explained, nothing half-applied."""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from tests.support.cluster.kinds import BY_KIND
from tests.support.user import SPEC, User


def test_keys_that_may_not_be_written_stop_it_before_anything_is_made(user: User) -> None:
    user.cluster.forbidden.add(("patch", "secrets"))
    user.write(endpoint={"api_key": "env:SHOP_KEY"})
    ran = user("up", SHOP_KEY="a-key")
    assert ran.code == 2
    assert "you may not patch secrets in default" in ran.err
    assert 'apiGroups: [""], resources: ["secrets"]' in ran.err
    assert user.there() == set()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("ImagePullBackOff", "ImagePullBackOff"),
        ("OOMKilled", "the host's memory ran out"),
        ("NeverReady", "has been Starting"),
    ],
)
def test_a_deadline_says_why(user: User, fault: str, said: str) -> None:
    user.write(kubernetes={**SPEC["kubernetes"], "annotations": {"fake/fault": fault}})
    ran = user("up", "--timeout", "10s")
    assert ran.code == 4
    assert said in ran.out + ran.err


def test_a_pod_without_a_gpu_says_so(user: User) -> None:
    user.write(replicas=4)
    ran = user("up", "--timeout", "10s")
    assert ran.code == 4
    assert "3 Insufficient nvidia.com/gpu" in ran.err
    assert "every GPU of that kind is taken" in ran.err
    (found,) = user.ok("why", "-o", "json").json()
    assert found["rule"] == "why-gpu-taken"
    out = user.ok("why").out
    assert "  cause  every GPU of that kind is taken\n" in out
    user.write(replicas=3)
    user.ok("up")
    assert "nothing is wrong, 3 of 3 replicas are ready" in user.ok("why").out


def test_an_hpa_without_metrics_is_explained_link_by_link(user: User) -> None:
    def rules() -> list[str]:
        return [one["rule"] for one in user.ok("why", "-o", "json").json()]

    user.write(replicas="1..3", scaling={"metrics": {"queue-depth": 5}})
    user.ok("up")
    out = user.ok("status").out
    assert "<unknown>/5 (avg)" in out
    assert "no figure reaches it: unable to get metric" in out
    assert rules() == ["why-hpa-no-figures"]
    for said, rule in (
        ("no custom metrics API (custom.metrics.k8s.io) registered", "why-hpa-adapter"),
        ("the server is currently unable to handle the request", "why-hpa-adapter-down"),
        ("Permission monitoring.timeSeries.list denied: 403", "why-hpa-rights"),
        ("the server could not find the metric vllm_num_requests_waiting for pods", "why-hpa-name"),
    ):
        user.cluster.lives.autoscalers.says = said
        deadline = time.monotonic() + 30
        while (found := rules()) != [rule]:
            assert time.monotonic() < deadline, found
    space = user.live("PodMonitoring")
    target = {"health": "down", "lastError": "context deadline exceeded"}
    failing = {"name": "http", "unhealthyTargets": 1, "sampleGroups": [{"sampleTargets": [target]}]}
    user.cluster.store.status(("PodMonitoring", "default", "shop"), endpointStatuses=[failing])
    assert rules() == ["why-hpa-scrape"], "the link nearest to the engine, without what follows from it"
    user.cluster.store.delete(("PodMonitoring", "default", "shop"))
    assert rules() == ["why-hpa-no-scrape"]
    assert space["spec"]["selector"]["matchLabels"]


def test_a_metric_that_the_engine_does_not_serve_and_a_target_it_never_reaches(user: User) -> None:
    notes = {"fake/metrics": "vllm:num_requests_waiting 0\n"}
    user.write(
        replicas="1..3",
        scaling={"metrics": {"batch-size": 300}},
        kubernetes={**SPEC["kubernetes"], "annotations": notes},
        engine={"max-model-len": "4K", "max-num-seqs": 64},
    )
    user.ok("up")
    found = user.ok("why", "-o", "json").json()
    assert [one["rule"] for one in found] == ["why-hpa-page", "why-hpa-unreachable"]
    assert found[0]["what"].endswith("the engine serves no metric vllm:num_requests_running")
    assert found[1]["what"].endswith("300 running a replica, and the engine runs 64 at once at most")


def test_missing_definitions_and_rights_are_found_before_anything_is_applied(user: User) -> None:
    user.cluster.absent.add("PodMonitoring")
    ran = user("up")
    assert ran.code == 2
    assert "has no PodMonitoring" in ran.err
    user.cluster.forbidden.add(("create", "deployments"))
    said = user("up").err
    assert "has no PodMonitoring" in said
    assert "you may not create deployments" in said, "all of it at once"
    user.cluster.absent.clear()
    ran = user("up")
    assert ran.code == 2
    assert "you may not create deployments in default" in ran.err
    assert 'apiGroups: ["apps"], resources: ["deployments"]' in ran.err
    assert user.there() == set()


def test_who_has_rights_in_one_namespace_alone(user: User) -> None:
    cluster_wide = ("nodes", "namespaces", "computeclasses", "storageclasses", "resourcequotas")
    strangers = ("roles", "rolebindings", "gateways", "leaderworkersets", "events")
    user.cluster.forbidden |= {("list", one) for one in (*cluster_wide, *strangers)} | {("get", "namespaces")}
    user.cluster.forbidden |= {("create", "controllerrevisions"), ("patch", "controllerrevisions")}
    namespace = {"kind": "Namespace", "metadata": {"name": "team"}}
    user.cluster.store.create(BY_KIND["Namespace"], "", namespace)
    ran = user.ok("up", "-n", "team")
    assert "1 of 1 replicas ready" in ran.out
    assert "no way back to this is kept: ControllerRevision/shop-1 is forbidden" in ran.err
    assert user.ok("up", "-n", "team", "--dry-run").out == "nothing to do\n"
    assert "nothing is wrong" in user.ok("why", "-n", "team").out
    user.ok("down", "-n", "team")
    assert ("Deployment", "team", "shop") not in user.cluster.store.objects


def test_what_only_warns_is_said_while_something_is_to_be_done(user: User) -> None:
    user.write(replicas="1..2", scaling={"metrics": {"queue-depth": 5}})
    assert "serves no custom metrics" in user.ok("up").err
    assert "serves no custom metrics" not in user.ok("up").err


def test_a_namespace_that_is_not_there_is_made(user: User) -> None:
    user.ok("up", "-n", "ml-serve")
    assert ("Deployment", "ml-serve", "shop") in user.cluster.store.objects
    user.ok("down", "-n", "ml-serve")


def test_logs_are_the_pods(user: User) -> None:
    user.write(kubernetes={**SPEC["kubernetes"], "annotations": {"fake/log": "one\ntwo"}})
    user.ok("up")
    assert [line.partition(" | ")[2] for line in user.ok("logs").out.splitlines()] == ["one", "two"]
    assert user("logs", "nobody").code == 2


def test_previous_logs_are_of_the_life_before_a_containers_restart(user: User) -> None:
    user.ok("up")
    ran = user("logs", "--previous")
    assert ran.code == 2
    assert "no earlier life" in ran.err
    user.ok("down")
    notes = {"fake/log": "new", "fake/previous-log": "old", "fake/fault": "CrashLoopBackOff"}
    user.write(kubernetes={**SPEC["kubernetes"], "annotations": notes})
    user("up", "--timeout", "4s")
    assert [line.partition(" | ")[2] for line in user.ok("logs", "-p").out.splitlines()] == ["old"]
    assert [line.partition(" | ")[2] for line in user.ok("logs").out.splitlines()] == ["new"]


def test_a_dry_run_as_json_holds_no_key(user: User) -> None:
    import base64

    user.write(endpoint={"api_key": "env:SHOP_KEY"})
    out = user.ok("up", "--dry-run", "-o", "json", SHOP_KEY="hush-hush").out
    assert "Secret/shop-keys" in out
    assert "hush-hush" not in out
    assert base64.b64encode(b"hush-hush").decode() not in out
    assert sorted(json.loads(out)["steps"][0]) == ["action", "needs", "subject", "why"]


def test_logs_as_json(user: User) -> None:
    user.write(kubernetes={**SPEC["kubernetes"], "annotations": {"fake/log": "one"}})
    user.ok("up")
    line = json.loads(user.ok("logs", "-o", "json").out)
    assert (line["source"].startswith("shop-"), line["text"]) == (True, "one")


def test_logs_that_may_not_be_read_and_logs_of_nobody(user: User) -> None:
    assert user("logs").code == 2, "no fleet is there"
    user.ok("up")
    user.cluster.forbidden.add(("get", "pods/log"))
    for follow in ((), ("-f",)):
        ran = user("logs", *follow)
        assert (ran.code, ran.out) == (2, "")
        assert "the log of shop-" in ran.err
        assert "is forbidden" in ran.err
        assert 'resources: ["pods/log"]' in ran.err
    assert user.ok("status").out, "who may not read logs may look all the same"


def test_all_is_not_taken_down_where_others_work(user: User) -> None:
    user.ok("up")
    for argv in (("-A",), ("-A", "--target", "kubernetes"), ("--now",)):
        ran = user("down", *argv)
        assert ran.code == 2, ran.out
    assert ("Deployment", "default", "shop") in user.cluster.store.objects
    ran = user("status", "-A", "-o", "csv")
    assert (ran.code, ran.out) == (2, "")
    assert user("down", "--target", "local", "--weights", "--name", "shop").code == 2


def test_a_broken_file_hides_nothing_and_changes_nothing(user: User) -> None:
    user.ok("up")
    (user.stoker.home / "stoker.yaml").write_text("name: [")
    for verb in (("scale", "2"), ("restart",), ("down",), ("rollback",)):
        ran = user(*verb)
        assert ran.code == 2
        assert "stoker.yaml:" in ran.err
    assert "no fleet runs" in user("status").err, "of this machine: whose the file was is not known"
    assert user.ok("status", "--target", "local", "-A").out == "no fleet runs there\n"


def test_several_kubeconfigs_are_one(user: User) -> None:
    user.ok("up")
    empty = user.stoker.home / "other"
    empty.write_text("apiVersion: v1\nkind: Config\ncontexts: []\nclusters: []\nusers: []\n")
    for both in (f"{empty}:{user.config}", f"{user.config}:{user.stoker.home / 'gone'}"):
        ran = user.stoker("status", KUBECONFIG=both)
        assert ran.code == 0, ran.err


def test_an_up_that_is_taken_up_again_tells_what_is_not_well(user: User) -> None:
    broken = {**SPEC["kubernetes"], "annotations": {"fake/fault": "ImagePullBackOff"}}
    user.write(kubernetes=broken)
    assert user("up", "--timeout", "12s").code == 4
    again = user("up", "--timeout", "10s")
    assert "Failed  Back-off pulling image" in again.err.partition("error:")[0]


def test_what_a_verb_led_to_is_told_as_json(user: User) -> None:
    user.ok("up")
    state = user.ok("scale", "2", "--timeout", "1m", "-o", "json").json()
    assert (state["wanted"], [one["phase"] for one in state["replicas"]]) == (2, ["Ready", "Ready"])
    assert len(user.ok("restart", "-o", "json").json()["replicas"]) == 2
    assert user.ok("down", "-o", "json").json() == ["shop"]


def test_logs_of_all_pods_are_followed_until_the_last_is_gone(user: User) -> None:
    import subprocess
    import sys

    user.write(replicas=2, kubernetes={**SPEC["kubernetes"], "annotations": {"fake/log": "one\ntwo"}})
    user.ok("up")
    env = {**user.stoker.env, "KUBECONFIG": str(user.config)}
    argv = [sys.executable, "-m", "stoker", "logs", "-f"]
    process = subprocess.Popen(argv, env=env, cwd=user.stoker.home, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    seen = [process.stdout.readline() for _ in range(4)]
    user.ok("scale", "3")
    seen += [process.stdout.readline() for _ in range(2)]
    user.ok("down")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == ""
    pods = {line.partition(" | ")[0].strip() for line in seen}
    assert len(pods) == 3, "the new pod's lines come too"
    assert sorted(line.partition(" | ")[2].strip() for line in seen) == ["one"] * 3 + ["two"] * 3


def test_an_admission_refusal_is_shown_as_it_is(user: User) -> None:
    from tests.support.cluster.store import Refused

    def deny(kind: str, _: Any) -> None:
        if kind == "Deployment":
            raise Refused(
                400, "BadRequest", 'admission webhook "policy.acme" denied the request: no GPUs on Mondays'
            )

    user.cluster.store.admit.append(deny)
    ran = user("up")
    assert ran.code == 2
    assert "Deployment/shop is not admitted" in ran.err
    assert 'admission webhook "policy.acme" denied the request: no GPUs on Mondays' in ran.err


def test_a_cluster_that_comes_back_is_resumed(user: User) -> None:
    failing = {"left": 2}

    def flaky(kind: str, _: Any) -> None:
        from tests.support.cluster.store import Refused

        if kind == "Service" and failing["left"]:
            failing["left"] -= 1
            raise Refused(503, "ServiceUnavailable", "etcd leader changed")

    user.cluster.store.admit.append(flaky)
    ran = user("up")
    assert ran.code == 0, "what is away for a moment is waited for"
    assert "away, tried again: etcd leader changed" in ran.err


@pytest.mark.parametrize(
    ("config", "code", "said"),
    [
        ("", 2, "no kubeconfig can be used"),
        ("apiVersion: v1\nkind: Config\n", 2, "it has no 'clusters'"),
        ("nonsense: [", 2, "no kubeconfig can be used"),
        (
            "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: c, "
            "user: u}}]\n"
            "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n",
            1,
            "does not answer",
        ),
    ],
)
def test_a_kubeconfig_that_leads_nowhere(user: User, config: str, code: int, said: str) -> None:
    user.config.write_text(config)
    begun = time.monotonic()
    ran = user("up", "--dry-run")
    assert ran.code == code, ran.err
    assert said in ran.err
    assert time.monotonic() - begun < 30


def test_something_that_is_no_api_server(user: User) -> None:
    statuses = iter([200, 404])

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(statuses))
            self.end_headers()
            self.wfile.write(b"<html>sign in</html>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        config = user.cluster.kubeconfig().replace(user.cluster.url, f"http://127.0.0.1:{server.server_port}")
        user.config.write_text(config)
        for _ in range(2):
            ran = user("up", "--dry-run")
            assert ran.code == 2
            assert "is no Kubernetes API server" in ran.err
        server.shutdown()


def test_a_context_that_is_not_there_and_credentials_that_are_not_taken(user: User) -> None:
    ran = user("up", "--set", "kubernetes.context=other")
    assert ran.code == 2
    assert "known: double" in ran.err
    user.cluster.token = "fresh"
    ran = user("up")
    assert ran.code == 2
    assert "does not take these credentials" in ran.err


def test_ctrl_c_stops_the_waiting_only(user: User) -> None:
    import signal

    user.write(kubernetes={**SPEC["kubernetes"], "annotations": {"fake/ready-seconds": "60"}})
    import os
    import subprocess
    import sys

    env = {**user.stoker.env, "KUBECONFIG": str(user.config)}
    process = subprocess.Popen(
        [sys.executable, "-m", "stoker", "up"],
        env=env,
        cwd=user.stoker.home,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while "Deployment/shop" not in user.there():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the fleet goes on" in err
    assert "Deployment/shop" in user.there()


def test_the_library_in_a_cluster(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    import stoker

    monkeypatch.setenv("KUBECONFIG", str(user.config))
    monkeypatch.setenv("STOKER_HOME", str(user.stoker.home))
    monkeypatch.chdir(user.stoker.home)
    spec = stoker.load((user.stoker.home / "stoker.yaml").read_text())
    with pytest.raises(stoker.NoSuchFleet):
        stoker.connect(spec)
    with stoker.up(spec) as fleet:
        assert fleet.url == "http://shop.default:8000"
        assert fleet.status().ready == 1
        assert fleet.scale(2).ready == 2
        with stoker.connect(spec) as again:
            assert again.status().ready == 2
        assert fleet.status().ready == 2, "who only connects leaves it as it is"
    with pytest.raises(stoker.NoSuchFleet):
        stoker.connect(spec)
