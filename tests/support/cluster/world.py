"""What all controllers of the double share: the store, its clock, Events, and pods of an owner."""

import hashlib
import json
import time
from copy import deepcopy
from typing import Any

from tests.support.cluster.kinds import BY_KIND
from tests.support.cluster.store import Object, Store

AGAIN = 5.0  # seconds until an event of what goes on counts up


class World:
    """The store with a clock of its own: `speed` makes the seconds of annotations shorter."""

    def __init__(self, store: Store, speed: float = 1.0) -> None:
        self.store, self.speed = store, speed
        self.begun: dict[str, float] = {}
        self.told: dict[tuple[str, str, str], float] = {}

    def age(self, body: Object) -> float:
        """Seconds since it was first looked at."""
        begun = self.begun.setdefault(body["metadata"]["uid"], time.monotonic())
        return (time.monotonic() - begun) * self.speed

    def children(self, owner: Object) -> list[Object]:
        """The pods that are an object's own."""
        uid = owner["metadata"]["uid"]
        pods = self.store.list("Pod", owner["metadata"]["namespace"])
        return [p for p in pods if any(o["uid"] == uid for o in p["metadata"].get("ownerReferences", ()))]

    def make(
        self, owner: Object, template: Any, name: str, labels: dict[str, str], *, exact: bool = False
    ) -> Object:
        """A pod of a template, for its owner; exact: of that very name. Raises: Refused."""
        meta = deepcopy(template.get("metadata", {}))
        meta |= {"name": name} if exact else {"generateName": name}
        meta["labels"] = {**meta.get("labels", {}), **labels}
        meta["ownerReferences"] = [
            {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "controller": True,
            }
        ]
        return self.store.create(
            BY_KIND["Pod"],
            owner["metadata"]["namespace"],
            {"metadata": meta, "spec": deepcopy(template["spec"])},
        )

    def tell(
        self,
        pod: Object,
        reason: str,
        message: str,
        type_: str = "Normal",
        source: str = "",
        again: float | None = None,
    ) -> None:
        """An Event when it comes to that; what goes on counts up after `again` seconds, as a kubelet's
        back-off has it."""
        key, at = (pod["metadata"]["uid"], reason, message), time.monotonic()
        last = self.told.get(key)
        if last is None or (again is not None and (at - last) * self.speed > again):
            self.told[key] = at
            self.store.event(pod, reason, message, type_, source)

    def refused(self, owner: Object, message: str) -> None:
        """The Event of a pod that is not admitted."""
        self.tell(owner, "FailedCreate", f"Error creating: {message}", "Warning", "controller", AGAIN)


class Controller:
    """One that looks at the world's objects in turn."""

    def __init__(self, world: World) -> None:
        self.world, self.store = world, world.store


def digest_of(template: Any) -> str:
    """Another one for each content."""
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:9]


def key_of(body: Object) -> tuple[str, str, str]:
    """By which the store has an object."""
    return body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]
