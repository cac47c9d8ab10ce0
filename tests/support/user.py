"""A person with a kubeconfig for the API-server double, and a stoker.yaml."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from tests import models
from tests.conftest import Ran, Stoker
from tests.support.cluster import Cluster

SPEC: dict[str, Any] = {
    "name": "shop",
    "hardware": "l4:1",
    "engine": {"max-model-len": "4K"},
    "target": "kubernetes",
    "drain_timeout": "1s",
    "kubernetes": {"weights": {"disk": "projects/p/zones/us-east4-a/disks/d"}},
}
COPIED: dict[str, Any] = {"weights": "disk"}


class User:
    """A person with a kubeconfig and a stoker.yaml."""

    def __init__(self, stoker: Stoker, cluster: Cluster) -> None:
        self.stoker, self.cluster = stoker, cluster
        self.config = stoker.home / "kubeconfig"
        self.config.write_text(cluster.kubeconfig())
        folder = stoker.home / "gemma-ft"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(models.LLAMA_8B | {"num_hidden_layers": 4}))
        self.write()

    def write(self, **changes: Any) -> None:
        """The stoker.yaml, with changes."""
        spec = {"model": "./gemma-ft", **SPEC, **changes}
        (self.stoker.home / "stoker.yaml").write_text(json.dumps(spec))

    def __call__(self, *argv: str, **env: Any) -> Ran:
        return self.stoker(*argv, KUBECONFIG=str(self.config), **env)

    def begin(self, *argv: str) -> "subprocess.Popen[str]":
        """A command that goes on beside the test."""
        env = {**self.stoker.env, "KUBECONFIG": str(self.config)}
        argv = (sys.executable, "-m", "stoker", *argv)
        return subprocess.Popen(
            argv, env=env, cwd=self.stoker.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ok(self, *argv: str, **env: str) -> Ran:
        ran = self(*argv, **env)
        assert ran.code == 0, ran.err
        return ran

    def there(self) -> set[str]:
        """What the cluster holds, but what it held before."""
        kinds = {"Namespace", "Node", "Event", "Pod", "ReplicaSet", "VolumeAttachment"}
        return {f"{kind}/{name}" for kind, _, name in self.cluster.store.objects if kind not in kinds}

    def live(self, kind: str, name: str = "shop", namespace: str = "default") -> Any:
        return self.cluster.store.objects[(kind, namespace, name)]

    def writes(self) -> list[str]:
        return [
            r
            for r in self.cluster.requests
            if not r.startswith("GET") and "accessreviews" not in r and "dryRun" not in r
        ]


def until(
    found: Callable[[], object], seconds: float = 60, process: "subprocess.Popen[str] | None" = None
) -> None:
    """Waits for something; a process that ends meanwhile will not bring it about."""
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "it did not come to that"
        assert process is None or process.poll() is None, process.communicate()[1] if process else ""
        time.sleep(0.05)
