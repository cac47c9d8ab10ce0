"""The ranks of LoRA adapters for a plan that stages none: each adapter_config.json is read where it is."""

from dataclasses import replace

from stoker import weights
from stoker.errors import StokerError, WeightsFailed
from stoker.operate.peeking import UNTOLD, the_clusters
from stoker.planner.adapters import RANK, check_rank, lora_rank
from stoker.spec.nouns import LocalDir, ServeSpec
from stoker.system import keys
from stoker.weights.adapters import modules_of


def with_ranks(spec: ServeSpec) -> tuple[ServeSpec, tuple[str, ...]]:
    """The spec with `max-lora-rank`, where its adapters need another than vLLM's own 16, and what could not
    be read. Raises: UsageError, for an adapter that vLLM refuses."""
    if not spec.model.adapters:
        return spec, ()
    ranks, notes = dict[str, int](), list[str]()
    for name, source in sorted(spec.model.adapters.items()):
        try:
            ranks[name] = weights.peek_adapter(source, _token(spec), _modules(spec))
        except StokerError as error:
            if not (isinstance(error, WeightsFailed) or error.finding.rule in UNTOLD):
                raise
            notes.append(f"the adapter {name} cannot be read from here: {RANK} has to be named above 16")
    options = dict(spec.engine.options)
    check_rank(spec.engine.version, options, ranks)
    if ranks and RANK not in options:
        options[RANK] = lora_rank(spec.engine.version, ranks)
    return replace(spec, engine=replace(spec.engine, options=options)), tuple(notes)


def _token(spec: ServeSpec) -> str | None:
    ref = None if the_clusters(spec) else spec.model.token
    return keys.read(ref, "model.token") if ref else None


def _modules(spec: ServeSpec) -> frozenset[str]:
    """The names of a model's parts, where it is a folder of this machine."""
    if not isinstance(spec.model.source, LocalDir):
        return frozenset()
    try:
        return modules_of(weights.peek(spec.model))
    except StokerError:
        return frozenset()  # the plan says it better
