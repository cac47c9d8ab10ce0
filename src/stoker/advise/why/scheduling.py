"""What the scheduler says of the nodes, clause by clause, and which is about those that could have taken the
pod.

`0/9 nodes are available: 2 node(s) had untolerated taint(s), 7 Insufficient nvidia.com/gpu. preemption: …`:
each node is told of under the first check that it failed. A node that got further than the others is nearer
to what was asked for, so its clause decides; those of a control plane, which no engine is meant for, never
do.
Source: pkg/scheduler/framework/types.go (FitError), framework/plugins/*, Kubernetes 1.30 to 1.36.
"""

import re
from dataclasses import dataclass

SAYS = re.compile(r"\d+/(\d+) nodes are available: ?(.*)", re.S)
UNRESOLVABLE = "more than any of them has"
# What is seen on the nodes themselves, which says more than the scheduler's count of them.
EXACT = frozenset(
    {"NoSuchNode", "NodesTooSmall", "NodesWithoutDevice", "NodesCordoned", "NodesNotReady", "NodesTainted"}
)
_REST = re.compile(r"\.\s+(?=[a-z])|\.\s*$")  # where preemption and claims are told of
_CLAUSE = re.compile(r"(?:^|, )(\d+) (.+?)(?=, \d+ |$)", re.S)
_CONTROL_PLANE = re.compile(r"untolerated taint \{node-role\.kubernetes\.io/(?:control-plane|master)")
# The checks in the order in which a node goes through them: before its resources, these, and what comes
# after.
_BEFORE = re.compile(
    r"untolerated taint|were unschedulable|requested node name"
    r"|didn't match (?:Pod's )?node (?:affinity|selector)"
)
_FIT = re.compile(r"^(?:Insufficient \S+|Too many pods|node\(s\) didn't have free ports.*)$")


@dataclass(frozen=True, slots=True)
class Clause:
    """So many nodes, and what each of them lacks."""

    count: int
    reason: str

    @property
    def step(self) -> int:
        """How far such a node got: 0 is not right for the pod, 1 has no room, 2 has room and fails later."""
        return 0 if _BEFORE.search(self.reason) else 1 if _FIT.search(self.reason) else 2


def clauses(text: str) -> tuple[Clause, ...]:
    """The clauses of a scheduler's sentence; none, where it counts no nodes."""
    said = SAYS.search(text)
    return _counted(_REST.split(said[2], maxsplit=1)[0]) if said else ()


def judged(text: str) -> str:
    """A sign's text as causes are looked for in it: of a scheduler's sentence, the clauses that decide."""
    found = clauses(text)
    if not found:
        return text
    told = ", ".join(f"{one.count} {one.reason}" for one in _deciding(found, text))
    return f"{told}: {UNRESOLVABLE}" if "Insufficient" in told and _never(text) else told


def _counted(text: str) -> tuple[Clause, ...]:
    return tuple(Clause(int(count), reason.strip()) for count, reason in _CLAUSE.findall(text))


def _deciding(found: tuple[Clause, ...], text: str) -> list[Clause]:
    candidates = [one for one in found if not _CONTROL_PLANE.search(one.reason)] or list(found)
    last = max(one.step for one in candidates)
    furthest = [one for one in candidates if one.step == last]
    if last != 1:
        return furthest
    # one node is counted once for each thing that it lacks: a node that does not lack a GPU has one free
    said = SAYS.search(text)
    there = int(said[1]) if said else 0
    reached = there - sum(one.count for one in found if one.step != 1)
    gpus = [one for one in furthest if "/gpu" in one.reason and one.count >= reached]
    return gpus or [one for one in furthest if "/gpu" not in one.reason] or furthest


def _never(text: str) -> bool:
    """Whether no node could take the pod were it empty: since 1.31 the scheduler says then that preemption is
    no help."""
    said = re.search(r"preemption: \d+/\d+ nodes are available: (.*)", text, re.S)
    told = [one.reason for one in _counted(_REST.split(said[1], maxsplit=1)[0])] if said else []
    return bool(told) and all("Preemption is not helpful" in one for one in told)
