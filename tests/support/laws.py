"""What must be true of an engine's answers whatever it says: asked of the simulated engine and of real
vLLM."""

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.support.contract import ALWAYS, CHAT, IDS, RESPONSES, TEXT, TWO, USER, WRITE
from tests.support.engine import Engine, wait

DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause."
LONG = {"prompt": IDS, "max_tokens": 120, "ignore_eos": True, "temperature": 0}
PATIENCE = 60.0  # seconds that a step, a signal or the end of a process may take on a busy machine


def _events(engine: Engine, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    return [event.json() for event in engine.stream(path, body) if not event.done]


def _text(chunk: dict[str, Any]) -> str:
    return "".join(choice["text"] for choice in chunk["choices"])


def stop_texts_end_an_answer_and_are_never_given_out(engine: Engine) -> None:
    body = {**WRITE, "max_tokens": 8}
    steps = [_text(chunk) for chunk in _events(engine, TEXT, body)]
    whole, stop = "".join(steps), steps[2].strip()
    plain = engine.post(TEXT, {**body, "stop": stop})["choices"][0]
    assert plain["text"] == whole[: whole.index(stop)]
    assert (plain["finish_reason"], plain["stop_reason"]) == ("stop", stop)
    streamed = _events(engine, TEXT, {**body, "stop": [stop]})
    assert "".join(map(_text, streamed)) == plain["text"]
    assert [chunk["choices"][0]["finish_reason"] for chunk in streamed][-1] == "stop"
    kept = engine.post(TEXT, {**body, "stop": stop, "include_stop_str_in_output": True})["choices"][0]
    assert kept["text"] == plain["text"] + stop


def what_may_be_a_stop_text_is_held_back_token_by_token(engine: Engine) -> None:
    body = {**WRITE, "max_tokens": 6}
    steps = [_text(chunk) for chunk in _events(engine, TEXT, body)]
    held = [_text(chunk) for chunk in _events(engine, TEXT, {**body, "stop": "\0\0\0\0"})]
    assert len(held) == len(steps) == 6, "an event a token, with text or without"
    for step in range(5):
        whole = "".join(steps[: step + 1])
        assert "".join(held[: step + 1]) == whole[: max(0, len(whole) - 3)]
    assert "".join(held) == "".join(steps)


def usage_adds_up_in_every_chunk(engine: Engine) -> None:
    for path, more in ((CHAT, {"messages": USER}), (TEXT, {"prompt": IDS})):
        *chunks, last = _events(engine, path, {**more, **ALWAYS, **TWO, "max_tokens": 4, "ignore_eos": True})
        for chunk in [*chunks, last]:
            used = chunk["usage"]
            assert used["total_tokens"] == used["prompt_tokens"] + used["completion_tokens"]
        assert last["usage"]["completion_tokens"] == 2 * 4
        of_second = [c["usage"]["completion_tokens"] for c in chunks if c["choices"][0]["index"] == 1]
        assert of_second[-4:] == [1, 2, 3, 4]


def _counts(engine: Engine) -> dict[str, float]:
    names = (
        "prompt_tokens_total",
        "generation_tokens_total",
        "request_success_total",
        "time_to_first_token_seconds_count",
        "inter_token_latency_seconds_count",
        "request_time_per_output_token_seconds_count",
        "e2e_request_latency_seconds_count",
        "request_prefill_time_seconds_count",
    )
    return {name.split("_total")[0].split("_seconds")[0]: engine.metric(name) for name in names}


def _grown(engine: Engine, before: dict[str, float]) -> dict[str, int]:
    after = _counts(engine)
    return {name: int(after[name] - before[name]) for name in before}


def each_answer_counts_as_a_request(engine: Engine) -> None:
    before = _counts(engine)
    engine.post(TEXT, {**WRITE, **TWO, "max_tokens": 5})
    wait(lambda: _grown(engine, before)["request_success"] == 2)
    assert _grown(engine, before) == {
        "prompt_tokens": 2 * len(IDS),
        "generation_tokens": 2 * 5,
        "request_success": 2,
        "time_to_first_token": 2,
        "inter_token_latency": 2 * 4,
        "request_time_per_output_token": 2,
        "e2e_request_latency": 2,
        "request_prefill_time": 2,
    }


def a_refused_request_counts_nowhere(engine: Engine) -> None:
    before = _counts(engine)
    assert engine.send("POST", TEXT, {**WRITE, "temperature": 9})[0] == 400
    assert not any(_grown(engine, before).values())


def a_client_that_leaves_is_counted_by_its_first_token_alone(engine: Engine) -> None:
    before = _counts(engine)
    stream = open_stream(engine, TEXT, LONG)
    for _ in range(4):
        assert stream.readline()
    assert engine.metric("num_requests_running") == 1
    stream.close()
    wait(lambda: engine.metric("num_requests_running") == 0, PATIENCE)
    grown = _grown(engine, before)
    assert grown["prompt_tokens"] == len(IDS)
    assert grown["time_to_first_token"] == 1
    assert 1 < grown["generation_tokens"] < int(str(LONG["max_tokens"]))
    assert grown["request_success"] == grown["e2e_request_latency"] == grown["request_prefill_time"] == 0
    assert engine.metric("request_success_total", finished_reason="abort") == 0


def a_request_is_called_as_its_header_says(engine: Engine) -> None:
    assert engine.post(TEXT, WRITE, x_request_id="r1")["id"] == "cmpl-r1"
    assert engine.post(CHAT, {"messages": USER, "max_tokens": 1}, x_request_id="r2")["id"] == "chatcmpl-r2"
    assert "x-request-id" not in {
        name.lower() for name in engine.send("POST", TEXT, WRITE, x_request_id="r")[1]
    }


LAWS: tuple[Callable[[Engine], None], ...] = (
    stop_texts_end_an_answer_and_are_never_given_out,
    what_may_be_a_stop_text_is_held_back_token_by_token,
    usage_adds_up_in_every_chunk,
    each_answer_counts_as_a_request,
    a_refused_request_counts_nowhere,
    a_client_that_leaves_is_counted_by_its_first_token_alone,
    a_request_is_called_as_its_header_says,
)


# those after which the engine is gone


class Stream:
    """A stream that is read line by line on a socket of its own."""

    def __init__(self, engine: Engine, path: str, body: dict[str, Any]) -> None:
        data = json.dumps({**body, "stream": True}).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: "
            f"{len(data)}\r\n\r\n"
        )
        self._socket = socket.create_connection(("127.0.0.1", engine.port), timeout=PATIENCE)
        self._socket.sendall(head.encode() + data)
        self._rest = b""
        self.status = int(self._socket.recv(12, socket.MSG_WAITALL).split()[1])
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._socket.recv(4096)
        self._rest = self._rest.partition(b"\r\n\r\n")[2]

    def readline(self) -> bytes:
        """The next event's data; empty at the end."""
        while b"data: " not in self._rest or b"\n\n" not in self._rest.partition(b"data: ")[2]:
            more = self._socket.recv(65536)
            if not more:
                return b""
            self._rest += more
        line, _, self._rest = self._rest.partition(b"data: ")[2].partition(b"\n\n")
        return line

    def rest(self) -> tuple[list[bytes], bool]:
        """All events that still come, and whether the answer then ends as HTTP wants it."""
        lines = []
        while line := self.readline():
            lines.append(line)
            if line == b"[DONE]":
                break
        with contextlib.suppress(OSError):
            self._socket.settimeout(5)
            while b"\r\n0\r\n\r\n" not in self._rest and (more := self._socket.recv(65536)):
                self._rest += more
        self.close()
        return lines, b"\r\n0\r\n\r\n" in self._rest

    def left(self, seconds: float) -> bytes | None:
        """What still comes until the server ends it; None, if for so long nothing comes, not even an end."""
        found = self._rest
        self._socket.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            while more := self._socket.recv(65536):
                found += more
            return found
        return None

    def close(self) -> None:
        """The client leaves."""
        self._socket.close()


