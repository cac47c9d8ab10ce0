"""Who moves the number of replicas: whose an HPA is, which of two goes first, when a fleet may stay at 0."""

from stoker.spec.nouns import ServeSpec
from stoker.targets.kubernetes.client import Api, Object
from stoker.targets.kubernetes.inventory import SCALERS
from stoker.targets.kubernetes.pods import holds


def kedas(body: Object) -> bool:
    """Whether an HPA is KEDA's: it has its ScaledObject's labels, comes and goes with it, and is written by
    KEDA alone. Source: kedacore/keda, controllers/keda/hpa.go."""
    owners = body["metadata"].get("ownerReferences") or ()
    return any(one.get("kind") == "ScaledObject" for one in owners)


def in_the_way(api: Api, kind: str, namespace: str | None, selector: str) -> str:
    """Another scaler of the fleet, which has to be gone before one of this kind is made; empty where none is.

    Two of them would pull at the same replicas, and KEDA's webhook refuses a ScaledObject beside an HPA.
    """
    if kind not in SCALERS:
        return ""
    for other in SCALERS:
        if other == kind:
            continue
        for one in api.visible(other, namespace, selector):
            if not kedas(one):
                return f"{other}/{one['metadata']['name']} goes first"
    return ""


def least(spec: ServeSpec) -> int:
    """How many replicas a fleet begins with: one at least, so that it is seen to start at all."""
    return max(1, spec.replicas.low)


def sleeps(api: Api, spec: ServeSpec, selector: str) -> bool:
    """Whether a fleet at 0 is there by its own scaler, which will wake it; an HPA looks away from one that
    was taken to 0 by hand.

    Source: https://kubernetes.io/blog/2026/09/02/kubernetes-v1-37-hpa-scale-to-zero-beta/ (ScaledToZero).
    """
    if spec.replicas.low or spec.kubernetes.scaler == "keda":
        return not spec.replicas.low
    found = api.visible("HorizontalPodAutoscaler", spec.kubernetes.namespace, selector)
    return any(holds(one, "ScaledToZero") for one in found)
