"""A check of `vllm serve` command lines against what a release of the catalog takes.

It knows options by their exact names, as Stoker writes them; the engine tier holds the same lines against the
parser that is installed.
"""

from collections.abc import Iterator, Sequence

from stoker.catalog import vllm
from stoker.spec.nodes import scalar


def complaints(words: Sequence[str], version: str) -> list[str]:
    """What the parser of a release would refuse of a command line; empty where it takes it."""
    assert list(words[:2]) == ["vllm", "serve"], words
    return list(_complaints(words[3:], vllm.release(version)))


def _complaints(words: Sequence[str], release: vllm.Release) -> Iterator[str]:
    index = 0
    while index < len(words):
        flag, equals, value = words[index].partition("=")
        index += 1
        if not flag.startswith("--"):
            yield f"{flag}: no option stands before it"
            continue
        name = flag.removeprefix("--")
        option = release.option(name)
        if option is None:
            base = release.option(name.removeprefix("no-"))
            if base is None or not (name.startswith("no-") and base.negatable):
                yield f"{flag}: no such option"
            continue
        given = [value] if equals else []
        while not equals and index < len(words) and not words[index].startswith("--"):
            given.append(words[index])
            index += 1
        yield from (f"{flag}: {why}" for why in _values(option, given))


def _values(option: vllm.Option, given: list[str]) -> Iterator[str]:
    if option.kind == "bool" or (option.bare and not given):
        if given:
            yield f"takes no value, and has {given}"
        return
    if not given or (len(given) > 1 and not option.many):
        yield f"takes one value, and has {given}"
        return
    for one in given:
        text = option.kind in ("int", "float") and "$(" not in one and "{" not in one
        if "$(" in one or one == "PORT" or ("{" in one and option.kind == "int"):
            continue  # filled in at the start
        if why := option.check(scalar(one) if text else one):
            yield f"{one}: {why}"
