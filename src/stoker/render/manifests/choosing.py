"""The choices that a file left open, made once out of a plan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stoker.bounds import shown
from stoker.errors import UsageError
from stoker.planner.plan import Plan
from stoker.render.manifests.choices import Cluster
from stoker.spec.carried import repositories
from stoker.spec.nouns import Bucket, Hub, ServeSpec, Source, WeightsBy
from stoker.spec.places import any_of, placed


def choose(plan: Plan) -> Cluster:
    """Raises: UsageError, for weights or an engine that a cluster cannot have."""
    with placed(plan.spec):
        _check_simulated(plan.spec)
        weights = _weights(plan.spec)
        _check_repositories(plan, weights)
        return Cluster(plan, weights, _metrics(plan.spec))


def _check_simulated(spec: ServeSpec) -> None:
    if spec.engine.kind == "simulated" and not spec.engine.image:
        raise UsageError(
            "simulated engines in a cluster need an image",
            at="engine",
            why="no registry at hand publishes Stoker's own",
            fix="engine: {kind: simulated, image: REGISTRY/stoker:TAG}",
            rule="kubernetes-image",
        )


def _metrics(spec: ServeSpec) -> str:
    """Who scrapes: as asked, else what the platform has. Raises: UsageError, where an HPA needs somebody."""
    chosen = spec.kubernetes.metrics or _platform_metrics(spec)
    if chosen == "none" and not spec.replicas.fixed:
        raise UsageError(
            "replicas is a range, and kubernetes.metrics is none",
            at="kubernetes.metrics",
            why="the HPA would have no metric to ask for",
            fix="metrics: stackdriver or prometheus, or a fixed number of replicas",
            rule="kubernetes-metrics",
        )
    return chosen


def _platform_metrics(spec: ServeSpec) -> str:
    if spec.kubernetes.platform == "gke":
        return "stackdriver"
    return "none" if spec.replicas.fixed else "prometheus"


def _weights(spec: ServeSpec) -> WeightsBy:
    """How pods get them: as asked, else what is best for the source. Raises: UsageError."""
    if spec.engine.kind == "simulated":
        return "hub"  # nothing is read
    own = _own_weights(spec)
    chosen = spec.kubernetes.weights or own
    if (takes := _TAKES.get(chosen)) and not takes.source(spec.model.source):
        raise UsageError(
            f"weights: {chosen} does not go with {spec.model.source}",
            at="kubernetes.weights",
            why=takes.why,
            fix=f"weights: {own}",
            rule="kubernetes-weights",
        )
    _check_adapters(spec, chosen)
    return chosen


def _check_repositories(plan: Plan, chosen: WeightsBy) -> None:
    """Raises: UsageError, for a tokenizer, config or draft model of the hub where pods are kept off it."""
    if chosen == "hub" or str(plan.env.get("HF_HUB_OFFLINE", "1")) == "0":
        return
    for name, value in repositories(plan.options):
        raise UsageError(
            f"{name} names {shown(value)[1:-1]} of the hub, which the pods are kept off",
            at=f"engine.{name}",
            why=f"with weights: {chosen} HF_HUB_OFFLINE is 1 in them",
            fix="its whole path on the weights' disk; weights: hub; or engine.env HF_HUB_OFFLINE: '0'",
            rule="kubernetes-weights",
        )


def _own_weights(spec: ServeSpec) -> WeightsBy:
    source, ask = spec.model.source, spec.kubernetes
    if isinstance(source, Bucket):
        return "disk" if source.scheme == "gs" and ask.platform == "gke" else "stream"
    if isinstance(source, Hub):
        return "hub"
    if ask.disk.handle:
        return "disk"
    raise UsageError(
        f"a cluster cannot read {source}",
        at=any_of("model.source", "model"),
        why="it is on this machine",
        fix="copy it to a bucket and name that, such as gs://BUCKET/FOLDER",
        rule="kubernetes-weights",
    )


@dataclass(frozen=True, slots=True)
class _Takes:
    """Which sources a way to the weights takes; why: in words."""

    source: Callable[[Source], bool]
    why: str


# A disk takes every source.
_TAKES: Mapping[WeightsBy, _Takes] = {
    "gcsfuse": _Takes(
        lambda source: isinstance(source, Bucket) and source.scheme == "gs", "it reads a gs:// bucket"
    ),
    "stream": _Takes(lambda source: isinstance(source, Bucket), "it reads a gs:// or s3:// bucket"),
    "hub": _Takes(lambda source: isinstance(source, Hub), "it reads hf:// repositories"),
}


def _check_adapters(spec: ServeSpec, chosen: WeightsBy) -> None:
    """Raises: UsageError, for adapters that do not come along."""
    if spec.model.adapters and chosen in ("gcsfuse", "stream"):
        raise UsageError(
            f"weights: {chosen} brings no adapters",
            at="model.adapters",
            why="it reads the model's folder alone",
            fix="weights: disk, whose copy takes them along",
            rule="kubernetes-adapters",
        )
    if chosen == "hub" and any(not isinstance(source, Hub) for source in spec.model.adapters.values()):
        raise UsageError(
            "weights: hub takes adapters of the hub alone",
            at="model.adapters",
            why="the pods fetch them by themselves",
            fix="weights: disk, whose copy takes all",
            rule="kubernetes-adapters",
        )
