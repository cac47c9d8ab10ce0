"""Which nodes a pod that waits could run on, and what keeps it off them: read of the nodes themselves, where
they may be listed.

The scheduler counts nodes under the first check that each fails, whichever they are; those that could take
the pod if nothing were in the way are what matters.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from lightkube.utils.quantity import parse_quantity

from stoker.fleet.state import Evidence
from stoker.render.manifests.capacity import LABEL

Object = dict[str, Any]
SHOWN = 4  # names in a sentence
OUT = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", "node.kubernetes.io/unschedulable")
GIB = 1024**3
BYTES = ("memory", "ephemeral-storage")


def waits(pod: Object) -> bool:
    """Whether the scheduler has found no node for a pod."""
    found = pod.get("status", {}).get("conditions", ())
    return not pod["spec"].get("nodeName") and any(
        one["type"] == "PodScheduled" and one["status"] == "False" and one.get("reason") == "Unschedulable"
        for one in found
    )


def evidence(pods: Sequence[Object], nodes: Sequence[Object]) -> tuple[Evidence, ...]:
    """What is in the way of the first pod that waits; nothing where a node would do but for what others hold.

    nodes: none, where they may not be listed.
    """
    pod = next((one for one in pods if waits(one)), None) if nodes else None
    return (
        tuple(Evidence("condition", f"Pod/{pod['metadata']['name']}", *one) for one in _told(pod, nodes))
        if pod
        else ()
    )


def _told(pod: Object, nodes: Sequence[Object]) -> list[tuple[str, str]]:
    right = [one for one in nodes if _matches(pod, one)]
    if not right:
        return [("NoSuchNode", text)] if (text := _lacking(pod, nodes)) else []
    asked = _asked(pod)
    if small := _small(asked, right):
        return [small]
    large = [one for one in right if all(_offered(one, name) >= value for name, value in asked.items())]
    return _in_the_way(pod, large)


def _in_the_way(pod: Object, large: Sequence[Object]) -> list[tuple[str, str]]:
    """Nodes that would do, by what keeps the pod off each of them."""
    away = [one for one in large if not _ready(one)]
    cordoned = [one for one in large if one not in away and one["spec"].get("unschedulable")]
    taints = {_name(one): _taint(pod, one) for one in large if one not in away and one not in cordoned}
    tainted = {name: taint for name, taint in taints.items() if taint}
    some = "Some" if len(away) + len(cordoned) + len(tainted) < len(large) else ""
    out = [(f"{some}NodesNotReady", f"{_names(away)}: {_because(away[0])}")] if away else []
    out += [(f"{some}NodesCordoned", f"{_names(cordoned)}")] if cordoned else []
    if tainted and not some:
        out.append(
            ("NodesTainted", f"{_listed(list(tainted))} had untolerated taint {next(iter(tainted.values()))}")
        )
    return out


def _lacking(pod: Object, nodes: Sequence[Object]) -> str:
    """Which label no node has, and which values there are."""
    selector: dict[str, str] = pod["spec"].get("nodeSelector", {})
    for key, value in selector.items():
        there: dict[str, int] = {}
        for node in nodes:
            found = _labels(node).get(key)
            if found is not None:
                there[found] = there.get(found, 0) + 1
        if value not in there:
            others = (
                ", ".join(f"{name} ({count})" for name, count in sorted(there.items())) or "no node with it"
            )
            gpu = "the GPU that was asked for, " if key == LABEL else "the label "
            return f"{gpu}{key}={value}; there are: {others}"
    if selector:
        return f"all of {', '.join(f'{key}={value}' for key, value in selector.items())}"
    return "what the pod's node affinity asks for"


def _small(asked: dict[str, Decimal], right: Sequence[Object]) -> tuple[str, str] | None:
    """The first thing of which even an empty node has too little."""
    for name, value in asked.items():
        most = max(_offered(one, name) for one in right)
        if most >= value:
            continue
        if not most and "/" in name:
            return "NodesWithoutDevice", f"{name} on {_names(right)}"
        what = f"{_amount(name, value)} {'of ' if name in BYTES else ''}{name}"
        return "NodesTooSmall", f"{what} asked for, {_amount(name, most)} on the largest"
    return None


def _matches(pod: Object, node: Object) -> bool:
    """Whether a node has the labels that a pod asks for."""
    labels, spec = _labels(node), pod["spec"]
    if any(labels.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
        return False
    required = (
        spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    )
    terms = (required or {}).get("nodeSelectorTerms", ())
    return not terms or any(
        all(_holds(labels, one) for one in term.get("matchExpressions", ())) for term in terms
    )


def _holds(labels: dict[str, str], rule: Object) -> bool:
    found, values = labels.get(rule["key"]), rule.get("values", ())
    match rule["operator"]:
        case "In":
            return found in values
        case "NotIn":
            return found not in values
        case "Exists":
            return found is not None
        case "DoesNotExist":
            return found is None
    return True  # Gt, Lt: rare, and not judged here


def _taint(pod: Object, node: Object) -> str:
    """The first taint that keeps a pod away, as the scheduler writes it."""
    for taint in node["spec"].get("taints", ()):
        wrong = taint["key"] not in OUT and taint.get("effect") in ("NoSchedule", "NoExecute")
        if wrong and not any(_tolerates(one, taint) for one in pod["spec"].get("tolerations", ())):
            return f"{{{taint['key']}: {taint.get('value', '')}}}"
    return ""


def _tolerates(one: Object, taint: Object) -> bool:
    if one.get("effect") not in (None, "", taint.get("effect")) or one.get("key") not in (
        None,
        "",
        taint["key"],
    ):
        return False
    return one.get("operator") == "Exists" or one.get("value", "") == taint.get("value", "")


def _ready(node: Object) -> bool:
    """Whether the kubelet says so; a node that says nothing is taken as ready."""
    return all(one["status"] == "True" for one in _conditions(node) if one["type"] == "Ready")


def _because(node: Object) -> str:
    found = next(one for one in _conditions(node) if one["type"] == "Ready")
    return str(found.get("message") or found.get("reason") or "not ready")


def _conditions(node: Object) -> Iterable[Object]:
    found: Iterable[Object] = node.get("status", {}).get("conditions", ())
    return found


def _asked(pod: Object) -> dict[str, Decimal]:
    """What a pod asks of one node, devices first."""
    out: dict[str, Decimal] = {}
    for container in pod["spec"]["containers"]:
        resources = container.get("resources", {})
        for name, value in {**resources.get("limits", {}), **resources.get("requests", {})}.items():
            if name in resources.get("requests", {}) or "/" in name:
                out[name] = out.get(name, Decimal(0)) + _quantity(value)
    return dict(sorted(out.items(), key=lambda pair: "/" not in pair[0]))


def _offered(node: Object, name: str) -> Decimal:
    found = node.get("status", {}).get("allocatable", {})
    unknown = name == "ephemeral-storage" and name not in found
    return Decimal("Infinity") if unknown else _quantity(found.get(name, 0))


def _quantity(value: Any) -> Decimal:
    return parse_quantity(str(value)) or Decimal(0)


def _amount(name: str, value: Decimal) -> str:
    return f"{value / GIB:.1f} GiB" if name in BYTES else f"{value.normalize():f}"


def _labels(node: Object) -> dict[str, str]:
    found: dict[str, str] = node["metadata"].get("labels", {})
    return found


def _name(node: Object) -> str:
    return str(node["metadata"]["name"])


def _names(nodes: Sequence[Object]) -> str:
    return _listed([_name(one) for one in nodes])


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
