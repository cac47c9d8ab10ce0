"""One option of `vllm serve`: what it takes, and how it is written."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stoker.catalog import values

# What vLLM would take and no machine has, so that nobody plans for it.
SANE: Mapping[str, int] = dict.fromkeys(
    (
        "tensor-parallel-size", "pipeline-parallel-size", "decode-context-parallel-size", "prefill-context-parallel-size",
        "api-server-count", "data-parallel-size-local", "renderer-num-workers", "max-parallel-loading-workers",
    ),
    1024,
) | dict.fromkeys(("max-num-seqs", "max-num-active-seqs", "max-loras", "max-cpu-loras"), 2**20) | {"kv-cache-memory-bytes": 2**50}  # fmt: skip

Kind = Literal["bool", "int", "float", "str", "json", "tokens"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option of `vllm serve`, under its own name without dashes.

    many: how several values are written (after one flag, with a flag each, joined by commas).
    negatable: false is written `--no-NAME`. bare: the flag may stand without a value.
    folds: case and dashes in a choice do not matter. auto: takes `auto` besides a count.
    least, above, most, below: the range that vLLM's own config classes take a number of.
    dotted: takes a JSON object, whose keys may also stand as `--NAME.KEY value`. text: takes other text too.
    """

    name: str
    kind: Kind
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    many: Literal["", "list", "repeat", "comma"] = ""
    negatable: bool = False
    bare: bool = False
    folds: bool = False
    dotted: bool = False
    text: bool = False
    auto: bool = False
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    default: bool | int | float | str | None = None
    help: str = ""

    def check(self, value: Any) -> str | None:
        """Why a value does not fit, in words; None where it does."""
        if self.bare and value is True:
            return None
        if not self.many or not isinstance(value, list):
            return self._check_one(value)
        if not value:
            return "expected at least one value"
        return next((why for why in map(self._check_one, value) if why), None)

    def _check_one(self, value: Any) -> str | None:
        if self.choices:
            return values.check_choice(value, self.choices, self.folds)
        match self.kind:
            case "json":
                return values.check_json(value, dict if self.dotted else list, self.text)
            case "tokens":
                return values.check_tokens(value, self.auto, SANE.get(self.name, 2**31))
            case kind:
                why = values.CHECKS[kind](value)
                return why or self._out_of_range(value)

    def _out_of_range(self, value: Any) -> str | None:
        """Why vLLM would refuse a number at its start; None for text, and where it would not."""
        if self.kind not in ("int", "float"):
            return None
        number, most = float(value), SANE.get(self.name, math.inf)
        beyond = (
            self.least is not None and number < self.least,
            self.above is not None and number <= self.above,
            self.most is not None and number > self.most,
            self.below is not None and number >= self.below,
        )
        if any(beyond):
            return f"vLLM takes {self.takes()}"
        return f"no machine has so many: {most:,} at most" if number > most else None

    def takes(self) -> str:
        """What fits, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        match self.kind:
            case "int" | "float":
                return values.between(
                    self.kind, self.least, self.above, self.most or SANE.get(self.name), self.below
                )
            case "tokens":
                return f"a count such as 8192, 32K or 32k{', or auto' * self.auto}"
            case "json":
                return f"{'a table' if self.dotted else 'a list'}, or JSON text of one"
        return "true or false" if self.kind == "bool" else "text"

    def argv(self, value: Any) -> tuple[str, ...]:
        """The words of a command line that set it. Empty for false, where vLLM has no way to say no."""
        flag = f"--{self.name}"
        if self.kind == "bool":
            return (flag,) if value else (f"--no-{self.name}",) * self.negatable
        if self.bare and value is True:
            return (flag,)
        if not self.many or not isinstance(value, list):
            return _flagged(flag, values.word(value))
        words = tuple(values.word(one) for one in value)
        if self.many == "list":
            return (flag, *words)
        if self.many == "comma":
            return _flagged(flag, ",".join(words))
        return tuple(part for word in words for part in _flagged(flag, word))


def _flagged(flag: str, word: str) -> tuple[str, ...]:
    """Flag and word apart, unless argparse would take the word for another flag."""
    return (f"{flag}={word}",) if word.startswith("-") and not values.is_number(word) else (flag, word)
