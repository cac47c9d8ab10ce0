"""The choices that a file left open, made once out of a plan."""

from stoker.errors import UsageError
from stoker.planner.plan import Plan
from stoker.render.manifests.choices import Cluster
from stoker.spec.nouns import Bucket, Hub, ServeSpec, WeightsBy


def choose(plan: Plan) -> Cluster:
    """Raises: UsageError, for weights or an engine that a cluster cannot have."""
    spec = plan.spec
    if spec.engine.kind == "simulated" and not spec.engine.image:
        raise UsageError(
            "simulated engines in a cluster need an image",
            at=_at(spec, "engine"),
            why="no registry at hand publishes Stoker's own",
            fix="engine: {kind: simulated, image: REGISTRY/stoker:TAG}",
            rule="kubernetes-image",
        )
    if not spec.replicas.fixed and spec.replicas.low == 0:
        raise UsageError(
            f"replicas: {spec.replicas} begins at 0",
            at=_at(spec, "replicas"),
            why="the HPA's metrics are the replicas' own: with none there is none to scale up by",
            fix=f"replicas: 1..{spec.replicas.high}, or a fixed number: `stoker scale 0` stops it",
            rule="kubernetes-zero",
        )
    weights = _weights(spec)
    metrics = spec.kubernetes.metrics or _metrics(spec)
    if metrics == "none" and not spec.replicas.fixed:
        raise UsageError(
            "replicas is a range, and kubernetes.metrics is none",
            at=_at(spec, "kubernetes.metrics"),
            why="the HPA would have no metric to ask for",
            fix="metrics: stackdriver or prometheus, or a fixed number of replicas",
            rule="kubernetes-metrics",
        )
    return Cluster(plan, weights, metrics)


def _metrics(spec: ServeSpec) -> str:
    if spec.kubernetes.platform == "gke":
        return "stackdriver"
    return "none" if spec.replicas.fixed else "prometheus"


def _weights(spec: ServeSpec) -> WeightsBy:
    source, asked = spec.model.source, spec.kubernetes.weights
    ask = spec.kubernetes
    if spec.engine.kind == "simulated":
        return "hub"  # nothing is read
    if isinstance(source, Bucket):
        own: WeightsBy = "disk" if source.scheme == "gs" and ask.platform == "gke" else "stream"
    elif isinstance(source, Hub):
        own = "hub"
    elif ask.disk.handle:
        own = "disk"
    else:
        raise UsageError(
            f"a cluster cannot read {source}",
            at=_at(spec, "model.source") or _at(spec, "model"),
            why="it is on this machine",
            fix="copy it to a bucket and name that, such as gs://BUCKET/FOLDER",
            rule="kubernetes-weights",
        )
    chosen = asked or own
    fits = {
        "disk": True,
        "gcsfuse": isinstance(source, Bucket) and source.scheme == "gs",
        "stream": isinstance(source, Bucket),
        "hub": isinstance(source, Hub),
    }
    if not fits[chosen]:
        raise UsageError(
            f"weights: {chosen} does not go with {source}",
            at=_at(spec, "kubernetes.weights"),
            why={
                "gcsfuse": "it reads a gs:// bucket",
                "stream": "it reads a gs:// or s3:// bucket",
                "hub": "it reads hf:// repositories",
            }[chosen],
            fix=f"weights: {own}",
            rule="kubernetes-weights",
        )
    if spec.model.adapters and chosen in ("gcsfuse", "stream"):
        raise UsageError(
            f"weights: {chosen} brings no adapters",
            at=_at(spec, "model.adapters"),
            why="it reads the model's folder alone",
            fix="weights: disk, whose copy takes them along",
            rule="kubernetes-adapters",
        )
    if chosen == "hub" and any(not isinstance(source, Hub) for source in spec.model.adapters.values()):
        raise UsageError(
            "weights: hub takes adapters of the hub alone",
            at=_at(spec, "model.adapters"),
            why="the pods fetch them by themselves",
            fix="weights: disk, whose copy takes all",
            rule="kubernetes-adapters",
        )
    return chosen


def _at(spec: ServeSpec, path: str) -> str:
    place = spec.origin.get(path)
    return str(place) if place else ""
