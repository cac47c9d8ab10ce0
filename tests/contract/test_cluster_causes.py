"""What keeps a fleet of a cluster from being there, or from being reached: each named with its fix, nothing
circular."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.cluster.kinds import BY_KIND
from tests.support.cluster.store import Refused
from tests.support.user import COPIED, SPEC, User

import stoker
from stoker.advise.why import why
from stoker.findings import Finding
from stoker.fleet.state import FleetState
from stoker.operate.cluster import ClusterFleet
from stoker.system import clock
from stoker.targets.kubernetes import copying, deletion, pods, volumes

KEY = ("Deployment", "default", "shop")


class Looked:
    """A fleet in the double, brought up and looked at in this process."""

    def __init__(self, user: User) -> None:
        self.user, self.store, self.lives = user, user.cluster.store, user.cluster.lives

    def spec(self) -> Any:
        return stoker.load((self.user.stoker.home / "stoker.yaml").read_text())

    def up(self, timeout: float = 60) -> None:
        stoker.up(self.spec(), timeout=timeout).close()

    def late(self, timeout: float = 6) -> str:
        """An `up` that does not get done, and what it said."""
        with pytest.raises(stoker.TimedOut) as raised:
            self.up(timeout)
        return f"{raised.value.finding}"

    def state(self) -> FleetState:
        with ClusterFleet(self.spec()) as fleet:
            return fleet.status()

    def why(self) -> tuple[Finding, ...]:
        return why(self.state(), clock.now())

    def rules(self) -> list[str]:
        return [one.rule for one in self.why()]

    def until(self, found: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not found():
            assert time.monotonic() < deadline, self.why()
            time.sleep(0.05)

    def change(self, key: tuple[str, str, str], **parts: Any) -> None:
        live = self.store.objects[key]
        self.store.put(
            key, {**live, **{name: {**live.get(name, {}), **part} for name, part in parts.items()}}
        )


@pytest.fixture
def looked(user: User, monkeypatch: pytest.MonkeyPatch) -> Looked:
    monkeypatch.setenv("KUBECONFIG", str(user.config))
    monkeypatch.setenv("STOKER_HOME", str(user.stoker.home))
    monkeypatch.chdir(user.stoker.home)
    for module in (pods, volumes):
        for name in ("UNATTENDED_SECONDS", "UNMADE_SECONDS"):
            monkeypatch.setattr(module, name, 0.5, raising=False)
    return Looked(user)


def refuse(kind: str, message: str, code: int = 403) -> Callable[[str, Any], None]:
    def rule(what: str, _: Any) -> None:
        if what == kind:
            raise Refused(code, "Forbidden", message)

    return rule


def test_a_pod_that_is_refused_and_then_let_in(looked: Looked) -> None:
    looked.store.admit.append(
        refuse("Pod", 'pods "shop-1" is forbidden: no PriorityClass with name serving was found')
    )
    assert "the priority class serving is not there" in looked.late()
    (found,) = looked.why()
    assert (found.rule, found.at) == ("why-priority-class", "Deployment/shop"), "by its own condition"
    looked.user.cluster.forbidden.add(("list", "events"))
    (found,) = looked.why()
    assert (found.rule, found.at) == ("why-priority-class", "Deployment/shop")
    looked.user.cluster.forbidden.clear()
    looked.store.admit.clear()
    looked.until(lambda: looked.state().ready == 1)
    assert looked.rules() == []
    looked.change(KEY, spec={"replicas": 4})
    looked.until(lambda: looked.rules() == ["why-gpu-taken"], 60)


def test_a_refused_pod_of_the_copy_and_a_copy_that_is_held(
    looked: Looked, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked.user.write(model="gs://acme-models/gemma-ft", hardware="l4:1", kubernetes=COPIED)
    looked.store.admit.append(
        refuse(
            "Pod",
            "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'team' with binding 'all' denied request: "
            "label it",
        )
    )
    monkeypatch.setenv("STOKER_OFFLINE", "1")
    assert "the admission policy team refuses the pods: label it" in looked.late()
    assert "why-policy-denied" in looked.rules()
    looked.store.admit.clear()
    (job,) = [key for key in looked.store.objects if key[0] == "Job"]
    for pod in [key for key in looked.store.objects if key[0] == "Pod"]:
        looked.store.delete(pod)
    looked.change(job, spec={"suspend": True})
    assert "why-suspended" in looked.rules()


def test_limits_of_cores_where_the_namespace_asks_for_them(looked: Looked) -> None:
    def counted(kind: str, body: Any) -> None:
        lacking = (
            [one["name"] for one in body["spec"]["containers"] if "cpu" not in one["resources"]["limits"]]
            if kind == "Pod"
            else []
        )
        if lacking:
            raise Refused(
                403,
                "Forbidden",
                f'pods "x" is forbidden: failed quota: cores: must specify limits.cpu for: {lacking[0]}',
            )

    looked.store.admit.append(counted)
    assert "the namespace's quota cores wants limits.cpu in every container" in looked.late()
    assert "cpu_limit" in looked.why()[0].fix, "for who may not list the quotas"
    looked.store.create(
        BY_KIND["ResourceQuota"],
        "default",
        {"metadata": {"name": "cores"}, "spec": {"hard": {"limits.cpu": "64"}}},
    )
    looked.up()
    assert looked.rules() == []
    version = looked.store.objects[KEY]["metadata"]["resourceVersion"]
    looked.up()
    assert looked.store.objects[KEY]["metadata"]["resourceVersion"] == version, (
        "the same again changes nothing"
    )


def test_a_disk_that_nobody_makes_ends_the_copy(looked: Looked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_OFFLINE", "1")
    monkeypatch.setattr(copying, "DISK_SECONDS", 1.0)
    looked.user.write(model="gs://acme-models/gemma-ft", hardware="l4:1", kubernetes=COPIED)
    looked.lives.volumes.drivers = False
    with pytest.raises(stoker.EnvironmentFailed) as raised:
        looked.up(60)
    found = raised.value.finding
    assert found.rule == "why-no-driver"
    assert "pd.csi.storage.gke.io" in found.what
    assert "copy_class" in found.fix
    assert "why-no-driver" in looked.rules()
    state = looked.state()
    assert state.service("weights") is not None
    looked.lives.volumes.drivers = True
    looked.up()
    assert [one.phase for one in looked.state().services] == ["Ready"] * 3
    assert [one.role for one in looked.state().services] == ["weights", "snapshot", "claim"]
    assert looked.rules() == []


def test_nodes(looked: Looked) -> None:
    looked.user.write(hardware="l4:4")
    assert "4 nvidia.com/gpu asked for, 1 on the largest" in looked.late()
    assert looked.rules() == ["why-too-large"]
    looked.user.cluster.forbidden.add(("list", "nodes"))
    assert looked.rules() == ["why-too-large"], "the scheduler says so, too"
    looked.user.cluster.forbidden.clear()
    looked.user.write(hardware="h100-80gb:1")
    said = looked.late()
    assert "cloud.google.com/gke-accelerator=nvidia-h100-80gb; there are: nvidia-l4 (3)" in said
    assert looked.rules() == ["why-no-accelerator"]
    looked.user.write(replicas=2)
    nodes = [("Node", "", f"l4-{number}") for number in range(3)]
    for key in nodes:
        looked.change(key, spec={"unschedulable": True})
    looked.until(lambda: looked.late(3) and looked.rules() == ["why-cordoned"])
    for key in nodes[1:]:
        looked.change(key, spec={"unschedulable": False})
        dead = [{"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}]
        looked.store.status(key, conditions=dead)
        looked.change(
            key, spec={"taints": [{"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}]}
        )
    looked.until(lambda: looked.rules() == ["why-cordoned", "why-nodes-not-ready"])
    looked.change(nodes[0], spec={"unschedulable": False})
    looked.until(lambda: looked.rules() == ["why-gpu-taken", "why-nodes-out"])


def test_a_rollout_that_is_paused(looked: Looked) -> None:
    looked.up()
    looked.change(KEY, spec={"paused": True})
    (found,) = looked.why()
    assert (found.rule, found.severity) == ("why-paused", "warning")


def test_a_service_that_somebody_deleted_or_turned_away(looked: Looked) -> None:
    looked.up()
    looked.change(("Service", "default", "shop"), spec={"selector": {"app": "other"}})
    (found,) = looked.why()
    assert found.rule == "why-service-gone"
    assert "picks app=other" in found.what
    looked.store.delete(("Service", "default", "shop"))
    (found,) = looked.why()
    assert found.rule == "why-service-gone"
    assert "there is no Service shop" in found.what
    looked.up()
    assert looked.rules() == []


def test_a_route_without_a_controller_is_not_served(looked: Looked) -> None:
    looked.lives.gateways.run = False
    looked.user.write(
        kubernetes={**SPEC["kubernetes"], "routing": "gateway-api", "gateway": {"proxies": ["10.129.0.0/23"]}}
    )
    said = looked.late(12)
    assert "no controller has accepted it" in said
    assert "why-no-route" in looked.rules()
    route = looked.state().service("route")
    assert route is not None
    assert route.phase == "Starting"
    looked.lives.gateways.run = True
    looked.up()
    assert looked.rules() == []


@pytest.mark.parametrize("kind", ["Service", "Deployment"])
def test_a_finalizer_that_holds_it(looked: Looked, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "GRACE", 0.0)
    looked.up()
    key = (kind, "default", "shop")
    looked.change(key, metadata={"finalizers": ["acme.example/keep"]})
    with ClusterFleet(looked.spec()) as fleet, pytest.raises(stoker.TimedOut) as raised:
        fleet.down(timeout=5)
    said = str(raised.value.finding)
    assert f"waiting for {kind}/shop" in said
    assert "acme.example/keep" in said
    assert f"kubectl patch {kind}/shop" in said
    assert looked.state().stopping
    assert looked.rules() == ["why-finalizer"]
    looked.change(key, metadata={"finalizers": []})
    with ClusterFleet(looked.spec()) as fleet:
        fleet.down(timeout=60)
    assert not [one for one in looked.user.there() if one.startswith(kind)]


def test_a_namespace_that_is_being_deleted(looked: Looked) -> None:
    looked.up()
    looked.lives.store.sweep = lambda _: None  # type: ignore[assignment]  # something in it does not go
    looked.store.end(("Namespace", "", "default"))
    left = {
        "type": "NamespaceContentRemaining",
        "status": "True",
        "message": "Some resources are remaining: pods. has 1",
    }
    looked.store.status(("Namespace", "", "default"), conditions=[left])
    for key in [key for key in looked.store.objects if key[0] == "Pod"]:
        looked.store.delete(key)
    looked.until(lambda: "why-namespace-terminating" in looked.rules())
    assert any("pods. has 1" in one.what for one in looked.why())


def test_an_adapter_that_is_installed_and_down(looked: Looked) -> None:
    looked.user.write(replicas="1..3", scaling={"metrics": {"queue-depth": 5}})
    looked.up()
    down = {
        "type": "Available",
        "status": "False",
        "reason": "MissingEndpoints",
        "message": "endpoints for service/custom-metrics have no addresses",
    }
    name = "v1beta1.custom.metrics.k8s.io"
    looked.store.create(BY_KIND["APIService"], "", {"metadata": {"name": name}})
    looked.store.status(("APIService", "", name), conditions=[down])
    for said in (
        "no custom metrics API (custom.metrics.k8s.io) registered",
        "the server could not find the metric x for pods",
    ):
        looked.lives.autoscalers.says = said
        looked.until(lambda: looked.rules() == ["why-hpa-adapter-down"])
    (found,) = looked.why()
    assert "MissingEndpoints: endpoints for service/custom-metrics" in found.what
    looked.user.cluster.forbidden.add(("get", "apiservices"))
    looked.until(lambda: looked.rules() == ["why-hpa-name"])


def test_a_readiness_that_is_lost(looked: Looked, monkeypatch: pytest.MonkeyPatch) -> None:
    looked.up()
    (key,) = [key for key in looked.store.objects if key[0] == "Pod"]
    pod = looked.store.objects[key]
    notes = pod["metadata"].get("annotations", {}) | {"fake/fault": "NeverReady"}
    looked.store.event(
        pod, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", "Warning"
    )
    time.sleep(5)  # a time of the API has whole seconds
    looked.change(key, metadata={"annotations": notes})
    looked.until(lambda: looked.state().ready == 0)
    looked.until(lambda: [one.phase for one in looked.state().replicas] == ["Unready"])
    (replica,) = looked.state().replicas
    assert replica.detail.endswith("statuscode: 503")
    assert clock.now() - replica.since < 60
    assert looked.rules() == ["why-probe-readiness"]
    assert json.dumps([one.why for one in looked.why()])
