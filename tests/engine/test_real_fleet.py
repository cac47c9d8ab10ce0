"""The main job, for real: vLLM on this machine serves the demo model through the endpoint."""

import concurrent.futures
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from tests.conftest import Stoker, free_port
from tests.support.adapter import demo_adapter

from stoker.engine.samples import NARROW, read
from stoker.render.panels import Scope, panels

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed here"),
]
MODEL = "smollm2-135m-instruct"
Wait = Callable[..., None]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stoker]:
    """One real fleet for all tests of this file, in order."""
    made = Stoker(tmp_path_factory.mktemp("real"))
    adapter = demo_adapter(made.home / "tuned")
    up = made(
        "up",
        "-d",
        "--set",
        f"endpoint.port={made.port}",
        "--set",
        "endpoint.page=false",
        "--set",
        "name=real",
        "--set",
        f"model.adapters.tuned={adapter}",
        timeout=300,
    )
    assert up.code == 0, up.err
    yield made
    down = made("down", "--all", timeout=120)
    assert down.code == 0, down.err
    assert made.processes() == []
    assert not [
        p
        for p in psutil.process_iter(["name", "status"])
        if "VLLM" in (p.info["name"] or "") and p.info["status"] != "zombie"
    ]


@pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus: apt-get install prometheus")
def test_a_real_prometheus_finds_every_panel_and_rule(real: Stoker, wait_until: Wait) -> None:
    folder = real.home / "prometheus"
    spec = ("--set", "name=real", "--set", "slo.ttft=1s", "--set", "slo.itl=100ms")
    ran = real("render", "--target", "local", "-O", str(folder), *spec)
    assert ran.code == 0, ran.err
    port = free_port()
    argv = [
        "prometheus",
        "--config.file=prometheus.yaml",
        "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/api/v1"

    def result(expr: str) -> list[dict[str, Any]]:
        answer = httpx2.get(f"{url}/query", params={"query": expr}, timeout=10).json()
        assert answer["status"] == "success", (expr, answer)
        return list(answer["data"]["result"])

    def up() -> bool:
        with contextlib.suppress(
            httpx2.TransportError, ValueError
        ):  # while it starts it says so in plain words
            return [one["value"][1] for one in result('up{fleet="real"}')] == ["1"]
        return False

    try:
        wait_until(up, 90)
        for _ in range(4):
            ask(real, "Tell me a story.", max_tokens=40)
            time.sleep(4)
        queries = {
            q.expr.replace("$RATE", "1m"): panel.title
            for panel in panels(Scope("real"))
            for q in panel.queries
        }
        empty = set(queries)

        def answered() -> bool:
            for expr in tuple(empty):
                if any(one["value"][1] != "NaN" for one in result(expr)):
                    empty.discard(expr)
            return not empty

        wait_until(answered, 60, f"no data: {[queries[one] for one in empty]}")
        rules = [
            one for group in httpx2.get(f"{url}/rules").json()["data"]["groups"] for one in group["rules"]
        ]
        assert len(rules) > 15
        assert [one["lastError"] for one in rules if one["health"] == "err"] == []
        assert [one["name"] for one in rules if one.get("state") == "firing"] == []
        recorded = 'fleet:ttft_slow:ratio_rate5m{fleet="real"}'  # twice a minute, as its group says
        wait_until(lambda: result(recorded), 120, "nothing is recorded")
        slow = result(recorded)
        assert len(slow) == 1
        assert 0.0 <= float(slow[0]["value"][1]) <= 1.0
    finally:
        process.terminate()
        process.wait(20)


def test_the_narrow_page_says_what_the_whole_one_says(real: Stoker) -> None:
    url = real("status", "--name", "real", "-o", "json").json()["replicas"][0]["url"]
    ask(real, "Hello!", max_tokens=5)
    time.sleep(1)
    whole, narrow = (httpx2.get(f"{url}{path}", timeout=10).content for path in ("/metrics", NARROW))
    assert read(narrow, 0.0) == read(whole, 0.0) is not None
    assert 4 * len(narrow) < len(whole)


def ask(stoker: Stoker, question: str, **fields: object) -> httpx2.Response:
    body = {"model": MODEL, "messages": [{"role": "user", "content": question}], "temperature": 0, **fields}
    return httpx2.post(f"{stoker.url}/v1/chat/completions", json=body, timeout=120)


def test_an_engine_answers_nothing_without_its_key(real: Stoker) -> None:
    """vLLM itself would answer a chat at /invocations, and tokenize for anybody."""
    url = real.state("real")["replicas"][0]["url"]
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "prompt": "Hi"}
    for path in ("/v1/chat/completions", "/invocations", "/tokenize"):
        assert httpx2.post(f"{url}{path}", json=body).status_code == 401, path
    assert httpx2.get(f"{url}/version").status_code == 401
    assert [httpx2.get(f"{url}{path}").status_code for path in ("/health", "/metrics")] == [200, 200]
    assert httpx2.post(f"{real.url}/tokenize", json=body).status_code == 200, "the endpoint has it"


