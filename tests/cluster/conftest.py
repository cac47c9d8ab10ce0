"""The same scenarios against any cluster that KUBECONFIG names, or against the double where it names none.

Nodes need no GPU that is real: their pods follow the `fake/` annotations of the double. kubectl is the judge:
what the product did is read with it, not with the product's own client. Every test has a namespace of its
own.
"""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from stoker.catalog.gpus import gpus
from tests.conftest import Ran, Stoker
from tests.support.cluster import Cluster

GPU = "nvidia.com/gpu"
LABEL = "cloud.google.com/gke-accelerator"
DEADLINE = "120s"


@dataclass
class Kubectl:
    """kubectl with one kubeconfig."""

    config: Path
    namespace: str = "default"

    def run(self, *argv: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        """One call, in the test's namespace."""
        return subprocess.run(
            ["kubectl", "--kubeconfig", str(self.config), "-n", self.namespace, *argv],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def ok(self, *argv: str, stdin: str | None = None) -> str:
        """One call that must succeed; what it printed."""
        done = self.run(*argv, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, what: str, *names: str) -> Any:
        """An object, or the items of a list."""
        found = json.loads(self.ok("get", what, *names, "-o", "json"))
        return found["items"] if found["kind"].endswith("List") else found

    def create(self, body: dict[str, Any]) -> None:
        """Makes an object."""
        self.ok("create", "--validate=false", "-f", "-", stdin=json.dumps(body))

    def space(self) -> None:
        """Makes the test's namespace."""
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})


@dataclass
class Offer:
    """What the cluster's nodes have: the catalog's name of a GPU, how many of it in all, the label of each
    GPU there, and how many the largest of its nodes has.
    """

    gpu: str
    total: int
    platform: str
    kinds: frozenset[str]
    accelerators: frozenset[str]
    largest: int = 1


