"""The words behind `vllm serve` as vLLM's own parser takes them.

Underscores are dashes, an unambiguous beginning is the option, `-tp 8` and `-O3` are options, `--name.key`
is one key of a JSON option, the last of several wins. Source: `FlexibleArgumentParser` of vLLM 0.33
(utils/argparse_utils.py) over Python's argparse.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from stoker.advise.lint.shell import UNKNOWN
from stoker.catalog import vllm
from stoker.catalog.changes import changes

_SHORT = 4  # letters of a name that is written with one dash
# Of the server's own command line rather than the engine's.
_SERVER = frozenset(
    {
        "host",
        "port",
        "model",
        "api-key",
        "config",
        "headless",
        "served-model-name",
        "lora-modules",
        "root-path",
    }
    | {"ssl-keyfile", "ssl-certfile", "allowed-origins", "uvicorn-log-level", "help"}
)


@dataclass(slots=True)
class Arguments:
    """What is said to the engine. given: each option with its values, in order, by its own name.

    flags: the same with the names as they were written. unknown: words that are no option, with what
    argparse would take them for (several: it cannot tell). joined: words that hold several. positional: the
    model. whole: whether nothing else can be said, by a variable or a file that is not here.
    own: whether an unknown build or wrapper has options of its own.
    """

    release: vllm.Release
    given: dict[str, list[str]] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, tuple[str, ...]] = field(default_factory=dict)
    joined: list[str] = field(default_factory=list)
    positional: list[str] = field(default_factory=list)
    whole: bool = True
    own: bool = False

    def get(self, name: str) -> str | None:
        """The value that holds, where it is plain; None where none is given or a variable stands there."""
        values = self.given.get(name)
        return values[-1] if values and UNKNOWN not in values[-1] and "$" not in values[-1] else None

    def number(self, name: str, default: int) -> int | None:
        """A count; the default where none is given; None where it cannot be known."""
        if name not in self.given:
            return default if self.whole else None
        value = self.get(name)
        plain = value is not None and value.isascii() and value.isdigit() and len(value) < 7
        return int(value) if plain and value is not None else None

    @property
    def model(self) -> str | None:
        """The model that is served, where it is written plainly."""
        if "model" in self.given:
            return self.get("model")
        first = self.positional[0] if self.positional else None
        return first if first and UNKNOWN not in first and "$" not in first else None


def arguments(words: Sequence[str], version: str, scripted: bool = False) -> Arguments:
    """Reads the words of a release's command line."""
    out = Arguments(vllm.nearest_release(version))
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("-") and word not in ("-", "--"):
            _option(word, rest, out, scripted)
        elif word == UNKNOWN or ("{{" in word and "}}" in word) or word.startswith(("$", "@")):
            out.whole = False
            out.positional.append(word)
        elif word != "--":
            out.positional.append(word)
    return out


def _option(word: str, rest: list[str], out: Arguments, scripted: bool) -> None:
    name, equals, value = word.partition("=")
    if not scripted and " " in name.strip() and word.startswith("--"):
        out.joined.append(word)
        out.whole = False
        return
    if UNKNOWN in name or "$" in name or "{{" in name:
        out.whole = False
        return
    if word.startswith("-O") and not word.startswith("-O."):
        given = word[2:].removeprefix("=") or (rest.pop(0) if rest else "")
        _take("optimization-level", "-O", given, out)
        return
    written = name
    name = _dashes(name)
    found, negated, like = _resolved(name, out.release)
    if found is None:
        taken = _following(rest) if not equals else []
        del rest[: len(taken)]
        out.unknown[written] = like
        _note(name.lstrip("-"), value if equals else " ".join(taken), out)
        return
    if equals:  # a flag that takes none refuses it
        _take(found.name, written, f"={value}" if found.kind == "bool" else value, out)
    elif found.kind == "bool" or negated:
        _take(found.name, written, "false" if negated else "true", out)
    elif found.many == "list":
        taken = _following(rest, 1_000)
        del rest[: len(taken)]
        for one in taken:
            _take(found.name, written, one, out)
    elif found.bare and not _following(rest):
        _take(found.name, written, "true", out)
    else:
        taken = rest[:1] if rest and (_following(rest) or _negative(rest[0])) else []
        del rest[: len(taken)]
        _take(found.name, written, taken[0] if taken else "", out)


def _negative(word: str) -> bool:
    return word[:1] == "-" and word[1:2].isdigit()


def _following(rest: Sequence[str], most: int = 1) -> list[str]:
    """Words that are no options, up to the next one that is."""
    out: list[str] = []
    for word in rest[:most]:
        if word.startswith("-") and len(word) > 1 and not _negative(word):
            break
        out.append(word)
    return out


def _take(name: str, written: str, value: str, out: Arguments) -> None:
    out.given.setdefault(name, []).append(value)
    out.flags[name] = written
    if name == "config":
        out.whole = False


def _note(name: str, value: str, out: Arguments) -> None:
    """An option that the release has not: kept under its name, as others came and went."""
    out.given.setdefault(name, []).append(value)


def _dashes(name: str) -> str:
    head, dot, key = name.partition(".")
    return (head.replace("_", "-") if head.startswith("--") else head) + dot + key


def _resolved(name: str, release: vllm.Release) -> tuple[vllm.Option | None, bool, tuple[str, ...]]:
    """The option of a name as it is written; whether it says no; else what it is the beginning of."""
    flags = _flags(release.version)
    head, dot, key = name.partition(".")
    exact = flags.get(head)
    if exact is not None:
        found = release.option(f"{exact[0]}{dot}{key}")
        return (found or release.option(exact[0])), exact[1], ()
    if not head.startswith("--") or dot:
        return None, False, ()
    like = sorted(flag for flag in flags if flag.startswith(head))
    if len({flags[one] for one in like}) == 1:
        target = flags[like[0]]
        return release.option(target[0]), target[1], ()
    return None, False, tuple(like)


@lru_cache(8)
def _flags(version: str) -> Mapping[str, tuple[str, bool]]:
    """Every flag of a release, with its option, and whether it says no to it."""
    release = vllm.nearest_release(version)
    out: dict[str, tuple[str, bool]] = {}
    for option in release.options.values():
        for name in (option.name, *option.aliases):
            out[f"-{name}" if len(name) <= _SHORT and name != option.name else f"--{name}"] = (
                option.name,
                False,
            )
            if option.negatable and len(name) > _SHORT:
                out[f"--no-{name}"] = (option.name, True)
    return out


def served(name: str) -> bool:
    """Whether an option is of the server's command line in every release."""
    return name.partition(".")[0] in _SERVER


def known_anywhere(name: str) -> bool:
    """Whether some release has had an option of that name."""
    bare = name.removeprefix("no-")
    return (
        any(vllm.release(one).option(bare) for one in vllm.KNOWN) or name in _changed() or bare in _changed()
    )


@lru_cache(1)
def _changed() -> frozenset[str]:
    return frozenset(one.name for one in changes() if one.kind == "option")


def settings(text: Mapping[str, object]) -> Iterator[str]:
    """The words that a config file stands for."""
    for name, value in text.items():
        if value is True:
            yield f"--{name}"
        elif isinstance(value, list):
            yield from (f"--{name}", *map(str, value))
        elif value is not False and value is not None:
            yield f"--{name}={value}"
