"""What Locust runs (in its own environment): streaming chats, evenly spread over its users.

Locust itself times a stream to its headers, so the whole answer, its first token and its time per token are
fired as events here. Lines are read by geventhttpclient's `readline`: Locust's own `iter_lines` waits for
blocks of 1,024 bytes, several events each.
"""

import itertools
import json
import os
import time
from http.client import HTTPException
from typing import Any

import gevent
from locust import FastHttpUser, events, task

LOAD = json.loads(os.environ["KNOWN_LOAD"])
START = 2.0  # seconds in which all users start
BODY = {
    "model": LOAD["model"],
    "messages": [{"role": "user", "content": "one " * LOAD["prompt"]}],
    "max_tokens": LOAD["output"],
    "stream": True,
    "stream_options": {"include_usage": True},
    "ignore_eos": True,
}
BEGUN = time.perf_counter() + START
places = itertools.count()
sent = itertools.count(1)


class Chatter(FastHttpUser):
    """One of the users, each with its own moment in every round of all.

    Locust's `constant_throughput` counts a user's first round from its start, waiting for its moment
    included, so that all the second rounds would begin too early.
    """

    def on_start(self) -> None:
        self.moment = BEGUN + next(places) / LOAD["rate"]
        gevent.sleep(max(0.0, self.moment - time.perf_counter()))

    def wait_time(self) -> float:
        self.moment += LOAD["users"] / LOAD["rate"]
        return max(0.0, self.moment - time.perf_counter())

    @task
    def chat(self) -> None:
        if next(sent) > LOAD["streams"]:
            gevent.sleep(LOAD["answer"])
            self.environment.runner.quit()
            return
        begun = time.perf_counter()
        with self.client.post("/v1/chat/completions", json=BODY, stream=True, catch_response=True) as answer:
            first, last, tokens, fault = read(answer.stream)
            answer.failure(str(fault)) if fault else answer.success()
        fire("chat", time.perf_counter() - begun, fault)
        if first:
            fire("first token", first - begun)
        if tokens > 1:
            fire("time per output token", (last - first) / (tokens - 1))


def read(stream: Any) -> tuple[float, float, int, Exception | None]:
    """When the first and the last token came, how many the server counts, and what is wrong with the
    stream. It is read to its end, so that its connection can be used again."""
    first = last = 0.0
    tokens, fault = 0, RuntimeError("no end")
    try:
        while line := stream.readline(b"\n"):
            if line.startswith(b"data: [DONE]"):
                fault = fault if str(fault) == "error event" else None
                continue
            event = json.loads(line[6:]) if line.startswith(b"data: ") else {}
            if "error" in event:
                fault = RuntimeError("error event")
            if event.get("usage"):
                tokens = event["usage"]["completion_tokens"]
            if event.get("choices") and event["choices"][0]["delta"].get("content"):
                last = time.perf_counter()
                first = first or last
    except (OSError, ValueError, HTTPException) as lost:
        fault = lost
    return first, last, tokens, fault


def fire(name: str, took: float, fault: Exception | None = None) -> None:
    """An event of its own; in milliseconds, as Locust has it."""
    events.request.fire(
        request_type="stream", name=name, response_time=took * 1000, response_length=0, exception=fault
    )


@events.quitting.add_listener
def said(environment: Any, **_: Any) -> None:
    """Locust's own figures of each event, for who reads them."""
    rows = {}
    for name in ("chat", "first token", "time per output token"):
        entry = environment.stats.get(name, "stream")
        rows[name] = {
            "requests": entry.num_requests,
            "failures": entry.num_failures,
            "rate": entry.total_rps,
            "p50": entry.get_response_time_percentile(0.5),
            "p99": entry.get_response_time_percentile(0.99),
        }
    with open(os.environ["KNOWN_SAID"], "w") as file:
        json.dump(rows, file)
