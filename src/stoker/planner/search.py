"""The choice of a layout: the smallest that serves what was asked, and why each smaller one does not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from stoker.catalog.gpus import GpuType, gpus
from stoker.model.shape import ModelShape
from stoker.planner.fit import Fit, weigh
from stoker.planner.layout import Layout, divides, tensor_sizes
from stoker.planner.media import whole_item
from stoker.planner.settings import Settings, resolve
from stoker.planner.shards import Sharding
from stoker.spec.nouns import Strategy

MOST_NODES = 16
# Tokens a batch that a tight layout is given instead of vLLM's default for large GPUs: its default for small
# ones.
SMALL_BATCH = 2048
# What a length that nobody asked for may be cut to, so that one node serves the model.
LEAST_LENGTH = 32768


@dataclass(frozen=True, slots=True)
class Request:
    """What a layout must do. count is GPUs a replica; tensor, pipeline and strategy pin it; None leaves it
    open.

    concurrency: requests of the longest length at once. options are vLLM's.
    """

    gpu: GpuType
    per_node: int
    version: str
    options: Mapping[str, Any]
    count: int | None = None
    tensor: int | None = None
    pipeline: int | None = None
    strategy: Strategy | None = None
    concurrency: float = 1.0

    def settings(self, shape: ModelShape, layout: Layout, **more: Any) -> Settings:
        """The options as vLLM resolves them on these GPUs."""
        return resolve(
            {**self.options, **more},
            shape,
            self.version,
            device_memory=self.gpu.memory,
            device=self.gpu.key,
            ranks=layout.gpus,
            pipeline=layout.pipeline,
        )

    def weigh(self, shape: ModelShape, layout: Layout, **more: Any) -> Fit:
        """A layout, weighed with these options, or with `more` over them; and with what vLLM would refuse to
        start without: batches that hold the largest item, and no more sequences than states."""
        batch, item = "max-num-batched-tokens", whole_item(shape, self.options)
        if batch not in self.options and self.settings(shape, layout, **more).max_num_batched_tokens < item:
            more[batch] = item
        fit = self._weighed(shape, layout, more)
        if fit.rows < fit.settings.max_num_seqs and "max-num-seqs" not in self.options and fit.rows > 0:
            more["max-num-seqs"] = _rows(fit)
            fit = self._weighed(shape, layout, more)
        return replace(fit, chosen=more)

    def _weighed(self, shape: ModelShape, layout: Layout, more: Mapping[str, Any]) -> Fit:
        settings = self.settings(shape, layout, **more)
        return weigh(shape, self.gpu.memory, layout, settings, self.concurrency)

    @property
    def sharding(self) -> Sharding:
        """What decides, beside the model, whether a tensor parallel size splits it."""
        return Sharding(self.version, self.options.get("enable-expert-parallel") is True)

    @property
    def length_asked(self) -> bool:
        """Whether somebody asked for a length."""
        return str(self.options.get("max-model-len") or "auto").lower() not in ("auto", "-1")


def _rows(fit: Fit) -> int:
    """Sequences a batch for as many states as there are at least, within the band, in whole eights."""
    share = fit.tightest.band / max(1, fit.tightest.kv_cache)
    least = int(fit.rows * max(0.5, 1 - share))
    return max(1, least // 8 * 8 or least)


@dataclass(frozen=True, slots=True)
class Choice:
    """The layout chosen, or None; and those that were weighed before it and do not do, smallest first.

    shortened: whether the length is less than the model's own, since nobody asked for one. small_batch:
    whether batches are smaller than vLLM's default, so that the length fits.
    """

    fit: Fit | None
    rejected: tuple[Fit, ...]
    shortened: bool = False
    small_batch: bool = False


def choose(shape: ModelShape, ask: Request) -> Choice:
    """The smallest layout that serves what was asked."""
    rejected: list[Fit] = []
    for layout in candidates(shape, ask):
        if layout.nodes > 1 and not ask.length_asked and (short := _shortened(rejected, ask, shape)):
            return short
        fit = ask.weigh(shape, layout)
        small = None if fit.fits or not ask.length_asked else _with_small_batch(shape, ask, fit)
        if fit.fits or small is not None:
            return Choice(small or fit, tuple(rejected), small_batch=small is not None)
        rejected.append(fit)
    if not ask.length_asked and (short := _shortened(rejected, ask, shape)):
        return short
    return Choice(None, tuple(rejected))


def _with_small_batch(shape: ModelShape, ask: Request, fit: Fit) -> Fit | None:
    """The same layout with smaller batches, where that makes it fit: less is taken by activations and
    windows."""
    smaller = _small(shape, ask, fit)
    return smaller if smaller is not None and smaller.fits else None


def _small(shape: ModelShape, ask: Request, fit: Fit) -> Fit | None:
    """The layout with the smallest batches that make sense; None where they are no smaller, or not ours to
    choose."""
    batch = max(SMALL_BATCH, whole_item(shape, ask.options))
    if "max-num-batched-tokens" in ask.options or fit.settings.max_num_batched_tokens <= batch:
        return None
    return ask.weigh(shape, fit.layout, **{"max-num-batched-tokens": batch})


def _shortened(rejected: list[Fit], ask: Request, shape: ModelShape) -> Choice | None:
    """The smallest layout that serves long requests, if not the model's longest: where nobody asked for a
    length."""
    pinned = ask.count is not None or ask.tensor is not None
    least = 1 if pinned else min(LEAST_LENGTH, shape.max_len)
    for index, fit in enumerate(rejected):
        if fit.longest >= least:
            length = max(1, fit.longest // 256 * 256 or fit.longest)
            cut = ask.weigh(shape, fit.layout, **{"max-model-len": length})
            if cut.fits:
                return Choice(cut, tuple(rejected[:index]), shortened=True)
    return None


def candidates(shape: ModelShape, ask: Request) -> Iterator[Layout]:
    """The layouts that may be, smallest first; of equal size, fewer nodes first, then the widest tensor
    parallel."""
    for count in _counts(ask):
        yield from _of_size(shape, ask, count)


def _counts(ask: Request) -> tuple[int, ...]:
    if ask.count is not None:
        return (ask.count,)
    if ask.tensor is not None or ask.pipeline is not None:
        pinned = (ask.tensor or 1) * (ask.pipeline or 1)
        return (pinned,)
    within = [n for n in (1, 2, 4, 8, 16) if n <= ask.per_node]
    across = [ask.per_node * nodes for nodes in range(2, MOST_NODES + 1)]
    match ask.strategy:
        case "single-gpu":
            return (1,)
        case "tensor-parallel":
            return tuple(n for n in within if n > 1)
        case "multi-node":
            return (2, *across) if ask.per_node == 1 else tuple(across)
        case _:
            return (*within, *across)


def _of_size(shape: ModelShape, ask: Request, count: int) -> Iterator[Layout]:
    nodes = max(-(-count // ask.per_node), 2 if ask.strategy == "multi-node" and count > 1 else 1)
    if count % nodes:
        return
    most = count // nodes
    for tensor in sorted(tensor_sizes(shape, most, ask.sharding), reverse=True):
        pinned = (ask.tensor in (None, tensor)) and (ask.pipeline in (None, count // tensor))
        if count % tensor == 0 and pinned and count // tensor <= shape.layers:
            yield Layout(nodes, count // tensor, tensor)
            if most % tensor == 0 and tensor == most:
                return


@dataclass(frozen=True, slots=True)
class Remedy:
    """Something that would make it fit: what to write, and what that gives."""

    fix: str
    gives: str


def remedies(shape: ModelShape, ask: Request, rejected: tuple[Fit, ...]) -> tuple[Remedy, ...]:
    """What would make the last layout fit: a shorter length, 8-bit weights or cache, more GPUs, another
    GPU."""
    if not rejected:
        return ()
    last = rejected[-1]
    found = [
        _fewer(last),
        _shorter(shape, ask, last),
        _smaller(shape, ask, last),
        _smaller_cache(shape, ask, last),
    ]
    found += [_more(shape, ask, last), _other(shape, ask, last)]
    return tuple(remedy for remedy in found if remedy is not None)


def _fewer(last: Fit) -> Remedy | None:
    """As many sequences a batch as there are states for, where more were asked."""
    if last.rows >= last.settings.max_num_seqs or last.rows < 1:
        return None
    rows = _rows(last)
    return Remedy(f"max-num-seqs: {rows}", f"{last.layout} has {last.rows:,} blocks, one for each")


def _shorter(shape: ModelShape, ask: Request, last: Fit) -> Remedy | None:
    """The longest length that the planner would serve there, with batches as small as it would make them."""
    small = _small(shape, ask, last)
    longest = max(last.longest, small.longest if small else 0)
    if longest < 512 or longest >= last.settings.max_model_len:
        return None
    length = longest // 256 * 256
    return Remedy(f"max-model-len: {length}", f"{last.layout} holds one request of {length:,} tokens")


def _smaller(shape: ModelShape, ask: Request, last: Fit) -> Remedy | None:
    if last.settings.quantization is not None or not ask.gpu.supports("fp8"):
        return None
    fit = ask.weigh(shape, last.layout, quantization="fp8")
    return Remedy("quantization: fp8", f"weights {fit.tightest.size('weights')} a GPU") if fit.fits else None


def _smaller_cache(shape: ModelShape, ask: Request, last: Fit) -> Remedy | None:
    if last.settings.kv_bytes == 1 or not ask.gpu.supports("fp8"):
        return None
    fit = ask.weigh(shape, last.layout, **{"kv-cache-dtype": "fp8"})
    return Remedy("kv-cache-dtype: fp8", f"twice the tokens in {fit.tightest.kv_cache}") if fit.fits else None


def _more(shape: ModelShape, ask: Request, last: Fit) -> Remedy | None:
    free = replace(ask, count=None, tensor=None, pipeline=None, strategy=None)
    for layout in candidates(shape, free):
        if layout.gpus > last.layout.gpus and ask.weigh(shape, layout).fits:
            return Remedy(f"hardware: {ask.gpu.key}:{layout.gpus}", f"{layout}")
    return None


def _other(shape: ModelShape, ask: Request, last: Fit) -> Remedy | None:
    """The GPU with the least memory on which the same layout fits."""
    larger = (one for one in gpus().values() if one.memory > ask.gpu.memory and one.maker == ask.gpu.maker)
    for one in sorted(larger, key=lambda gpu: gpu.memory):
        if (
            divides(shape, last.layout.tensor, ask.sharding) is None
            and replace(ask, gpu=one).weigh(shape, last.layout).fits
        ):
            return Remedy(f"hardware: {one.key}:{last.layout.gpus}", f"{one} has {one.memory}")
    return None
