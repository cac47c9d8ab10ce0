"""As much of PromQL as tells what a query's one figure is: its outermost aggregation, the series it selects,
how far it looks back.

No parser: brackets and words are told apart, and whatever is not plain is answered with None, so that nobody
concludes anything from it. Source: https://prometheus.io/docs/prometheus/latest/querying/
"""

import re
from dataclasses import dataclass
from functools import lru_cache

AGGREGATIONS = frozenset(
    {
        "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile",
        "count_values", "limitk", "limit_ratio",
    }
)  # fmt: skip
# Functions of a figure that leave what it is a figure of.
THROUGH = frozenset(
    {"ceil", "floor", "round", "scalar", "clamp_min", "clamp_max", "clamp", "sort", "sort_desc"}
)
# Labels that all replicas of a fleet have alike.
SHARED = frozenset(
    {"namespace", "model_name", "model", "job", "service", "cluster", "app", "deployment", "container"}
)
_MATCHING = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = (
    frozenset({"bool", "offset", "and", "or", "unless", "atan2", "inf", "nan", "start", "end"}) | _MATCHING
)
_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<text>"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|`[^`]*`)|(?P<range>\[[^\[\]]{0,200}\])"""
    r"""|(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|(?P<number>[0-9.][0-9a-zA-Z_.]*)|(?P<mark>=~|!~|!=|==|>=|<=|.)""",
    re.S,
)
_SPAN = re.compile(r"([0-9]{1,9})(ms|[smhdwy])")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
LONGEST = 8_000  # characters
Token = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Query:
    """What is seen of a query. Every field is None where it is not plain.

    outer: the outermost aggregation or function, or `selector` where the series themselves come out. inside:
    the same of its argument. aggregates: whether anything in it does. by: the labels that it is split by, in
    a text. names: the series selected. inner: matchers of labels, all in one text. looks_back: seconds of the
    longest range.
    """

    outer: str | None
    inside: str | None
    aggregates: bool
    by: str | None
    names: frozenset[str] | None
    inner: str
    looks_back: float | None

    @property
    def one(self) -> bool:
        """Whether all replicas come out as one figure: it is split by none of their own labels."""
        by, _, labels = (self.by or "").partition(" ")
        return not by or (by == "by" and set(labels.strip("() ").split()) - {","} <= SHARED)


@lru_cache(512)
def read(query: str) -> Query:
    """What is seen of a query."""
    tokens = _tokens(query) if len(query) <= LONGEST else None
    if not tokens:
        return Query(None, None, True, None, None, "", None)
    whole = _unwrapped(_without_zero(tokens))
    outer, by = _outer(whole)
    start = next(
        (index for index, one in enumerate(whole) if one == ("mark", "(") and not _by(whole, index)), None
    )
    inside = (
        None
        if outer in (None, "selector") or start is None
        else _outer(whole[start + 1 : _close(whole, start)])[0]
    )
    aggregates = any(kind == "name" and word in AGGREGATIONS for kind, word in tokens)
    return Query(outer, inside, aggregates, by, _names(tokens), _matchers(tokens), _looks_back(tokens))


def _by(tokens: list[Token], index: int) -> bool:
    """Whether a bracket holds labels rather than an argument."""
    return index > 0 and tokens[index - 1][1] in _MATCHING


def _tokens(query: str) -> list[Token] | None:
    """The words and marks; None where brackets do not close."""
    out: list[Token] = []
    for match in _TOKEN.finditer(query):
        if match.lastgroup:
            out.append((match.lastgroup, match[0]))
    depth = 0
    for _, word in out:
        depth += (word in "({") - (word in ")}") if len(word) == 1 else 0
        if depth < 0:
            return None
    return out if depth == 0 else None


def _close(tokens: list[Token], start: int) -> int:
    """Where the bracket that opens at `start` closes."""
    depth = 0
    for index in range(start, len(tokens)):
        kind, word = tokens[index]
        if kind == "mark":
            depth += (word in "({") - (word in ")}") if len(word) == 1 else 0
        if depth == 0:
            return index
    return len(tokens)


def _without_zero(tokens: list[Token]) -> list[Token]:
    """Without an `or vector(0)` at its end, which gives a figure where there is none."""
    words = [word for _, word in tokens]
    for tail in (["or", "vector", "(", "0", ")"], ["or", "on", "(", ")", "vector", "(", "0", ")"]):
        if words[-len(tail) :] == tail and len(tokens) > len(tail):
            rest = tokens[: -len(tail)]
            return rest if not _operators(rest) else tokens
    return tokens


def _operators(tokens: list[Token]) -> bool:
    """Whether two expressions stand beside each other, outside of brackets."""
    depth = 0
    for kind, word in tokens:
        if kind == "mark" and word in ("(", "{"):
            depth += 1
        elif kind == "mark" and word in (")", "}"):
            depth -= 1
        elif depth == 0 and (kind == "mark" or word in ("or", "and", "unless", "atan2")):
            return True
    return False


