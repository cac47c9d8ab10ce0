"""The double, running: its store, its controllers, and the server that answers for them."""

import threading
from http.server import ThreadingHTTPServer

import yaml

from tests.support.cluster.controllers import Controllers
from tests.support.cluster.handler import TICK, Handler
from tests.support.cluster.kinds import BY_KIND
from tests.support.cluster.store import Store


class Cluster:
    """The double, running: `with Cluster() as cluster: cluster.kubeconfig()`.

    absent: kinds whose definitions are not installed. forbidden: (verb, plural) that the user may not do.
    away: connections break off, as while it restarts. busy: so many requests are turned away first, as while
    its storage initializes.
    """

    def __init__(self, *, speed: float = 1.0, absent: tuple[str, ...] = (), port: int = 0) -> None:
        self.store = Store()
        self.lives = Controllers(self.store, speed)
        self.absent = set(absent)
        self.forbidden: set[tuple[str, str]] = set()
        self.token: str | None = None  # of a kubeconfig that is let in; kubectl sends none without TLS
        self.requests: list[str] = []
        self.away, self.busy = False, 0
        self._stop = threading.Event()
        cluster = self

        class Own(Handler):
            double = cluster

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Own)
        self.server.daemon_threads = True
        for name in ("default", "kube-system"):
            self.store.create(BY_KIND["Namespace"], "", {"metadata": {"name": name}})

    def __enter__(self) -> "Cluster":
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        threading.Thread(target=self._live, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def kubeconfig(self, namespace: str = "default") -> str:
        """The text of a kubeconfig for it."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "double",
            "clusters": [{"name": "double", "cluster": {"server": self.url}}],
            "users": [{"name": "double", "user": {"token": "double"}}],
            "contexts": [
                {"name": "double", "context": {"cluster": "double", "user": "double", "namespace": namespace}}
            ],
        }
        return yaml.safe_dump(config)

    def node(
        self,
        name: str,
        gpus: int = 0,
        accelerator: str = "",
        *,
        zone: str = "us-east4-a",
        taints: tuple[str, ...] = (),
    ) -> None:
        """A node, with GPUs."""
        labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone}
        if accelerator:
            labels["cloud.google.com/gke-accelerator"] = accelerator
        spec = {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints]} if taints else {}
        status = {"allocatable": {"nvidia.com/gpu": str(gpus), "cpu": "96", "memory": "400Gi"}}
        body = {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status}
        self.store.create(BY_KIND["Node"], "", body)

    def _live(self) -> None:
        while not self._stop.wait(TICK):
            self.lives.step()