def test_it_knows_the_capital_of_france(real: Stoker) -> None:
    answer = ask(real, "What is the capital of France?", max_tokens=20)
    assert answer.status_code == 200
    assert "Paris" in answer.json()["choices"][0]["message"]["content"]


def test_an_adapter_is_served_under_its_own_name(real: Stoker) -> None:
    names = [model["id"] for model in httpx2.get(f"{real.url}/v1/models").json()["data"]]
    assert names == [MODEL, "tuned"]
    base = ask(real, "What is the capital of France?", max_tokens=12)
    tuned = ask(real, "What is the capital of France?", max_tokens=12, model="tuned")
    assert tuned.status_code == 200, tuned.text
    assert tuned.json()["model"] == "tuned"
    assert tuned.json()["choices"][0]["message"] != base.json()["choices"][0]["message"]


def test_the_guides_body_is_accepted(real: Stoker) -> None:
    body = {
        "model": MODEL,
        "messages": [
            {
                "role": "user",
                "content": "I'm looking for comfortable cycling shorts for women, what are some good options?",
            }
        ],
        "temperature": 0.70,
        "top_p": 1.0,
        "top_k": 1.0,
        "max_tokens": 16,
    }
    answer = httpx2.post(f"{real.url}/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3, "temperature": 0},
        ),
        (
            "/v1/chat/completions",
            {
                "messages": [{"role": "user", "content": "Hi"}],
                "max_tokens": 3.0,
                "seed": 1.0,
                "n": 1.0,
                "temperature": 0,
            },
        ),
        ("/v1/chat/completions", {"messages": []}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 99999}),
        ("/v1/completions", {"prompt": "One, two,", "max_tokens": 4, "temperature": 0}),
        ("/v1/completions", {"prompt": ["One", "Two"], "max_tokens": 2, "temperature": 0, "logprobs": 1}),
        ("/v1/responses", {"input": "Hi", "max_output_tokens": 4, "temperature": 0}),
        (
            "/v1/messages",
            {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4, "temperature": 0},
        ),
        ("/tokenize", {"prompt": "Hello world"}),
        ("/detokenize", {"tokens": [1, 2, 3]}),
        ("/v1/embeddings", {"input": "x"}),
    ],
)
def test_the_same_body_to_both_gets_the_same_answer(real: Stoker, path: str, body: dict[str, object]) -> None:
    state = real.state("real")
    key = (Path(real.home) / "state/fleets/real/engine.key").read_text()
    sent = {"model": MODEL, **body}
    direct = httpx2.post(
        state["replicas"][0]["url"] + path, json=sent, headers={"Authorization": f"Bearer {key}"}, timeout=60
    )
    through = httpx2.post(real.url + path, json=sent, timeout=60)
    assert through.status_code == direct.status_code, through.text
    assert _same(through) == _same(direct)


def _same(answer: httpx2.Response) -> object:
    try:
        value = answer.json()
    except ValueError:
        return answer.text
    return _stripped(value)


def _stripped(value: object) -> object:
    if isinstance(value, dict):
        return {
            k: _stripped(v)
            for k, v in value.items()
            if k not in ("id", "created", "created_at", "completed_at", "logprobs", "metrics")
        }
    return [_stripped(v) for v in value] if isinstance(value, list) else value