def _unwrapped(tokens: list[Token]) -> list[Token]:
    """Without brackets around all of it, and without functions that only round or bound a figure."""
    while tokens:
        if tokens[0] == ("mark", "(") and _close(tokens, 0) == len(tokens) - 1:
            tokens = tokens[1:-1]
        elif (
            tokens[0][1] in THROUGH
            and tokens[1:2] == [("mark", "(")]
            and _close(tokens, 1) == len(tokens) - 1
        ):
            tokens = _first(tokens[2:-1])
        else:
            break
    return tokens


def _first(tokens: list[Token]) -> list[Token]:
    """The first of several arguments."""
    depth = 0
    for index, (kind, word) in enumerate(tokens):
        if kind == "mark":
            depth += (word in "({") - (word in ")}") if len(word) == 1 else 0
            if depth == 0 and word == ",":
                return tokens[:index]
    return tokens


def _outer(tokens: list[Token]) -> tuple[str | None, str | None]:
    """The outermost function with what it is split by; None where something else joins the parts."""
    if not tokens or tokens[0][0] != "name":
        selected = bool(tokens) and tokens[0][1] == "{" and _selector(tokens, 0) == len(tokens)
        return ("selector" if selected else None), ""
    name, at, by = tokens[0][1], 1, ""
    if name in AGGREGATIONS and at < len(tokens) and tokens[at][1] in ("by", "without"):
        at, by = _labels(tokens, at)
    if at >= len(tokens) or tokens[at] != ("mark", "("):
        return ("selector" if _selector(tokens, 1) == len(tokens) else None), ""
    end = _close(tokens, at) + 1
    if name in AGGREGATIONS and end < len(tokens) and tokens[end][1] in ("by", "without"):
        end, by = _labels(tokens, end)
    return (name, by) if end == len(tokens) else (None, None)


def _labels(tokens: list[Token], at: int) -> tuple[int, str]:
    """Behind `by (…)`, and its text."""
    if at + 1 >= len(tokens) or tokens[at + 1] != ("mark", "("):
        return len(tokens) + 1, ""
    end = _close(tokens, at + 1)
    return end + 1, " ".join(word for _, word in tokens[at : end + 1])


def _selector(tokens: list[Token], at: int) -> int:
    """Behind the matchers, range and offset of a selector whose name ends at `at`."""
    if at < len(tokens) and tokens[at] == ("mark", "{"):
        at = _close(tokens, at) + 1
    if at < len(tokens) and tokens[at][0] == "range":
        at += 1
    if at < len(tokens) and tokens[at][1] == "offset":
        at += 2
    return at


def _names(tokens: list[Token]) -> frozenset[str] | None:
    """The series that are selected; None where one is named by a pattern."""
    out: set[str] = set()
    index = 0
    while index < len(tokens):
        kind, word = tokens[index]
        following = tokens[index + 1][1] if index + 1 < len(tokens) else ""
        if word in _MATCHING and following == "(":
            index = _close(tokens, index + 1)
        elif word == "{" and kind == "mark":
            end = _close(tokens, index)
            named = _named(tokens[index + 1 : end])
            if named is None:
                return None
            out |= named
            index = end
        elif kind == "name" and following != "(" and word.lower() not in _WORDS | AGGREGATIONS:
            out.add(word)
        index += 1
    return frozenset(out)


def _named(tokens: list[Token]) -> set[str] | None:
    """Names inside of `{}`: `__name__="…"`, or a quoted one; None for a pattern."""
    out: set[str] = set()
    for index, (kind, word) in enumerate(tokens):
        before = tokens[index - 1][1] if index else ""
        after = tokens[index + 1][1] if index + 1 < len(tokens) else ""
        if word == "__name__" and kind == "name":
            if after != "=":
                return None
            out |= {tokens[index + 2][1][1:-1]} if index + 2 < len(tokens) else set()
        elif kind == "text" and before in ("", ",") and after in ("", ","):
            out.add(word[1:-1])
    return out


def _matchers(tokens: list[Token]) -> str:
    """All matchers of labels in one text."""
    out: list[str] = []
    index = 0
    while index < len(tokens):
        if tokens[index] == ("mark", "{"):
            end = _close(tokens, index)
            out += [word for _, word in tokens[index : end + 1]]
            index = end
        index += 1
    return " ".join(out)


def _looks_back(tokens: list[Token]) -> float:
    """Seconds of the longest range; of a subquery the part before its step."""
    found = [_seconds(word[1:-1].partition(":")[0]) for kind, word in tokens if kind == "range"]
    return max(found, default=0.0)


def _seconds(span: str) -> float:
    """`5m`, `1h30m`, or 0 where it is a variable."""
    return sum(int(count) * _UNITS[unit] for count, unit in _SPAN.findall(span))
