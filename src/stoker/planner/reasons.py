"""Why a layout was chosen: each smaller one that does not do, and the options that were added."""

from stoker.catalog.gpus import GpuType
from stoker.model.shape import ModelShape
from stoker.planner.capability import lesser_dtype
from stoker.planner.fit import Fit
from stoker.planner.layout import Layout
from stoker.planner.search import Choice
from stoker.spec.nouns import ServeSpec


def reasons_of(
    spec: ServeSpec, shape: ModelShape, kind: GpuType, choice: Choice, fit: Fit
) -> tuple[str, ...]:
    """Why each smaller layout does not do, and what the plan chose beside the layout."""
    out = [f"{label(one.layout, kind)}: {one.why}" for one in choice.rejected]
    if choice.shortened:
        length = fit.settings.max_model_len
        out.append(f"max-model-len {length:,}: what the KV cache holds; the model's own is {shape.max_len:,}")
    if choice.small_batch:
        tokens = fit.settings.max_num_batched_tokens
        out.append(
            f"max-num-batched-tokens {tokens:,}: larger batches leave too little for one request of "
            f"{fit.settings.max_model_len:,}"
        )
    out += _chosen(choice, fit)
    lesser = lesser_dtype(spec, shape, kind)
    if lesser and "dtype" not in spec.engine.options:
        refused = f", and vLLM refuses float16 for {shape.model_type}" if lesser == "float32" else ""
        out.append(f"{lesser}: {kind} has no bfloat16{refused}")
    return tuple(out)


def _chosen(choice: Choice, fit: Fit) -> list[str]:
    """Why options were added that vLLM would refuse to start without."""
    out, batch = [], fit.settings.max_num_batched_tokens
    if "max-num-batched-tokens" in fit.chosen and not choice.small_batch:
        out.append(
            f"max-num-batched-tokens {batch:,}: one image or video takes as many, and comes in one batch"
        )
    if "max-num-seqs" in fit.chosen:
        rows, blocks = fit.settings.max_num_seqs, fit.held.blocks
        out.append(
            f"max-num-seqs {rows:,}: each sequence's state takes one of {blocks:,} blocks, and vLLM "
            f"starts with no more than these"
        )
    return out


def label(layout: Layout, kind: GpuType) -> str:
    """`4 x L4`, with the layout where it is not plain tensor parallelism."""
    plain = layout.pipeline == 1 and layout.nodes == 1
    return f"{layout.gpus} x {kind}" + ("" if plain else f" ({layout})")
