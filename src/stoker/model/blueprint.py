"""The tensors of a model, by its architecture's blueprint and its config.json.

A blueprint is a program that `tools/read_shapes.py` read out of the model's class: tensors with formulas for
their sizes, conditions, and loops over layers. Nodes: `["p", name, sizes]`, `["b", condition, then, else]`,
`["l", count, variable, body]`, `["m", path, model]` (the part at `path` is a model of its own), and `["a",
condition, answer]`, where the class was only seen with this answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stoker.catalog import shapes
from stoker.model.expressions import Unfit, uses, value
from stoker.model.fields import Fields

STEPS = 400_000  # of a program; the largest models take some thousands
LOOPS = 4_096  # iterations of one loop
DEPTH = 6  # models in one another


@dataclass(frozen=True, slots=True)
class Tensor:
    """Weights of a model that have one name but for their layer's number. `layer` is None outside of
    layers."""

    name: str
    parameters: int
    layer: int | None = None


@dataclass(slots=True)
class Drawn:
    """What a blueprint gives: its tensors, and why they are not all sure, if they are not.

    `text` are the decoder's fields that config.json leaves to its class.
    """

    tensors: list[Tensor] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    text: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """All of them."""
        return sum(one.parameters for one in self.tensors)


def drawn(config: Mapping[str, Any], architecture: str) -> Drawn | None:
    """The tensors of a model; None where the catalog has no blueprint of its architecture, or it does not
    fit.

    Raises: nothing: what does not fit is a doubt, or None.
    """
    plan = shapes.blueprint(architecture)
    if plan is None:
        return None
    run = _Run(Drawn())
    try:
        run.model(plan, config, "", 0)
    except (Unfit, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None
    return run.out


class _Run:
    """One reading of a program."""

    def __init__(self, out: Drawn) -> None:
        self.out, self.steps = out, 0

    def model(self, plan: Mapping[str, Any], config: Mapping[str, Any], prefix: str, depth: int) -> None:
        """Adds the tensors of a model, and takes away those that are tied to others."""
        if depth > DEPTH:
            raise Unfit("models stand in one another without end")
        fields = Fields(config, plan["configs"])
        if not self.out.text or prefix:
            self.out.text = fields.completed() or self.out.text
        first = len(self.out.tensors)
        self.nodes(plan["program"], fields, {}, prefix, depth)
        self._share(plan.get("shared"), fields, first)
        dropped = {
            f"{prefix}{name}"
            for path, names in plan.get("tied", {}).items()
            if fields.field(path, "tie_word_embeddings", None)
            for name in names
        }
        if dropped:
            kept = [one for one in self.out.tensors[first:] if one.name not in dropped]
            self.out.tensors[first:] = kept

    def _share(self, shared: Mapping[str, Any] | None, fields: Fields, first: int) -> None:
        """Leaves out blocks that are those of earlier layers again, as in Zamba: only so many are a model's
        own."""
        if shared is None or not fields.field("", "tie_word_embeddings"):
            return
        made = self.out.tensors[first:]
        within = sorted({one.layer for one in made if one.layer is not None and shared["part"] in one.name})
        own = set(within[: int(value(shared["blocks"], fields, {}))])
        self.out.tensors[first:] = [one for one in made if shared["part"] not in one.name or one.layer in own]

    def nodes(
        self, program: list[Any], fields: Fields, names: dict[str, int], prefix: str, depth: int
    ) -> None:
        """Adds what a list of nodes gives."""
        for node in program:
            self.steps += 1
            if self.steps > STEPS:
                raise Unfit("it is larger than any model")
            kind = node[0]
            if kind == "p":
                self._tensor(node, fields, names, prefix)
            elif kind == "b":
                yes = bool(value(node[1], fields, names))
                self.nodes(node[2] if yes else node[3], fields, names, prefix, depth)
            elif kind == "l":
                self._loop(node, fields, names, prefix, depth)
            elif kind == "a":
                self._assumed(node, fields, names)
            else:
                self._part(node, fields, prefix, depth)

    def _tensor(self, node: list[Any], fields: Fields, names: dict[str, int], prefix: str) -> None:
        count = 1
        for size in node[2]:
            count *= int(value(size, fields, names))
        if not 0 <= count < 2**60:
            raise Unfit(f"{node[1]} would have {count:,} parameters")
        self.out.tensors.append(Tensor(prefix + node[1], count, names.get("i0")))

    def _loop(self, node: list[Any], fields: Fields, names: dict[str, int], prefix: str, depth: int) -> None:
        count, name, body = int(value(node[1], fields, names)), node[2], node[3]
        if not 0 <= count <= LOOPS:
            raise Unfit(f"{count:,} layers")
        if names and not uses(body, name):  # alike: once is enough
            first = len(self.out.tensors)
            if count:
                self.nodes(body, fields, {**names, name: 0}, prefix, depth)
            self.out.tensors[first:] = [
                Tensor(one.name, one.parameters * count, one.layer) for one in self.out.tensors[first:]
            ]
            return
        for index in range(count):
            self.nodes(body, fields, {**names, name: index}, prefix, depth)

    def _assumed(self, node: list[Any], fields: Fields, names: dict[str, int]) -> None:
        try:
            same = bool(value(node[1], fields, names)) == node[2]
        except Unfit:
            same = False
        if not same and len(self.out.doubts) < 5:
            self.out.doubts.append(told(node[1]))

    def _part(self, node: list[Any], fields: Fields, prefix: str, depth: int) -> None:
        inner = fields.part(node[1])
        kind = shapes.of_type(str(inner.get("model_type") or "")) or node[2]
        plan = shapes.blueprint(kind)
        if plan is None:
            raise Unfit(f"{kind} is not known")
        self.model(plan, inner, f"{prefix}{node[3]}.", depth + 1)


def told(condition: Any) -> str:
    """The fields that a condition is about."""
    if isinstance(condition, list) and condition[:1] == ["attr"]:
        return ".".join(one for one in condition[1:] if one)
    if isinstance(condition, list):
        return ", ".join(dict.fromkeys(text for one in condition[1:] if (text := told(one))))
    return ""
