"""One object of a cluster, as a value and as text."""

from dataclasses import dataclass
from typing import Any

from stoker.render.manifests.text import write


@dataclass(frozen=True, slots=True)
class Manifest:
    """An object as it is applied: plain values, in the order in which a person reads them."""

    body: dict[str, Any]

    @property
    def api_version(self) -> str:
        """Its group and version, such as `apps/v1`."""
        return str(self.body["apiVersion"])

    @property
    def kind(self) -> str:
        """Its kind, such as `Deployment`."""
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.body["metadata"]["name"])

    @property
    def namespace(self) -> str | None:
        """Its namespace; None where it has none."""
        found = self.body["metadata"].get("namespace")
        return None if found is None else str(found)

    @property
    def waits(self) -> bool:
        """Whether it is made from something that must be there first: a finished copy, a ready snapshot."""
        return self.kind == "VolumeSnapshot" or bool(self.body.get("spec", {}).get("dataSource"))

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.kind.lower()}-{self.name}.yaml"

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    def text(self) -> str:
        """As YAML."""
        return write(self.body)


def kustomization(files: list[str], later: list[str]) -> str:
    """The kustomization.yaml of a folder of manifests.

    later: those that must wait for something that runs first; all at once they would come too early.
    """
    body = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": files}
    text = write(body)
    if not later:
        return text
    head = (
        "# `stoker up` applies everything and waits in between. By hand, once the copy Job is complete, "
        "and again once\n# the snapshot is ready, apply what is not listed here:\n"
    )
    return head + "".join(f"#   kubectl apply -f {name}\n" for name in later) + text
