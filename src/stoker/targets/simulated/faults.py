"""What a simulated engine does and what goes wrong in it: one JSON object, strictly read."""

import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from stoker.engine.profile import from_json

_KINDS: dict[str, tuple[type, ...]] = {"float": (int, float), "int": (int,), "bool": (bool,), "str": (str,)}


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong. Seconds and requests count from when these faults were set (the start, or a change).

    `fail_start`: the engine's last error; it exits with 1 before it serves.
    `die_after_seconds`, `die_after_requests`: the process ends without a word to its clients, after so many
    seconds of service, or at the first request after so many.
    `die_mid_stream_after_tokens`: it ends where a request is due one token more; 0 is before the first.
    `core_dies`, `core_dies_after_requests`, `core_dies_mid_stream_after_tokens`: the same for the engine's
    core alone, `core_dies` at once. Its front end ends open streams with an error event and [DONE], answers
    500 and /health with 503, and leaves with exit code 0 when the next request comes, or within five seconds.
    `hang`, `hang_after_requests`: until it is lifted nothing is answered, not even /health, no token made.
    `stall`, `stall_after_requests`: until it is lifted the engine's core makes no step. What needs none is
    answered (/health with 200, /metrics with gauges that stand still, refusals); streams get their headers
    and no event. `error_rate`, `error_status`: this share of the requests, evenly spread, is answered with
    that status. `slow`: factor on `ttft` and `itl`. `unhealthy`: /health answers 503. `ignore_sigterm`: as it
    says. `no_chat_template`: conversations are refused, as for a base model.
    """

    fail_start: str | None = None
    die_after_seconds: float | None = None
    die_after_requests: int | None = None
    die_mid_stream_after_tokens: int | None = None
    core_dies: bool = False
    core_dies_after_requests: int | None = None
    core_dies_mid_stream_after_tokens: int | None = None
    hang: bool = False
    hang_after_requests: int | None = None
    stall: bool = False
    stall_after_requests: int | None = None
    error_rate: float = 0.0
    error_status: int = 500
    slow: float = 1.0
    unhealthy: bool = False
    ignore_sigterm: bool = False
    no_chat_template: bool = False


@dataclass(frozen=True, slots=True)
class Simulation:
    """Timings and size of a simulated engine, and its faults.

    `start_seconds` from process start-up to service; `ttft` and `itl` in seconds from admission to the first
    token and from token to token; `tokens` is an answer's length unless the request asks for fewer.
    `profile`: an engine.profile.EngineProfile's fields. Requests are then batched as vLLM batches them, step
    by step, each as long as the profile says; `ttft` and `itl` count for nothing.
    `first_request`, `first_logprobs`: seconds for which nothing moves in the engine, also for others, when
    the first request of its life is read, and the first that asks for logprobs; vLLM compiles or loads
    something then.
    """

    start_seconds: float = 0.05
    ttft: float = 0.005
    itl: float = 0.002
    tokens: int = 16
    kv_blocks: int = 4096
    profile: dict[str, Any] | None = None
    first_request: float = 0.0
    first_logprobs: float = 0.0
    faults: Faults = field(default_factory=Faults)


def parse(text: str, over: Simulation | None = None) -> Simulation:
    """Reads `--simulate`'s JSON; fields not given keep their value in `over`; `faults` count as one field.

    Raises: ValueError, naming the field that is unknown or has a wrong type.
    """
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("the simulation is a JSON object")
    given = _checked(data, Simulation)
    if "faults" in given:
        given["faults"] = Faults(**_checked(given["faults"], Faults))
    if given.get("profile") is not None:
        if not isinstance(given["profile"], dict):
            raise ValueError(f"profile is {given['profile']!r}: expected an object")
        from_json(given["profile"])
    return replace(over or Simulation(), **given)


def _checked(data: Any, noun: type[Simulation] | type[Faults]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError(f"{noun.__name__.lower()} is a JSON object, not {data!r}")
    known = {item.name: str(getattr(item.type, "__name__", item.type)) for item in fields(noun)}
    for name, value in data.items():
        if name not in known:
            raise ValueError(f"unknown field {name!r}: expected one of {', '.join(known)}")
        _check(name, value, known[name])
    return dict(data)


def _check(name: str, value: Any, kind: str) -> None:
    wanted = _KINDS.get(kind.removesuffix(" | None"))
    if wanted is None or (value is None and kind.endswith("None")):
        return
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise ValueError(f"{name} is {value!r}: expected {kind}")


class ControlFile:
    """A file with a simulation's JSON that may change while the engine runs."""

    def __init__(self, path: Path, base: Simulation) -> None:
        self._path = path
        self._base = base
        self._seen: tuple[int, int, int] | None = None

    def poll(self) -> Simulation | None:
        """The simulation, if the file has changed since the last call; the command line's if it has gone.

        Raises: ValueError, once for each broken content.
        """
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        self._seen = stamp
        if stamp is None:
            return self._base
        return parse(self._path.read_text(), self._base)

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
