"""All ways that a model's making can go, found by answering its conditions the other way."""

import time
import warnings
from typing import Any

from shape_tracing import build, tree

RUNS = 90
SECONDS = 120.0


def program(cls: Any, config: Any) -> list[Any]:
    """The program of a model class, around a config of it. Raises: what the first making raises."""
    runs = makings(cls, config)
    holders: set[str] = set()
    for stream, names in runs:
        holders |= tree.holders(stream, names)
    streams = [tree.cleaned(stream, names, holders) for stream, names in runs]
    try:
        return tree.merged(streams)
    except tree.Apart:
        return _greedy(streams)


def _greedy(streams: list[Any]) -> list[Any]:
    """The program of as many makings as agree with the first."""
    kept, best = [streams[0]], tree.merged([streams[0]])
    for one in streams[1:]:
        try:
            best = tree.merged([*kept, one])
        except tree.Apart:
            continue
        kept.append(one)
    return best


def makings(cls: Any, config: Any) -> list[Any]:
    """The first making, and those with one condition each answered the other way."""
    warnings.simplefilter("ignore")
    runs = [build.traced(cls, config, {})]
    answers: dict[Any, set[bool]] = {}
    queue: list[dict[Any, Any]] = []
    _learn(runs[0][0], {}, answers, queue)
    until = time.monotonic() + SECONDS
    tried = 0
    while queue and tried < RUNS and time.monotonic() < until:
        forced = queue.pop(0)
        tried += 1
        try:
            run = build.traced(cls, config, forced)
        except Exception:  # a way that the class refuses
            continue
        runs.append(run)
        _learn(run[0], forced, answers, queue)
    return runs


def _learn(
    stream: list[Any], forced: dict[Any, Any], answers: dict[Any, set[bool]], queue: list[dict[Any, Any]]
) -> None:
    seen: dict[Any, set[bool]] = {}
    for condition, answer in tree.conditions(stream):
        seen.setdefault(condition, set()).add(answer)
    for condition, found in seen.items():
        if condition in answers:
            answers[condition] |= found
            continue
        answers[condition] = set(found)
        if len(found) == 1 and len(forced) < 3:
            queue.append({**forced, condition: not next(iter(found))})


def tied(cls: Any, config: Any) -> dict[str, list[str]]:
    """Parameters that are others' too, by the path of the config whose `tie_word_embeddings` says so."""
    paths = [p for p, one in build.config_classes(config) if getattr(one, "tie_word_embeddings", None) is not None]
    whole = _names(cls, config, dict.fromkeys(paths, False))
    found = {}
    for path in paths:
        gone = sorted(whole - _names(cls, config, {p: p == path for p in paths}))
        if gone:
            found[path] = [tree._NUMBER.sub("*", name) for name in gone]
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
