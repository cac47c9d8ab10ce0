"""Job: what one process of the load generator is to do. It travels over a pipe, as it holds a key."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from stoker.engine.openai import dump
from stoker.fleet.target import Endpoint
from stoker.system.upstream import Headers, request_bytes
from stoker.traffic.texts import Vocabulary
from stoker.traffic.workload import Workload

Api = Literal["chat", "completions"]
PATHS: Mapping[Api, str] = {"chat": "/v1/chat/completions", "completions": "/v1/completions"}
TIMEOUT = 600.0  # seconds that a request may take
GRACE = 30.0  # seconds that requests may go on after the last one was due


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a server takes of what only some take, found by asking it.

    exact_length: `ignore_eos`, so that answers are as long as asked. each_event: usage in every event, so
    that tokens are counted as they come.
    """

    exact_length: bool = True
    each_event: bool = True


@dataclass(frozen=True, slots=True)
class Job:
    """A workload and where it goes; `worker` of `workers` sends its share. params: more of each body."""

    endpoint: Endpoint
    workload: Workload
    api: Api = "chat"
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    abilities: Abilities = field(default_factory=Abilities)
    params: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = TIMEOUT
    grace: float = GRACE
    verify: bool = True
    worker: int = 0
    workers: int = 1

    def of(self, worker: int, workers: int) -> "Job":
        """The same for one of several workers."""
        return replace(self, worker=worker, workers=workers)


class Writer:
    """Writes the requests of a job: what is the same in all of them is made once."""

    def __init__(self, job: Job) -> None:
        parts = urlsplit(job.endpoint.url)
        self.tls = parts.scheme == "https"
        self.host = parts.hostname or "127.0.0.1"
        self.port = parts.port or (443 if self.tls else 80)
        self._path = (parts.path.rstrip("/") + PATHS[job.api]).encode()
        self._chat = job.api == "chat"
        self._exact = job.abilities.exact_length
        self._common = _common(job)
        self._headers = _headers(job, parts.netloc.rpartition("@")[2])

    def request(self, messages: list[dict[str, object]], output: int | None) -> bytes:
        """The request for an answer to messages; for completions, to their texts one after another."""
        body: dict[str, Any] = dict(self._common)
        if self._chat:
            body["messages"] = messages
        else:
            body["prompt"] = "\n".join(str(one["content"]) for one in messages)
        if output is not None:
            body["max_tokens"] = output
            if self._exact:
                body["ignore_eos"] = True
        return request_bytes("POST", self._path, self._headers, dump(body))


def _common(job: Job) -> dict[str, Any]:
    options: dict[str, Any] = {"include_usage": True}
    if job.abilities.each_event:
        options["continuous_usage_stats"] = True
    common: dict[str, Any] = {"model": job.endpoint.model, "stream": True, "stream_options": options}
    return {**common, "temperature": 0, **job.params}


def _headers(job: Job, host: str) -> Headers:
    headers = [
        (b"host", host.encode("idna") if not host.isascii() else host.encode()),
        (b"content-type", b"application/json"),
        (b"accept", b"text/event-stream"),
        (b"user-agent", b"stoker-bench"),
    ]
    if job.endpoint.key:
        headers.append((b"authorization", b"Bearer " + job.endpoint.key.encode()))
    return headers


def line(kind: str, value: Any) -> bytes:
    """A message between the load generator's processes: one line of JSON."""
    return json.dumps({kind: value}, separators=(",", ":")).encode() + b"\n"
