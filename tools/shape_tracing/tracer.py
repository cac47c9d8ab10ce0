"""Follows the making of a model: which parameters, under which conditions, in which loops."""

import builtins
import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

from shape_tracing import symbols
from shape_tracing.symbols import SymInt, SymList, expr, sym

CAP = 6  # iterations of a loop over a number; more of a list, until all its values were seen


class Tracer:
    """One making of a model. `forced` are answers that conditions get instead of their own.

    `stream` is what happened: ("p", id, dims), ("b", condition, answer), ("call", name, stream),
    ("loop", count, variable, streams).
    """

    def __init__(self, forced: dict[Any, Any]) -> None:
        self.forced = forced
        self.active = False
        self.stream: list[Any] = []
        self.stack: list[tuple[str, Any, list[Any]]] = [("root", None, self.stream)]
        self.values: dict[int, Any] = {}
        self.kinds: dict[CodeType, bool] = {}
        self.parameters: list[Any] = []  # kept alive: their ids are names
        self.depth = 0
        symbols.TRACER = self

    def made(self, value: int, how: Any) -> None:
        """A whole number came out of others."""
        self.values[value] = how

    def asked(self, condition: Any, value: bool) -> bool:
        """The answer to a condition, which is noted where the model's own code asks."""
        if not self.active:
            return value
        origin = self._origin()
        if origin is None:
            return value
        if origin == "torch" and condition[0] != "attr":
            return value
        value = self.forced.get(condition, value)
        self.note(("b", condition, value))
        return value

    def note(self, event: Any) -> None:
        """Adds to what happened."""
        self.stack[-1][2].append(event)

    def _origin(self) -> str | None:
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and "/shape_tracing/" in frame.f_code.co_filename:
            frame = frame.f_back
        return _where(frame.f_code.co_filename) if frame is not None else None

    # --- scopes

    def profile(self, frame: FrameType, event: str, _arg: Any) -> None:
        """Opens a scope with a function of the model's code, and closes it."""
        if event not in ("call", "return"):
            return
        code = frame.f_code
        known = self.kinds.get(code)
        if known is None:
            known = self.kinds[code] = _where(code.co_filename) is not None and not code.co_flags & 0x20
        if not known:
            return
        if event == "call":
            self.stack.append(("call", frame, []))
            return
        while len(self.stack) > 1:
            kind, owner, stream = self.stack.pop()
            if kind == "call":
                if stream:
                    self.note(("call", f"{code.co_filename.rpartition('/')[2]}:{code.co_qualname}", stream))
                if owner is frame:
                    break
        self._measure()

    # --- loops

    def walk(self, over: Any) -> Iterator[tuple[Any, Any]]:
        """Index and item of a range or a list of the config, a loop in the stream."""
        if not self.active or self._origin() != "transformers":
            yield from enumerate(list.__iter__(over) if isinstance(over, SymList) else over.plain())
            return
        yield from self._loop(over)

    def _loop(self, over: Any) -> Iterator[tuple[Any, Any]]:
        streams: list[Any] = []
        name = f"i{self.depth}"
        count = ("len", over.expr) if isinstance(over, SymList) else over.count
        self.note(("loop", count, name, streams))
        level, lost = len(self.stack), False
        for n in _chosen(over):
            stream: list[Any] = []
            if not lost:
                streams.append(stream)
                self.stack.append(("iteration", None, stream))
            self._measure()
            yield self._step(over, n, name)
            if not lost and (len(self.stack) <= level or self.stack[level][2] is not stream):
                lost = True  # two loops in step, as in zip: the rest is gone through without a word
            if not lost:
                del self.stack[level:]
                self._measure()

    def _measure(self) -> None:
        self.depth = sum(kind == "iteration" for kind, _, _ in self.stack)

    def _step(self, over: Any, n: int, name: str) -> tuple[Any, Any]:
        index = sym(n, ("var", name))
        if isinstance(over, SymList):
            return index, sym(list.__getitem__(over, n), ("item", over.expr, ("var", name)))
        start = over.start
        value = index if expr(start) == 0 else sym(int(start) + n, ("+", expr(start), ("var", name)))
        return index, value


