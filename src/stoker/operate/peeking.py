"""A model's shape for a plan: from the model itself, or from the catalog where the hub cannot be asked."""

from stoker import weights
from stoker.catalog.models import KnownModel, model
from stoker.errors import StokerError, UsageError, WeightsFailed
from stoker.findings import Finding
from stoker.model.agreement import check_weights
from stoker.model.files import ModelFiles
from stoker.model.shape import ModelShape, read_shape
from stoker.spec.nouns import Hub, ServeSpec
from stoker.system import keys

# What the hub was asked and would not say, to us or at all. What it says has not changed by that.
UNTOLD = ("hub-gated", "hub-network", "weights-offline", "key-missing")


def peeked(spec: ServeSpec) -> tuple[ModelShape, tuple[str, ...]]:
    """The model's shape, without its weights; and what is to be said of where it comes from.

    Raises: UsageError, WeightsFailed, where it can be read neither from its source nor from the catalog.
    """
    try:
        return _read(spec), ()
    except StokerError as error:
        known = _known(spec, error.finding)
        if known is None:
            raise
        return read_shape(ModelFiles(known.config, {})), (_told(known, error.finding),)


def the_clusters(spec: ServeSpec) -> bool:
    """Whether only the cluster has the hub's token: from here the model is asked for without."""
    token = spec.model.token
    return token is not None and token.kind == "secret" and spec.target == "kubernetes"


def _read(spec: ServeSpec) -> ModelShape:
    ref = None if the_clusters(spec) else spec.model.token
    token = keys.read(ref, "model.token") if ref else None
    files = weights.peek(spec.model, token)
    shape = read_shape(files)
    check_weights(files, shape, str(spec.model.source))
    return shape


def _known(spec: ServeSpec, finding: Finding) -> KnownModel | None:
    """The catalog's model, where the hub could not be asked for it; none where a revision is pinned."""
    source = spec.model.source
    if not isinstance(source, Hub) or source.revision != "main" or finding.rule not in UNTOLD:
        return None
    return model(source.repo)


def _told(known: KnownModel, finding: Finding) -> str:
    return (
        f"the shape is from Stoker's catalog ({known.source}, {known.date}), not from the hub: {finding.what}"
    )


def unreadable(spec: ServeSpec, error: StokerError) -> bool:
    """Whether a model that could not be read from here may be served by a cluster all the same."""
    if isinstance(error, WeightsFailed):
        return True
    refused = isinstance(error, UsageError) and error.finding.rule in ("hub-gated", "hub-missing")
    return refused and the_clusters(spec)
