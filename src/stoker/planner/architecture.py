"""Whether a release of vLLM serves a model's architecture at all.

Source: vLLM `model_executor/models/registry.py`: its own classes, those that it had before, and transformers'
classes that its general back-end takes.
"""

from collections.abc import Mapping, Sequence

from stoker.catalog import releases, shapes, vllm
from stoker.catalog.memory import numbers
from stoker.errors import UsageError
from stoker.model.shape import ModelShape
from stoker.spec.nouns import ServeSpec

# With these vLLM takes a class from elsewhere.
_ELSEWHERE = ("trust-remote-code", "model-impl", "hf-overrides")
# Endings that vLLM looks for under its generating class too.
_ENDINGS = (
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForRewardModel",
    "EmbeddingModel",
    "Model",
)
_GENERATING = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")


def check_architecture(spec: ServeSpec, shape: ModelShape) -> None:
    """Raises: UsageError, for an architecture that the release does not have, with the releases that do."""
    version, name, known = spec.engine.version, shape.architecture, shapes.index()
    if not known or name == "unknown" or any(spec.engine.options.get(one) for one in _ELSEWHERE):
        return
    near = vllm.nearest_release(version)
    if name in known["backend"] or _served(name, near.architectures):
        return
    if lives := releases.lives("architectures").get(name):
        raise _absent(name, version, *_when(near.version, lives))
    last = known["gone"].get(name)
    if last is not None and numbers(version) > numbers(last):
        raise _absent(name, version, f"{last} was the last release that had it", f"engine.version: {last}")
    if last is None and numbers(version) == numbers(known["vllm"]):
        why = "neither its own classes nor its transformers back-end take it"
        raise _absent(
            name, version, why, "another model; or trust-remote-code, where its folder brings the class"
        )


def _when(version: str, lives: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Why a release has not what others have, and which release does."""
    order = releases.known()
    before = [until for _, until in lives if until and order.index(until) <= order.index(version)]
    if before:
        last = order[order.index(before[-1]) - 1]
        return f"{last} was the last release that had it", f"engine.version: {last}"
    return f"{lives[0][0]} is the first release that has it", f"engine.version: {lives[0][0]}, or a newer one"


def _served(name: str, served: Mapping[str, str]) -> bool:
    if name in served:
        return True
    stems = [name.removesuffix(one) for one in _ENDINGS if name.endswith(one)]
    return any(f"{stem}{one}" in served for stem in stems for one in _GENERATING)


def _absent(name: str, version: str, why: str, fix: str) -> UsageError:
    return UsageError(
        f"vLLM {version} has no architecture {name}", at="model", why=why, fix=fix, rule="architecture"
    )
