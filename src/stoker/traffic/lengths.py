"""How long prompts and answers are: a number, or a distribution of numbers of tokens."""

import math
import re
from dataclasses import dataclass
from random import Random
from typing import Literal

from stoker.bounds import shown

MOST = 10_000_000  # tokens of one request: more is a mistake
_NUMBER = r"\s*([0-9]+(?:\.[0-9]+)?)\s*"
_FORMS = "expected 128, 64..256, normal(512,100), lognormal(MEAN,MEDIAN) or exponential(128)"


@dataclass(frozen=True, slots=True)
class Lengths:
    """Numbers of tokens. fixed: `a`. uniform: from `a` to `b`, both included. normal: mean `a`, deviation
    `b`. lognormal: mean `a`, median `b`. exponential: mean `a`. Never below 1."""

    kind: Literal["fixed", "uniform", "normal", "lognormal", "exponential"]
    a: float
    b: float = 0.0

    @property
    def mean(self) -> float:
        """Its mean, before it is rounded and cut at 1."""
        return (self.a + self.b) / 2 if self.kind == "uniform" else self.a

    def draw(self, random: Random) -> int:
        """One of them."""
        match self.kind:
            case "fixed":
                return int(self.a)
            case "uniform":
                return random.randint(int(self.a), int(self.b))
            case "normal":
                found = random.gauss(self.a, self.b)
            case "lognormal":
                found = random.lognormvariate(math.log(self.b), math.sqrt(2 * math.log(self.a / self.b)))
            case "exponential":
                found = random.expovariate(1 / self.a)
        return min(MOST, max(1, round(found)))

    def __str__(self) -> str:
        match self.kind:
            case "fixed":
                return f"{self.a:g}"
            case "uniform":
                return f"{self.a:g}..{self.b:g}"
            case "exponential":
                return f"exponential({self.a:g})"
        return f"{self.kind}({self.a:g},{self.b:g})"


def fixed(tokens: int) -> Lengths:
    """Always so many."""
    return Lengths("fixed", tokens)


def parse(value: object) -> Lengths:
    """Reads `128`, `64..256`, `normal(512,100)`, `lognormal(1155,1020)`, `exponential(128)`.

    Raises: ValueError, saying what is expected.
    """
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if found := re.fullmatch(r"\s*([0-9]{1,9})\s*(?:\.\.\s*([0-9]{1,9})\s*)?", text):
        return _range(text, int(found[1]), int(found[2]) if found[2] else None)
    found = re.fullmatch(rf"\s*(normal|lognormal|exponential)\({_NUMBER}(?:,{_NUMBER})?\)\s*", text)
    if found is None or len(text) > 60 or (found[3] is None) != (found[1] == "exponential"):
        raise ValueError(f"{shown(value)} is no length: {_FORMS}")
    return _law(text, found[1], float(found[2]), float(found[3] or 0))


def _range(text: str, low: int, high: int | None) -> Lengths:
    if not 1 <= low <= (low if high is None else high) <= MOST:
        raise ValueError(f"{shown(text)} is no length: from 1 to {MOST:,}, the smaller number first")
    return Lengths("fixed", low) if high is None else Lengths("uniform", low, high)


def _law(text: str, kind: str, a: float, b: float) -> Lengths:
    if not 1 <= a <= MOST:
        raise ValueError(f"{shown(text)} is no length: its mean is from 1 to {MOST:,} tokens")
    if kind == "lognormal" and not 1 <= b <= a:
        raise ValueError(f"{shown(text)} is no length: a lognormal's median lies from 1 to its mean")
    return Lengths(kind, a, b)  # type: ignore[arg-type]
