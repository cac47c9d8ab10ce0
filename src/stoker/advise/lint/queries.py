"""The series that a PromQL query selects: by `promql-parser` where it is installed, else by the words alone.

Grafana's variables are filled in first, since no parser knows them. Source:
https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/
"""

import re
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Any

from stoker.advise.lint import promql

LONGEST = 8_000  # characters
DEEPEST = 100  # brackets in one another
MOST = 64  # operators: the parser's time grows with their cube
_OPERATOR = re.compile(r"[-+*/%^<>]|==|!=|\b(?:or|and|unless|atan2)\b")
_SPAN = re.compile(
    r"\$\{?__(?:rate_interval|interval|range|interval_ms|range_s|range_ms)\b[^}\]\s]*\}?(?:s|ms)?"
)
_RANGE = re.compile(r"\[([^\[\]]*)\]")
_VARIABLE = re.compile(r"\$\{[^{}]*\}|\$[A-Za-z_]\w*|\[\[\w+\]\]|\{\{[^{}]*\}\}|<<\.\w+>>")
_TEXT = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`")
_ASKED = re.compile(r"^\s*(?:label_values|query_result|metrics|label_names)\s*\((.*)\)\s*$", re.S)
_NESTED = re.compile(r"[+*}]\)?[+*{]|\([^()]*[+*][^()]*\)[+*{]")  # what a pattern may take for ever over


@dataclass(frozen=True, slots=True)
class Selected:
    """What a query selects. names: series by name. patterns: regular expressions that name them.

    quantile: names inside of a function of histograms. whole: whether the query was understood.
    """

    names: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    quantile: bool = False
    whole: bool = True


@dataclass(slots=True)
class _Seen:
    names: set[str] = field(default_factory=set)
    patterns: set[str] = field(default_factory=set)
    histograms: bool = False


@cache
def parsed() -> bool:
    """Whether the parser is installed."""
    return find_spec("promql_parser") is not None


@lru_cache(4096)
def selected(query: str) -> Selected:
    """The series of a query, whatever its dialect is."""
    if len(query) > LONGEST or _deep(query) > DEEPEST:
        return Selected(whole=False)
    plain = filled(query)
    if parsed() and len(_OPERATOR.findall(_TEXT.sub("", plain))) <= MOST:
        found = _parsed(plain)
        if found is not None:
            return found
    names = promql.read(plain).names
    if names is None:
        return Selected(patterns=frozenset(_by_words(plain)), whole=not parsed())
    return Selected(names, quantile="histogram_" in plain)


def _deep(query: str) -> int:
    depth = most = 0
    for char in _TEXT.sub("", query):
        depth += (char in "([{") - (char in ")]}")
        most = max(most, depth)
    return most


def filled(query: str) -> str:
    """A query with Grafana's variables filled in by what a parser takes in their place."""
    match = _ASKED.match(query)
    if match is not None:  # a variable's own query: the series, then a label
        query = _first(match[1])
    out, end = "", 0
    query = _SPAN.sub("5m", query)
    for found in _TEXT.finditer(query):
        out += _bare(query[end : found.start()]) + found[0]
        end = found.end()
    return out + _bare(query[end:])


def _bare(part: str) -> str:
    """Outside of texts: in a range it is a time, behind a name or a colon a part of it, else a label."""
    part = _RANGE.sub(lambda m: f"[{_VARIABLE.sub('5m', m[1])}]", part)
    part = re.sub(rf"(?<=[\w:])(?:{_VARIABLE.pattern})|(?:{_VARIABLE.pattern})(?=[\w:])", "UNKNOWN", part)
    return _VARIABLE.sub("1" if "(" not in part and "," not in part else "stoker_variable", part)


def _first(arguments: str) -> str:
    """The first of several arguments."""
    depth, quoted = 0, ""
    for index, char in enumerate(arguments):
        if quoted:
            quoted = "" if char == quoted else quoted
        elif char in "\"'`":
            quoted = char
        elif char == "," and depth == 0:
            return arguments[:index]
        else:
            depth += (char in "([{") - (char in ")]}")
    return arguments


def _parsed(query: str) -> Selected | None:
    import promql_parser

    try:
        tree = promql_parser.parse(query)
    except ValueError:
        return None
    seen = _Seen()

    def visit(one: Any) -> bool:
        _visit(one, seen)
        return True

    promql_parser.walk(tree, visit)
    return Selected(frozenset(seen.names), frozenset(seen.patterns), seen.histograms)


def _visit(one: Any, seen: _Seen) -> None:
    name = type(one).__name__
    if name == "Call":
        seen.histograms |= one.func.name.startswith("histogram_")
    elif name == "MatrixSelector":
        _select(one.vector_selector, seen)
    elif name == "VectorSelector":
        _select(one, seen)


def _select(one: Any, seen: _Seen) -> None:
    if one.name:
        seen.names.add(one.name)
    for matcher in one.matchers.matchers:
        if matcher.name == "__name__":
            kind = str(matcher.op).rpartition(".")[2]
            if kind == "Equal":
                seen.names.add(matcher.value)
            elif kind == "Re":
                seen.patterns.add(matcher.value)


def _by_words(query: str) -> set[str]:
    """Patterns of names where no parser is here: those that stand in plain sight."""
    return set(re.findall(r"__name__\s*=~\s*\"([^\"\\]{1,200})\"", query))


def matches(pattern: str, names: frozenset[str]) -> bool | None:
    """Whether a pattern, anchored as Prometheus has it, is the name of any series; None where that may take
    for ever, or is no pattern here."""
    if len(pattern) > 300 or _NESTED.search(pattern) or "$" in pattern.rstrip("$"):
        return None
    try:
        found = re.compile(pattern)
    except re.error:
        return None
    return any(found.fullmatch(one) for one in names)
