"""How many parameters a model has, and how sure that is: headers before blueprints before estimates."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from stoker.catalog import shapes
from stoker.model.assembly import assembled
from stoker.model.blueprint import Drawn
from stoker.model.families import FAMILIES
from stoker.model.parts import Layer, Part

SURE = 0.005  # of what is counted exactly: rounding of what vLLM pads
TABLE = 0.02  # of the hand-written table, where transformers has no class to hold it against
DOUBT = 0.30  # of a blueprint outside of what was seen of its class
GUESS = 1.0  # of an architecture that nobody here has read
SAME = 0.01  # how far the readers may differ before the blueprint's own parts are taken


@dataclass(frozen=True, slots=True)
class Sized:
    """Parameters, the share by which they may be off either way, and why they are not sure, if they are
    not."""

    parameters: int
    band: float
    doubt: str = ""


def sized(architecture: str, counted: int, in_headers: int, whole: Drawn | None) -> Sized:
    """Weighs what is known. `counted`: what the parts come to; `in_headers`: 0 where there are none."""
    if in_headers:
        alike = 0.9 < in_headers / counted < 1.1
        doubt = "" if alike else "its weights have other parameters than its config.json gives"
        return Sized(in_headers, SURE if alike else 0.1, doubt)
    if whole is not None:
        return _drawn(architecture, whole)
    if shapes.blueprint(architecture) is not None:
        return Sized(counted, DOUBT, f"config.json does not fit what the class of {architecture} makes of it")
    if architecture in FAMILIES:
        return Sized(counted, TABLE)
    return Sized(counted, GUESS, f"the architecture {architecture} is not known here")


def _drawn(architecture: str, whole: Drawn) -> Sized:
    if whole.doubts:
        asked = "; ".join(one for one in whole.doubts if one)
        return Sized(
            whole.parameters, DOUBT, f"{architecture} was never seen with such fields: {asked[:150]}"
        )
    _, worst = shapes.checked(architecture)
    if worst <= SURE:
        return Sized(whole.parameters, SURE)
    told = f"{architecture} is read to within {worst:.1%} of its class"
    return Sized(whole.parameters, max(SURE, min(GUESS, 2 * worst)), told if worst > 0.02 else "")


def count(parts: Iterable[Part]) -> int:
    """Parameters of parts; vLLM's second copy of a latent's up-projection is none of the model's."""
    return sum(part.parameters for part in parts if not part.name.endswith("absorbed"))


def resized(
    decoder: tuple[Layer, ...],
    first: tuple[Part, ...],
    last: tuple[Part, ...],
    whole: Drawn | None,
    kv_heads: int,
) -> tuple[tuple[Layer, ...], tuple[Part, ...], tuple[Part, ...]]:
    """The parts that a model really has, where the reader's come to something else."""
    counted = count((*first, *last, *(part for layer in decoder for part in layer.parts)))
    if whole is None or abs(counted - whole.parameters) <= SAME * whole.parameters:
        return decoder, first, last
    found = assembled(whole.tensors, kv_heads)
    if len(found.layers) != len(decoder):
        return decoder, first, last
    kinds: dict[Layer, Layer] = {}
    layers = tuple(_with(layer, found.layers[n]) for n, layer in enumerate(decoder))
    return tuple(kinds.setdefault(one, one) for one in layers), found.first, found.last


def _with(layer: Layer, parts: tuple[Part, ...]) -> Layer:
    copies = tuple(part for part in layer.parts if part.name.endswith("absorbed"))
    return replace(layer, parts=(*parts, *copies))
