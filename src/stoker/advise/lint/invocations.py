"""Which container runs vLLM, and with which words: found in command, args and the scripts there."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from stoker.advise.lint.shell import UNKNOWN, commands, inside
from stoker.advise.lint.values import listed, table, text
from stoker.catalog import vllm

# What stands in front of an engine, beside it, or is none.
_BESIDE = re.compile(
    r"router|gateway|scheduler|proxy|sidecar|operator|controller|exporter|picker|inference-sim|simulator|emulat|vllme\b|bench|epp|"
    r"dashboard|webui|-ui\b|adapter|downloader|lmstack|mock|test-client"
)
_IMAGE = re.compile(r"vllm|^llm-d(-cuda|-rocm|-cpu|-xpu|-aws|-gaudi)?$")
_MODULE = re.compile(r"vllm\.entrypoints\.(?:openai\.)?(?:api_server|grpc_server)$")
_RUNS = frozenset(
    {"exec", "nohup", "env", "sudo", "tini", "dumb-init", "stdbuf", "numactl", "taskset", "chrt"}
)
_RUNS |= {"nice", "setsid", "catchsegv", "ionice", "timeout", "gosu", "su-exec", "command", "nsys", "time"}
_FILLED = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
# Options that nobody else's server has.
_TELLING = frozenset(
    {"tensor-parallel-size", "gpu-memory-utilization", "max-num-seqs", "max-model-len", "served-model-name"}
    | {"swap-space", "enable-prefix-caching", "max-num-batched-tokens", "pipeline-parallel-size"}
)


@dataclass(frozen=True, slots=True)
class Invocation:
    """One start of vLLM. does: the subcommand (`serve`, `bench`, …). words: what follows it.

    scripted: whether a shell has split the words; env: variables that are set for it alone.
    """

    does: str
    words: tuple[str, ...]
    scripted: bool = False
    env: Mapping[str, str] | None = None


def environment(container: Mapping[str, Any]) -> dict[str, str]:
    """The variables that stand in the object as they are; what comes from elsewhere is UNKNOWN."""
    out: dict[str, str] = {}
    for entry in listed(container.get("env")):
        name = text(table(entry).get("name"))
        if name:
            value = table(entry).get("value")
            out[name] = _filled(str(value), out) if value is not None else UNKNOWN
    return out


def _filled(word: str, known: Mapping[str, str]) -> str:
    """A word with the kubelet's `$(NAME)` filled in; `$$(NAME)` stays."""
    if "$(" not in word:
        return word
    return _FILLED.sub(lambda m: known.get(m[1], m[0] if not known else UNKNOWN), word)


def argv(container: Mapping[str, Any]) -> list[str]:
    """Command and args in one list, as the kubelet hands them over."""
    known = environment(container)
    given = [container.get("command"), container.get("args")]
    words: list[str] = []
    for part in given:
        words += [str(one) for one in (part if isinstance(part, list) else [part] if part else [])]
    return [_filled(word, known) for word in words]


def invocations(container: Mapping[str, Any]) -> tuple[Invocation, ...]:
    """Every start of vLLM in a container, in order."""
    words = argv(container)
    found = tuple(_found(words, environment(container)))
    if found or container.get("command") or _simulated(words):
        return found
    if _engine_image(text(container.get("image"))) or _like_vllm(words):
        return (Invocation("serve", tuple(words[1:] if words[:1] == ["serve"] else words)),)
    return ()


def serving(container: Mapping[str, Any]) -> tuple[Invocation, ...]:
    """The starts of vLLM's server."""
    if _BESIDE.search(base(text(container.get("image")))):
        return ()
    return tuple(one for one in invocations(container) if one.does == "serve")


def serves(container: Mapping[str, Any]) -> bool:
    """Whether a container runs vLLM's server."""
    return bool(serving(container))