def _chosen(over: Any) -> list[int]:
    """Which iterations are made: some of many alike."""
    if isinstance(over, SymList):
        values = list(list.__iter__(over))
        seen: dict[Any, int] = {}
        out = []
        for n, value in enumerate(values):
            seen[value] = seen.get(value, 0) + 1
            if n < CAP or seen[value] <= 2 or n == len(values) - 1:
                out.append(n)
        return out[:48]
    count = len(over)
    return list(range(count)) if count <= CAP + 2 else [*range(CAP), count - 2, count - 1]


class SymRange:
    """`range` of a number with a memory."""

    def __init__(self, start: Any, stop: Any) -> None:
        self.start, self.stop = start, stop
        self.count = expr(stop) if expr(start) == 0 else ("-", expr(stop), expr(start))

    def plain(self) -> Any:
        return builtins.range(int(self.start), int(self.stop))

    def __len__(self) -> int:
        return builtins.len(self.plain())

    def __getitem__(self, index: Any) -> Any:
        return self.plain()[index]

    def __iter__(self) -> Iterator[Any]:
        return (item for _, item in symbols.TRACER.walk(self))

    def __reversed__(self) -> Iterator[Any]:
        return iter(self)

    def __contains__(self, value: Any) -> bool:
        return value in self.plain()


def traced_range(*args: Any) -> Any:
    """`range`, of numbers with a memory too."""
    if builtins.len(args) > 2 or not any(isinstance(one, SymInt) for one in args):
        return builtins.range(*args)
    start, stop = (0, args[0]) if builtins.len(args) == 1 else args
    return SymRange(start, stop)


def traced_enumerate(over: Any, start: Any = 0) -> Any:
    """`enumerate`, whose index remembers its loop."""
    if isinstance(over, SymList | SymRange) and builtins.int(start) == 0:
        return symbols.TRACER.walk(over)
    if isinstance(over, SymZip) and builtins.int(start) == 0:
        return over.pairs()
    return builtins.enumerate(over, start)


def traced_len(over: Any) -> Any:
    """`len`, with a memory for lists of the config."""
    count = builtins.len(over)
    return sym(count, ("len", over.expr)) if isinstance(over, SymList) else count


class _Whole(type):
    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, builtins.int)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, builtins.int)


class TracedInt(metaclass=_Whole):
    """`int`, which keeps the memory of what it is made of."""

    def __new__(cls, value: Any = 0, *rest: Any) -> Any:
        if isinstance(value, symbols.SymInt):
            return value
        if isinstance(value, symbols.SymFloat):
            return value.__trunc__()
        if isinstance(value, symbols.SymBool):
            return int(bool(value))
        return builtins.int(value, *rest)


def traced_sum(values: Any, start: Any = 0) -> Any:
    """`sum` of a list of the config, with a memory."""
    if isinstance(values, SymList):
        return sym(builtins.sum(list.__iter__(values), start), ("sum", values.expr))
    return builtins.sum(values, start)


def traced_zip(*over: Any, strict: bool = False) -> Any:
    """`zip`, one loop over the first list of the config, the others at its index."""
    first = next((n for n, one in builtins.enumerate(over) if isinstance(one, SymList)), None)
    if first is None or any(not isinstance(one, list | tuple) for one in over):
        return builtins.zip(*over, strict=strict)
    return SymZip(over, first)


class SymZip:
    """`zip` of lists, of which one has a memory."""

    def __init__(self, over: Any, first: int) -> None:
        self.over, self.first = over, first

    def pairs(self) -> Iterator[tuple[Any, Any]]:
        """Index and items."""
        for index, item in symbols.TRACER.walk(self.over[self.first]):
            if any(builtins.len(one) <= builtins.int(index) for one in self.over):
                return
            yield (
                index,
                tuple(item if n == self.first else one[index] for n, one in builtins.enumerate(self.over)),
            )

    def __iter__(self) -> Iterator[Any]:
        return (items for _, items in self.pairs())


NAMES = {
    "zip": traced_zip,
    "range": traced_range, "enumerate": traced_enumerate, "len": traced_len, "int": TracedInt,
    "sum": traced_sum,
}  # fmt: skip


def _where(file: str) -> str | None:
    if "/transformers/" in file:
        name = file.rpartition("/")[2]
        skip = ("configuration_", "modeling_utils", "modeling_rope", "generic", "import_utils", "logging")
        return None if name.startswith(skip) or "/integrations/" in file else "transformers"
    return "torch" if "/torch/nn/modules/" in file else None