def open_stream(engine: Engine, path: str, body: dict[str, Any]) -> Stream:
    """A stream with its headers."""
    found = Stream(engine, path, body)
    assert found.status == 200
    return found


def _refuses(engine: Engine) -> bool:
    with contextlib.suppress(OSError):
        engine.send("GET", "/health")
        return False
    return True


def a_dead_core_is_told_in_every_stream_and_ends_the_process(
    engine: Engine, kill: Callable[[], object]
) -> None:
    said = {"messages": USER, "max_tokens": 120, "ignore_eos": True, "temperature": 0}
    streams = {
        CHAT: open_stream(engine, CHAT, said),
        TEXT: open_stream(engine, TEXT, LONG),
        RESPONSES: open_stream(engine, RESPONSES, {"input": "one two", "max_output_tokens": 120}),
    }
    plain: list[tuple[int, dict[str, str], bytes]] = []
    asked = threading.Thread(target=lambda: plain.append(engine.send("POST", CHAT, said, PATIENCE)))
    asked.start()
    for stream in streams.values():
        assert stream.readline()
    time.sleep(0.5)
    kill()
    for path in (CHAT, TEXT):
        (*_, error, done), whole = streams[path].rest()
        assert json.loads(error)["error"] == {
            "message": DEAD,
            "type": "InternalServerError",
            "param": None,
            "code": 500,
        }
        assert (done, whole) == (b"[DONE]", True)
    lines, whole = streams[RESPONSES].rest()
    assert not whole, "cut without a word"
    assert not any(b"response.completed" in line for line in lines)
    asked.join(PATIENCE)
    assert (plain[0][0], json.loads(plain[0][2])["error"]["message"]) == (500, DEAD)
    assert engine.ended(PATIENCE) == 0


def sigterm_closes_the_port_and_finishes_no_stream(engine: Engine) -> str:
    """Returns how its stream was left: `silent`, as nearly always, or `told`, where the front end was quick
    enough."""
    stream = open_stream(engine, TEXT, LONG)
    assert stream.readline()
    engine.process.send_signal(signal.SIGTERM)
    wait(lambda: _refuses(engine), PATIENCE)
    left = stream.left(3)
    if left is None:
        assert engine.process.poll() is None, "it waits for its clients"
    else:
        assert DEAD.encode() in left, left[-500:]
    stream.close()
    assert engine.ended(PATIENCE) == 0
    return "silent" if left is None else "told"
