"""Facts about a cluster, as the checks before `up` need them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its labels, and GPUs that pods may have."""

    labels: Mapping[str, str]
    gpus: int


@dataclass(frozen=True, slots=True)
class Pool:
    """One node pool: its GPUs a node, how many nodes it may have (None: as many as it has), and their machine
    type."""

    name: str
    accelerator: str
    gpus: int
    most: int | None
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of a limit: `where` names it."""

    where: str
    limit: int
    used: int


@dataclass(frozen=True, slots=True)
class Denied:
    """What this user may not do; wide: to something that stands in no namespace."""

    verb: str
    group: str
    plural: str
    wide: bool = False


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What was asked before `up`. None: nobody could tell.

    release: the API server's, such as (1, 36). missing: kinds without a definition. running: GPUs that the
    fleet holds already. adapter, external: whether pods' and external metrics are served; external_owner: by
    whose Service the latter, `NAMESPACE/NAME`. growing: whether nodes are made as pods ask for them
    (Autopilot, auto-provisioning).
    """

    context: str
    release: tuple[int, int] | None = None
    missing: tuple[str, ...] = ()
    denied: tuple[Denied, ...] = ()
    nodes: tuple[Node, ...] | None = None
    pools: tuple[Pool, ...] | None = None
    growing: bool = False
    quotas: tuple[Quota, ...] = ()
    project: Quota | None = None
    running: int = 0
    adapter: bool | None = None
    external: bool | None = None
    external_owner: str = ""
    classes: tuple[str, ...] | None = field(default=None)
    drivers: tuple[str, ...] | None = None