def base(image: str) -> str:
    """The last part of an image's name, without tag and digest."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()


def _engine_image(image: str) -> bool:
    name = base(image)
    return bool(_IMAGE.search(name)) and not _BESIDE.search(name)


def _like_vllm(words: list[str]) -> bool:
    """Whether the words of an image that nobody knows can only be vLLM's."""
    names = {word[2:].partition("=")[0].replace("_", "-") for word in words if word.startswith("--")}
    known = vllm.nearest_release(vllm.DEFAULT)
    return len(names & _TELLING) > 1 or (
        bool(names & _TELLING) and "model" in names and all(known.option(one) for one in names)
    )


def _simulated(words: list[str]) -> bool:
    """Whether they are for a simulator, which takes an engine's options and some of its own."""
    names = {word.lstrip("-").partition("=")[0] for word in words}
    return bool(
        names & {"mode", "inter-token-latency", "time-to-first-token", "fake-metrics", "failure-types"}
    )


def _found(words: list[str], known: Mapping[str, str]) -> Iterator[Invocation]:
    script = inside(words)
    if script is None and len(words) == 1 and " " in words[0]:
        script = words[0]  # one word that was meant as several
    if script is None:
        one = _vllm(words)
        if one is not None:
            yield Invocation(*one)
        return
    for command in _commands(script, known):
        one = _vllm(command)
        if one is not None:
            yield Invocation(*one, scripted=True)


def _commands(script: str, known: Mapping[str, str]) -> tuple[list[str], ...]:
    return _read(script, tuple(sorted(known.items())))


@lru_cache(256)
def _read(script: str, known: tuple[tuple[str, str], ...]) -> tuple[list[str], ...]:
    return tuple(commands(script, dict(known)))


def _vllm(words: list[str]) -> tuple[str, tuple[str, ...]] | None:
    """The subcommand of vLLM and what follows, where a command runs it; None where it does not."""
    at = _program(words)
    program = words[at].rpartition("/")[2] if at < len(words) else ""
    rest = words[at + 1 :]
    if program == "vllm":
        return (rest[0], tuple(rest[1:])) if rest else None
    if program.startswith("python") or program == "pypy3":
        return _module(rest)
    if _MODULE.search(program.removesuffix(".py").replace("/", ".")):
        return "serve", tuple(rest)
    return None


def _module(words: list[str]) -> tuple[str, tuple[str, ...]] | None:
    """`python -m vllm.entrypoints.openai.api_server …`, `python -m vllm serve …`."""
    for index, word in enumerate(words):
        if word == "-m" and index + 1 < len(words):
            name, rest = words[index + 1], words[index + 2 :]
            if _MODULE.fullmatch(name):
                return "serve", tuple(rest)
            if name in ("vllm", "vllm.entrypoints.cli.main") and rest:
                return rest[0], tuple(rest[1:])
            return ("other", tuple(rest)) if name.startswith("vllm.") else None
        if not word.startswith("-"):
            path = word.removesuffix(".py").replace("/", ".")
            if _MODULE.search(path):
                return "serve", tuple(words[index + 1 :])
            if path.rpartition(".")[2] == "vllm" and index + 1 < len(words):
                return words[index + 1], tuple(words[index + 2 :])
            return None
    return None


def _program(words: list[str]) -> int:
    """Where the program stands, behind what only starts it: `exec`, `env A=b`, `uv run --with x`."""
    at = 0
    while at < len(words):
        word = words[at].rpartition("/")[2]
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*=.*", words[at], re.S):
            at += 1
        elif word in _RUNS:
            at = _behind(words, at + 1)
        elif word in ("uv", "poetry", "pipenv", "pdm", "conda", "micromamba") and words[at + 1 : at + 2] == [
            "run"
        ]:
            at = _behind(words, at + 2)
        elif word in ("uvx", "opentelemetry-instrument", "ddtrace-run", "accelerate", "torchrun"):
            at = _behind(words, at + 1)
        else:
            break
    return at


def _behind(words: list[str], at: int) -> int:
    """Behind the options of what starts a program."""
    for index in range(at, len(words)):
        name = words[index].rpartition("/")[2]
        if name == "vllm" and words[index - 1] not in ("--with", "--from", "--extra"):
            return index
        if name.startswith("python"):
            return index
    while at < len(words) and (words[at].startswith("-") or "=" in words[at]):
        at += 1
    return at
