"""What a text must hold for a pattern to match it: looking for that first is faster than trying the pattern."""

import re
from collections.abc import Iterator
from functools import cache

SHORTEST = 4  # characters; a shorter one is in every text
_LITERAL = ".()[]{}+*?|^$/-'\"\\ "  # what stands for itself behind a backslash

_COUNT = re.compile(r"\{\d*,?\d*\}")


@cache
def needles(pattern: str) -> tuple[str, ...]:
    """Texts of which one stands in whatever the pattern matches; none where that cannot be told."""
    found = tuple(max(_runs(one), key=len, default="") for one in _alternatives(pattern))
    return found if all(len(one) >= SHORTEST for one in found) else ()


def _tokens(pattern: str) -> Iterator[str]:
    """The pattern in pieces: a literal character, `\\x`, a class, a whole group, or how often one stands."""
    index = 0
    while index < len(pattern):
        end = index + 1
        if pattern[index] == "\\":
            end = index + 2
        elif pattern[index] in "[(":
            end = _close(pattern, index)
        elif (count := _COUNT.match(pattern, index)) is not None:
            end = count.end()
        yield pattern[index:end]
        index = end


def _close(pattern: str, index: int) -> int:
    """Where the class or group that begins there ends."""
    if pattern[index] == "[":
        end = pattern.index("]", index + 2 + pattern.startswith("^", index + 1))
        while pattern[end - 1] == "\\" and pattern[end - 2] != "\\":
            end = pattern.index("]", end + 1)
        return end + 1
    depth, at = 0, index
    while True:
        if pattern[at] == "\\":
            at += 1
        elif pattern[at] == "[":
            at = _close(pattern, at) - 1
        else:
            depth += {"(": 1, ")": -1}.get(pattern[at], 0)
        at += 1
        if depth == 0:
            return at


def _alternatives(pattern: str) -> list[list[str]]:
    out: list[list[str]] = [[]]
    for piece in _tokens(pattern):
        if piece == "|":
            out.append([])
        else:
            out[-1].append(piece)
    return out


def _runs(pieces: list[str]) -> Iterator[str]:
    """Texts that an alternative holds for certain."""
    run = ""
    for piece in pieces:
        if piece in ("?", "*") or _COUNT.match(piece):  # what stands before may be absent
            yield run[:-1]
            run = ""
        elif len(piece) == 1 and piece not in ".^$+":
            run += piece
        elif piece[0] == "\\" and piece[1] in _LITERAL:
            run += piece[1]
        else:
            yield run
            run = ""
    yield run
