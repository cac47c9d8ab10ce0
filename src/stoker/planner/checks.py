"""Checks of a spec against a model that every plan makes, and the warnings that every plan gives."""

from collections.abc import Iterable

from stoker.catalog.changes import missing
from stoker.errors import UsageError
from stoker.model.shape import ModelShape
from stoker.planner.architecture import check_architecture
from stoker.planner.layout import divides
from stoker.planner.shards import Sharding
from stoker.spec.nouns import ServeSpec
from stoker.spec.places import any_of
from stoker.units import Tokens


def check_model(spec: ServeSpec, shape: ModelShape) -> None:
    """Raises: UsageError, for an architecture that the release has not, or a length beyond the model's."""
    check_architecture(spec, shape)
    asked = spec.engine.options.get("max-model-len")
    if asked is not None and str(asked).lower() not in ("auto", "-1") and Tokens.parse(asked) > shape.max_len:
        raise UsageError(
            f"max-model-len {asked} is above the model's {shape.max_len}",
            at="engine.max-model-len",
            why="the model was not made for longer texts",
            fix=f"max-model-len: {shape.max_len}, or less",
        )


def check_tensor(spec: ServeSpec, shape: ModelShape, size: int) -> None:
    """Raises: UsageError, for a tensor parallel size that cannot split the model."""
    sharding = Sharding(spec.engine.version, spec.engine.options.get("enable-expert-parallel") is True)
    why = divides(shape, size, sharding)
    if why is None:
        return
    fits = [str(n) for n in range(1, shape.heads + 1) if divides(shape, n, sharding) is None]
    what = f"tensor-parallel-size {size}"
    if shape.heads % size:
        what, why = (
            f"{what} does not divide the model's {shape.heads} attention heads",
            "each rank takes as many heads",
        )
    else:
        what = f"{what} cannot split the model"
    whole = "the quantization's block" in why and "experts of" in why
    raise UsageError(
        what,
        at=any_of("engine.tensor-parallel-size", "hardware"),
        why=why,
        fix=f"one of {', '.join(fits)}" + ", or enable-expert-parallel: true" * whole,
        rule="tensor-parallel-heads",
    )


def template_warning(spec: ServeSpec, shape: ModelShape) -> tuple[str, ...]:
    """What to say of a model without a chat template."""
    if shape.has_chat_template or "chat-template" in spec.engine.options:
        return ()
    return (
        "the model has no chat template: chat falls back to completions; `chat-template` under engine takes "
        "a file",
    )


def release_warning(version: str, options: Iterable[str], env: Iterable[str]) -> tuple[str, ...]:
    """What to say of options and environment variables that the catalog knows a release not to have."""
    absent = (*missing("option", options, version), *missing("environment", env, version))
    return tuple(f"{one.why(version)}; {one.fix}" for one in absent)