def test_it_streams(real: Stoker) -> None:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Count to ten."}],
        "stream": True,
        "max_tokens": 20,
        "ignore_eos": True,  # what it says is chance, and sometimes it says little
    }
    with httpx2.stream("POST", f"{real.url}/v1/chat/completions", json=body, timeout=60) as stream:
        events = [line[6:] for line in stream.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    assert len([e for e in events[:-1] if json.loads(e)["choices"][0]["delta"].get("content")]) > 5


def test_chat_on_the_command_line(real: Stoker) -> None:
    ran = real(
        "chat",
        "--stats",
        "-p",
        "temperature=0",
        "-p",
        "max_tokens=20",
        stdin="What is the capital of France?",
    )
    assert ran.code == 0, ran.err
    assert "Paris" in ran.out
    assert "tokens/s" in ran.out


def test_scale_to_two_kill_one_under_load_and_nobody_notices(real: Stoker, wait_until: Wait) -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        scaling = pool.submit(real, "scale", "2", "--name", "real", timeout=540)
        codes = []
        while not scaling.done():
            codes.append(ask(real, "Hello", max_tokens=4).status_code)
        assert scaling.result().code == 0, scaling.result().err
    assert set(codes) == {200}
    replicas = real.state("real")["replicas"]
    assert [r["hardware"] for r in replicas] == ["cores 0", "cores 1"] or len(replicas) == 2
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, real, f"Tell me about the number {n}.", max_tokens=24) for n in range(16)]
        time.sleep(0.7)
        os.kill(replicas[0]["ranks"][0]["pid"], signal.SIGKILL)
        answers = [future.result() for future in asked]
    assert {answer.status_code for answer in answers} == {200}
    wait_until(lambda: real.state("real")["replicas"][0]["restarts"] == 1, 30)
    wait_until(lambda: real.state("real")["replicas"][0]["phase"] == "Ready", 400)


def test_adoption_after_the_supervisors_death(real: Stoker) -> None:
    before = real.state("real")
    supervisor = next(p for p in real.processes() if "stoker.targets.local.supervisor" in p.cmdline())
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Tell a long story."}],
        "stream": True,
        "max_tokens": 60,
    }
    with httpx2.stream("POST", f"{real.url}/v1/chat/completions", json=body, timeout=60) as stream:
        lines = stream.iter_lines()
        next(lines)
        supervisor.kill()
        rest = list(lines)
    assert "data: [DONE]" in rest
    after = real.state("real")
    assert after["supervised"]
    assert [r["ranks"] for r in after["replicas"]] == [r["ranks"] for r in before["replicas"]]


def test_a_load_test_of_the_real_engine_counts_as_it_counts(real: Stoker) -> None:
    before = httpx2.get(f"{real.url}/metrics", timeout=10).text
    words = ("--users", "2", "--requests", "12", "--input-len", "60..120", "--output-len", "10..30")
    ran = real("bench", "--name", "real", *words, "-o", "json", "--results", "run", timeout=240)
    assert ran.code == 0, ran.err
    found = ran.json()
    summary = found["summary"]
    assert (summary["requests"], summary["failed"], summary["mismatched"]) == (12, 0, 0)
    assert found["environment"]["engine"].startswith("vLLM")
    lines = (real.home / "run" / "records.jsonl").read_text().splitlines()
    kept = [json.loads(line) for line in lines]
    assert all(60 <= one["input"] == one["wanted"] <= 120 for one in kept)
    assert all(sum(one.get("counts") or [1] * len(one["tokens_us"])) == one["output"] for one in kept)
    written = generated(httpx2.get(f"{real.url}/metrics", timeout=10).text) - generated(before)
    asked_first = written - sum(one["output"] for one in kept)  # a token for each question before the test
    assert 0 < asked_first < 40


def generated(page: str) -> float:
    """Tokens that the engine has written so far."""
    rows = [line for line in page.splitlines() if line.startswith("vllm:generation_tokens_total{")]
    return sum(float(row.split()[-1]) for row in rows)
