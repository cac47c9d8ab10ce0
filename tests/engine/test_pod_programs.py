"""The programs of a pod beside real vLLM, as its container runs them."""

import contextlib
import http.client
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.conftest import free_port
from tests.support.engine import wait
from tests.support.pod import module, programs

from stoker.weights.demo import demo_folder

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed here"),
]
KEY = "sesame"
STORY = [{"role": "user", "content": "Tell me a long story."}]
LONG = {"messages": STORY, "max_tokens": 1500, "ignore_eos": True}
# Of a step few tokens, so that a long prompt takes many: as a very long one does with thousands
SMALL = (
    "--enforce-eager",
    "--dtype",
    "float32",
    "--kv-cache-memory-bytes",
    "536870912",
    "--max-model-len",
    "2048",
    "--max-num-batched-tokens",
    "64",
)


class Pod:
    """vLLM with its guard and its witness."""

    def __init__(self, folder: Path) -> None:
        self.programs, self.port, self.log = programs(folder), free_port(), folder / "log"
        self.ask = module("stoker_ask")
        self.ask.FOLDER = self.programs.shared
        model = demo_folder("smollm2-135m-instruct", folder / "cache", lambda _: None)
        vllm = f"{sys.executable.rpartition('/')[0]}/vllm"
        argv = [sys.executable, vllm, "serve", str(model), "--host", "127.0.0.1", "--port", str(self.port)]
        argv += ["--served-model-name", "demo", *SMALL, "--middleware", "stoker_witness.Witness"]
        argv += ["--middleware", "stoker_guard.Guard"]
        own = {"VLLM_API_KEY": KEY, "STOKER_CANARY": "5", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, env={**self.programs.env, **own}, stdout=log, stderr=log)

    def facts(self) -> dict[str, Any]:
        (found,) = self.ask.ask("requests")
        assert isinstance(found, dict)
        return found

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)) as one:
            headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
            try:
                one.request(method, path, json.dumps(body) if body else None, headers)
                answer = one.getresponse()
                return answer.status, answer.read()
            except OSError:
                return 0, b""

    def metric(self, name: str) -> list[str]:
        page = self.send("GET", "/metrics")[1].decode()
        return [line for line in page.splitlines() if line.startswith(f"vllm:{name}")]

    def alive(self, seconds: float) -> int:
        return self.programs.run("alive.py", str(self.port), str(seconds))[0]

    def later(self, path: str, **body: Any) -> tuple[threading.Thread, list[Any]]:
        """A request in a thread of its own, and where its answer will be."""
        found: list[Any] = []
        asks = threading.Thread(
            target=lambda: found.append(self.send("POST", path, {"model": "demo", **body}))
        )
        asks.start()
        return asks, found


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """One engine for all tests of this file, in order; the last one ends it."""
    made = Pod(tmp_path_factory.mktemp("pod"))
    wait(lambda: made.process.poll() is not None or made.send("GET", "/health")[0] in (503, 200), 300)
    yield made
    if made.process.poll() is None:
        made.process.terminate()
        made.process.wait(60)


def test_it_is_ready_once_it_is_warm(pod: Pod) -> None:
    wait(lambda: pod.send("GET", "/health")[0] == 200, 300)
    assert pod.facts()["warm"]
    assert "stoker: warmed up in" in pod.log.read_text()
    assert "stoker: /" not in pod.log.read_text(), "no kind failed without an answer"
    assert 'model_name="demo"' in pod.metric("request_success_total")[0]
    assert pod.programs.run("alive.py", str(pod.port), "180") == (0, "")


def test_a_long_prompt_is_in_flight_while_the_engine_says_nothing_and_its_steps_are_seen(pod: Pod) -> None:
    asks, found = pod.later("/v1/completions", prompt="story " * 1500, max_tokens=1)
    seen: list[str] = []

    def done() -> bool:
        usage = "".join(pod.metric("kv_cache_usage_perc"))
        if pod.facts()["waiting"] and usage not in seen:
            seen.append(usage)
        return not asks.is_alive()

    wait(done, 200)
    assert found[0][0] == 200
    assert len(seen) > 3, "each chunk moves it, so a long prompt is no hang"


def test_a_hang_that_begins_while_it_is_idle_is_noticed(pod: Pod) -> None:
    wait(lambda: pod.facts()["in_flight"] == 0)
    core = next(
        one
        for one in psutil.Process(pod.process.pid).children(recursive=True)
        if "EngineCore" in one.name() or "EngineCore" in " ".join(one.cmdline())
    )
    core.suspend()
    try:
        wait(lambda: pod.facts()["canary_for"] > 2, 120)
        assert pod.send("GET", "/health")[0] == 200, "vLLM itself sees nothing"
        running = [line.rpartition(" ")[2] for line in pod.metric("num_requests_running")]
        assert running == ["0.0"], "nor do its gauges"
        wait(lambda: pod.alive(2) == 1, 60)
    finally:
        core.resume()
    wait(lambda: pod.facts()["canary_for"] == 0, 120)
    assert pod.alive(180) == 0


def test_what_is_open_when_it_leaves_is_ended_and_it_goes_at_once(pod: Pod) -> None:
    chat = pod.later("/v1/chat/completions", stream=True, **LONG)
    plain = pod.later("/v1/chat/completions", **LONG)
    messages = pod.later("/v1/messages", stream=True, messages=STORY, max_tokens=1500)
    responses = pod.later("/v1/responses", stream=True, input="Tell me a long story.", max_output_tokens=1500)
    wait(lambda: pod.facts()["in_flight"] == 4, 60)
    wait(lambda: pod.metric("num_requests_running")[0].endswith(" 4.0"), 60)
    assert pod.programs.run("leave.py", "0", "3") == (0, "")
    for asks, _ in (chat, plain, messages, responses):
        asks.join(30)
    assert [one[1][0][0] for one in (chat, messages, responses)] == [200, 200, 200]
    assert chat[1][0][1].endswith(b"data: [DONE]\n\n")
    assert b"is leaving" in chat[1][0][1].splitlines()[-4]
    for _, found in (messages, responses):
        event, data = found[0][1].rstrip().splitlines()[-2:]
        assert event == b"event: error"
        assert b"is leaving" in data
    assert plain[1][0][0] == 503
    assert b"send the request again" in plain[1][0][1]
    wait(lambda: pod.metric("num_requests_running")[0].endswith(" 0.0"), 30)
    os.kill(pod.process.pid, signal.SIGTERM)
    assert pod.process.wait(60) is not None
    said = pod.log.read_text()
    assert "Exception in ASGI" not in said, "SIGTERM finds nothing open"
    assert "never retrieved" not in said
