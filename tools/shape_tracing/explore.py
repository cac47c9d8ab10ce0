"""All ways that a model's making can go, found by answering its conditions the other way."""

import time
import warnings
from typing import Any

from shape_tracing import build, tree

RUNS = 90
SECONDS = 60.0
ROUND = 12


def program(cls: Any, config: Any) -> list[Any]:
    """The program of a model class, around a config of it. Raises: what the first making raises.

    Each condition that was seen with one answer alone is answered the other way in a making of its own, until
    none is open, or the bounds are reached.
    """
    warnings.simplefilter("ignore")
    runs, broken = [build.traced(cls, config, {})], []
    until, tried = time.monotonic() + SECONDS, {frozenset()}
    found = _merged(runs)
    while len(tried) < RUNS and time.monotonic() < until:
        fresh = [*_mixed([*(one for one, _ in runs), *broken], tried), *_fresh(found, tried)]
        if not fresh:
            break
        for forced in fresh:
            if time.monotonic() > until:
                break
            tried.add(forced)
            runs += _tried(cls, config, dict(forced), broken)
        found = _merged(runs)
    return found


def _fresh(found: list[Any], tried: set[Any]) -> list[Any]:
    """Answers that lead to what was not seen yet: a round's worth of them, the shortest first."""
    out: dict[Any, None] = {}
    for path in tree.open_ends(found):
        last = len(path) - 1
        forced = frozenset((c, a) for n, (c, a) in enumerate(path) if n == last or not tree.variables(c))
        if forced in tried:  # no layer was asked so: all are
            forced = frozenset(path)
        if forced not in tried:
            out[forced] = None
    return sorted(out, key=len)[:ROUND]


def _mixed(streams: list[Any], tried: set[Any]) -> list[Any]:
    """Lists of layers' kinds that have every kind that the class asks for."""
    kinds: dict[Any, dict[Any, None]] = {}
    for stream in streams:
        for condition, _ in tree.conditions(stream):
            if condition[0] == "==" and condition[1][0] == "item" and isinstance(condition[2], str):
                kinds.setdefault(condition[1][1], {})[condition[2]] = None
    out = [frozenset({(("list", of), tuple(names))}) for of, names in kinds.items() if len(names) > 1]
    return [forced for forced in out if forced not in tried]


def _tried(cls: Any, config: Any, forced: dict[Any, Any], broken: list[Any]) -> list[Any]:
    """The making with these answers, with stand-ins for missing sizes where it needs them; none if it is
    refused."""
    for more in ({}, {"fill": True}):
        try:
            return [build.traced(cls, config, {**forced, **more})]
        except build.Refused as refused:
            broken.append(refused.stream)
    return []


def _merged(runs: list[Any]) -> list[Any]:
    holders: set[str] = set()
    for stream, names in runs:
        holders |= tree.holders(stream, names)
    streams = [tree.cleaned(stream, names, holders) for stream, names in runs]
    leaves = tree.leaves(streams)
    try:
        return tree.merged(streams, None, leaves)
    except tree.Apart:
        return _greedy(streams, leaves)


def _greedy(streams: list[Any], leaves: Any) -> list[Any]:
    """The program of as many makings as agree with the first."""
    kept, best = [streams[0]], tree.merged([streams[0]], None, leaves)
    for one in streams[1:]:
        try:
            best = tree.merged([*kept, one], None, leaves)
        except tree.Apart:
            continue
        kept.append(one)
    return best


def tied(cls: Any, config: Any) -> dict[str, list[str]]:
    """Parameters that are others' too, by the path of the config whose `tie_word_embeddings` says so."""
    paths = [
        p for p, one in build.config_classes(config) if getattr(one, "tie_word_embeddings", None) is not None
    ]
    whole = _names(cls, config, dict.fromkeys(paths, False))
    found = {}
    for path in paths:
        kept = _names(cls, config, {p: p == path for p in paths})
        gone = {tree.template(name) for name in whole - kept} - {tree.template(name) for name in kept}
        if gone:
            found[path] = sorted(gone)
    return found


def _names(cls: Any, config: Any, flags: dict[str, bool]) -> set[str]:
    import copy

    config = copy.deepcopy(config)
    for path, one in build.config_classes(config):
        if path in flags:
            one.tie_word_embeddings = flags[path]
    return {n for n, _ in build.made(cls, config).named_parameters()}


def attributes(program: Any) -> set[tuple[str, str]]:
    """The fields that a program asks for."""
    if not isinstance(program, list | tuple):
        return set()
    if len(program) == 3 and program[0] == "attr":
        return {(program[1], program[2])}
    out: set[tuple[str, str]] = set()
    for one in program:
        out |= attributes(one)
    return out