@dataclass
class Place:
    """A namespace, a kubeconfig and a stoker.yaml in a home of its own."""

    stoker: Stoker
    kubectl: Kubectl
    offer: Offer
    real: bool
    name: str = "shop"
    fields: dict[str, Any] = field(default_factory=dict)

    def write(self, annotations: dict[str, str] | None = None, **changes: Any) -> None:
        """The stoker.yaml: one GPU a replica, weights out of a bucket, no volume."""
        metrics = {"PodMonitoring": "stackdriver", "PodMonitor": "prometheus"}
        known = [metrics[kind] for kind in metrics if kind in self.offer.kinds]
        if self.offer.platform == "plain":
            known = [one for one in known if one != "stackdriver"]
        inside = {
            "namespace": self.kubectl.namespace,
            "weights": "stream",
            "platform": self.offer.platform,
            "metrics": known[0] if known else "none",
            "annotations": {"fake/start-seconds": "0", "fake/ready-seconds": "0", **(annotations or {})},
            **changes.pop("kubernetes", {}),
        }
        spec = {
            "name": self.name,
            "model": "gs://acme-models/gemma-ft",
            "hardware": f"{self.offer.gpu}:1",
            "target": "kubernetes",
            "drain_timeout": "1s",
            "engine": {"max-model-len": "4K"},
            "kubernetes": inside,
            **changes,
        }
        (self.stoker.home / "stoker.yaml").write_text(json.dumps(spec))

    def __call__(self, *argv: str, **env: str) -> Ran:
        env = {"KUBECONFIG": str(self.kubectl.config), "STOKER_OFFLINE": "1", **env}
        return self.stoker(*argv, timeout=300, **env)

    def up(self, *argv: str, **env: str) -> Ran:
        """`stoker up`, which must succeed."""
        return self.ok("up", "--timeout", DEADLINE, *argv, **env)

    def ok(self, *argv: str, **env: str) -> Ran:
        """A command that must succeed."""
        ran = self(*argv, **env)
        assert ran.code == 0, ran.err + ran.out
        return ran

    def pods(self) -> list[Any]:
        """The fleet's pods that are not on their way out."""
        found = self.kubectl.get("pods", "-l", f"app.kubernetes.io/instance={self.name}")
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def rules(self) -> list[str]:
        """What `why` names, the likeliest first."""
        return [one["rule"] for one in self.ok("why", "-o", "json").json()]

    def marks(self) -> dict[str, Any]:
        """What changes when somebody writes an object: its generation, or its content's version."""
        out = {}
        for kind in (
            "deployments",
            "services",
            "serviceaccounts",
            "networkpolicies",
            "poddisruptionbudgets",
            "configmaps",
            "secrets",
            "horizontalpodautoscalers",
        ):
            for body in self.kubectl.get(kind, "-l", "app.kubernetes.io/managed-by=stoker"):
                meta = body["metadata"]
                out[f"{kind}/{meta['name']}"] = (meta["uid"], meta.get("generation", meta["resourceVersion"]))
        return out


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, bool]]:
    """The kubeconfig, and whether it is a real cluster's."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not here")
    named = os.environ.get("KUBECONFIG")
    if named:
        yield Path(named), True
        return
    with Cluster() as double:
        for number in range(3):
            double.node(f"l4-{number}", 1, "nvidia-l4")
        path = tmp_path_factory.mktemp("cluster") / "kubeconfig"
        path.write_text(double.kubeconfig())
        yield path, False


@pytest.fixture(scope="session")
def offer(kubeconfig: tuple[Path, bool]) -> Offer:
    """What the cluster's nodes have. Skips where no node has a GPU, real or fake."""
    kubectl = Kubectl(kubeconfig[0])
    kinds = frozenset(
        kind
        for kind, crd in (
            ("PodMonitoring", "podmonitorings.monitoring.googleapis.com"),
            ("PodMonitor", "podmonitors.monitoring.coreos.com"),
            ("LeaderWorkerSet", "leaderworkersets.leaderworkerset.x-k8s.io"),
            ("VolumeSnapshot", "volumesnapshots.snapshot.storage.k8s.io"),
        )
        if kubectl.run("get", crd, "--ignore-not-found").returncode == 0
    )
    found: dict[str, int] = {}
    most: dict[str, int] = {}
    names = {gpu.accelerator: name for name, gpu in gpus().items() if gpu.accelerator}
    for node in kubectl.get("nodes"):
        count = int(node.get("status", {}).get("allocatable", {}).get(GPU, 0))
        label = node["metadata"].get("labels", {}).get(LABEL, "")
        if count and not node["spec"].get("unschedulable"):
            found[label] = found.get(label, 0) + count
            most[label] = max(most.get(label, 0), count)
    if not found:
        pytest.skip(f"no node of the cluster has {GPU}")
    labels = frozenset(found)
    best = max((label for label in found if label in names), key=lambda label: found[label], default=None)
    if best is None:  # no GKE labels: any node with a GPU does
        return Offer("l4", sum(found.values()), "plain", kinds, labels, max(most.values()))
    return Offer(names[best], found[best], "gke", kinds, labels, most[best])


@pytest.fixture
def place(stoker: Stoker, kubeconfig: tuple[Path, bool], offer: Offer) -> Iterator[Place]:
    """A namespace of its own, which `up` makes; it goes after the test."""
    config, real = kubeconfig
    made = Place(stoker, Kubectl(config, f"stoker-test-{secrets.token_hex(3)}"), offer, real)
    made.write()
    yield made
    made("down", "--weights")
    Kubectl(config).run("delete", "namespace", made.kubectl.namespace, "--wait=false")


@pytest.fixture
def real(kubeconfig: tuple[Path, bool]) -> None:
    """For what the double has not: RBAC, admission, schemas, quotas."""
    if not kubeconfig[1]:
        pytest.skip("KUBECONFIG names no cluster; the double has no RBAC, admission or schemas")


def as_user(place: Place, rules: list[dict[str, Any]]) -> Path:
    """A kubeconfig for a service account that may do just what the rules say."""
    kubectl, name = place.kubectl, "limited"
    kubectl.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": name},
        "rules": rules,
    }
    kubectl.create(role)
    kubectl.ok(
        "create", "rolebinding", name, f"--role={name}", f"--serviceaccount={kubectl.namespace}:{name}"
    )
    token = kubectl.ok("create", "token", name).strip()
    config = yaml.safe_load(kubectl.ok("config", "view", "--raw", "--minify", "--flatten"))
    config["users"] = [{"name": name, "user": {"token": token}}]
    config["contexts"][0]["context"] |= {"user": name, "namespace": kubectl.namespace}
    path = place.stoker.home / "limited"
    path.write_text(yaml.safe_dump(config))
    return path
