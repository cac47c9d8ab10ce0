"""The endpoint's contract, against simulated engines: bodies, routes, locks, holding, resending, cutting."""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.conftest import free_port

from stoker.catalog import vllm
from stoker.targets.gateway.app import labels_of
from stoker.targets.gateway.config import Route, Routes, Seen

Wait = Callable[..., None]
GUIDE = {
    "model": "m",
    "messages": [{"role": "user", "content": "I'm looking for comfortable cycling shorts"}],
    "temperature": 0.70,
    "top_p": 1.0,
    "top_k": 1.0,
    "max_tokens": 256,
}


class Endpoint:
    """A gateway with engines behind it, without a supervisor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.engines: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
        self._routes = Routes()
        (folder / "engine.key").write_text("engine-key")

    def start(self, **settings: Any) -> None:
        raw = {
            "host": "127.0.0.1", "port": self.port, "hold": 5.0, "cors": [], "hosts": ["localhost", "127.0.0.1"],
            "inference_routes": sorted(vllm.release(vllm.DEFAULT).inference_routes), "key_file": None,
            "engine_key_file": str(self.folder / "engine.key"), "routes_file": str(self.folder / "routes.json"),
            "seen_file": str(self.folder / "seen.json"), "model": "m", **settings,
        }  # fmt: skip
        (self.folder / "gateway.json").write_text(json.dumps(raw))
        argv = [sys.executable, "-m", "stoker.targets.gateway", str(self.folder / "gateway.json")]
        log = (self.folder / "gateway.log").open("wb")
        self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        log.close()
        until(lambda: self._listens(), 60)

    def _listens(self) -> bool:
        try:
            httpx2.get(f"{self.url}/health", timeout=1)
        except httpx2.TransportError:
            return False
        return True

    def engine(self, name: str, *, wait: bool = True, **simulate: Any) -> None:
        """Starts an engine and routes to it."""
        port = free_port()
        (self.folder / f"{name}.sim").write_text(json.dumps({"start_seconds": 0.0, **simulate}))
        argv = [
            sys.executable,
            "-m",
            "stoker.targets.simulated",
            "m",
            "--port",
            str(port),
            "--max-num-seqs",
            "2048",
        ]
        argv += ["--simulate-file", str(self.folder / f"{name}.sim")]
        log = (self.folder / f"{name}.log").open("wb")
        env = {**os.environ, "VLLM_API_KEY": "engine-key"}
        self.engines[name] = subprocess.Popen(argv, stdout=log, stderr=log, env=env), port
        log.close()
        until(lambda: self._up(port), 60)
        self.route()
        if wait:
            until(lambda: name in self.ready(), 30)

    def _up(self, port: int) -> bool:
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/health", timeout=1).status_code == 200
        except httpx2.TransportError:
            return False

    def simulate(self, name: str, **simulate: Any) -> None:
        """Changes how an engine behaves."""
        (self.folder / f"{name}.sim").write_text(json.dumps(simulate))
        time.sleep(0.15)

    def route(self, leaving: tuple[str, ...] = ()) -> None:
        """Writes the routes as the supervisor would."""
        routes = tuple(
            Route(name, "127.0.0.1", port, name in leaving) for name, (_, port) in self.engines.items()
        )
        self._routes = Routes(self._routes.revision + 1, routes, "" if routes else "the fleet has no replica")
        self._routes.write(self.folder / "routes.json")

    def ready(self) -> list[str]:
        """What the gateway has in rotation."""
        seen = Seen.read(self.folder / "seen.json")
        return list(seen.ready) if seen else []

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        self.engines[name][0].send_signal(number)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def chat(self, **fields: Any) -> httpx2.Response:
        body = {"model": "m", "messages": [{"role": "user", "content": "a b c"}], **fields}
        return httpx2.post(f"{self.url}/v1/chat/completions", json=body, timeout=60)

    def close(self) -> None:
        for process in [*(engine for engine, _ in self.engines.values()), self.process]:
            process.kill()
            process.wait()


def until(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    made = Endpoint(tmp_path)
    yield made
    made.close()


def text_of(response: httpx2.Response) -> str:
    return str(response.json()["choices"][0]["message"]["content"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", GUIDE),
        ("/v1/chat/completions", {**GUIDE, "max_tokens": 5.0, "seed": 1.0, "n": 1.0}),
        ("/v1/chat/completions", {**GUIDE, "unknown_field": {"x": 1}}),
        ("/v1/chat/completions", {**GUIDE, "model": "nobody"}),
        ("/v1/chat/completions", {"model": "m"}),
        ("/v1/completions", {"model": "m", "prompt": "a b", "max_tokens": 3}),
        ("/v1/responses", {"model": "m", "input": "hello"}),
        ("/v1/messages", {"model": "m", "max_tokens": 4, "messages": [{"role": "user", "content": "x"}]}),
        ("/v1/embeddings", {"model": "m", "input": "x"}),
        ("/tokenize", {"model": "m", "prompt": "a b"}),
    ],
)
def test_what_the_engine_answers_is_what_the_client_gets(
    endpoint: Endpoint, path: str, body: dict[str, Any]
) -> None:
    endpoint.start()
    endpoint.engine("1")
    key = {"Authorization": "Bearer engine-key"}
    direct = httpx2.post(f"http://127.0.0.1:{endpoint.engines['1'][1]}{path}", json=body, headers=key)
    through = httpx2.post(f"{endpoint.url}{path}", json=body)
    assert through.status_code == direct.status_code
    assert _same(through.json()) == _same(direct.json())


def _same(value: Any) -> Any:
    """Without ids and times."""
    if isinstance(value, dict):
        return {
            k: _same(v)
            for k, v in value.items()
            if k not in ("id", "created", "created_at", "prompt_tokens_details")
        }
    return [_same(v) for v in value] if isinstance(value, list) else value


def test_websockets_are_refused_in_words(endpoint: Endpoint) -> None:
    endpoint.start()
    upgrade = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "eA==",
    }
    answer = httpx2.get(f"{endpoint.url}/v1/realtime", headers=upgrade)
    assert answer.status_code == 501
    assert "WebSockets" in answer.json()["error"]["message"]


def test_an_offer_of_http2_is_not_taken_up_and_harms_nothing(endpoint: Endpoint) -> None:
    endpoint.start()
    endpoint.engine("1")
    offer = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAMAAABk"}
    with httpx2.Client() as client:
        for _ in range(2):
            body = {"model": "m", "messages": [{"role": "user", "content": "a b c"}]}
            answer = client.post(f"{endpoint.url}/v1/chat/completions", json=body, headers=offer)
            assert answer.status_code == 200, answer.text


def test_no_path_reaches_administration(endpoint: Endpoint) -> None:
    endpoint.start()
    endpoint.engine("1")
    admin = sorted(vllm.release(vllm.DEFAULT).admin_routes - {"/health", "/metrics"})
    tricks = ["/v1/../load", "//load", "/lo%61d", "/load?x=/v1/models", "/v1/models/../../load"]
    for path in [*admin, *tricks]:
        for method in ("GET", "POST"):
            with httpx2.Client() as client:
                answer = client.send(
                    httpx2.Request(method, httpx2.URL(endpoint.url).copy_with(raw_path=path.encode()))
                )
            assert answer.status_code in (404, 403, 400), (method, path, answer.text)
            assert "admin" not in answer.json()


def test_health_and_models_and_metrics(endpoint: Endpoint) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    endpoint.start(hold=0.1)
    sick = httpx2.get(f"{endpoint.url}/health")
    assert sick.status_code == 503
    assert "no replica" in sick.json()["error"]["message"]
    endpoint.engine("1")
    endpoint.engine("2")
    assert httpx2.get(f"{endpoint.url}/health").status_code == 200
    assert httpx2.get(f"{endpoint.url}/v1/models").json()["data"][0]["id"] == "m"
    page = httpx2.get(f"{endpoint.url}/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(page)}
    assert {s.labels["replica"] for s in families["vllm:num_requests_running"].samples} == {"1", "2"}
    assert families["stoker_gateway_replicas_ready"].samples[0].value == 2


def test_a_replica_is_named_as_status_names_it() -> None:
    assert labels_of(["1.2", "2.10", "1.9"]) == {"1.2": "1.2", "1.9": "1", "2.10": "2"}
    assert labels_of(["a"]) == {"a": "a"}


def test_requests_are_spread_by_load(endpoint: Endpoint) -> None:
    endpoint.start()
    endpoint.engine("1", ttft=0.3)
    endpoint.engine("2", ttft=0.3)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: endpoint.chat(max_tokens=1).status_code, range(8)))
    assert set(done) == {200}
    page = httpx2.get(f"{endpoint.url}/metrics").text
    counts = [
        line
        for line in page.splitlines()
        if line.startswith("vllm:request_success_total") and not line.endswith(" 0.0")
    ]
    assert (
        len([line for line in counts if 'replica="1"' in line])
        == len([line for line in counts if 'replica="2"' in line])
        == 1
    )


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_without_a_first_event_survives_its_replica(endpoint: Endpoint, stream: bool) -> None:
    endpoint.start()
    endpoint.engine("1", ttft=5.0)
    endpoint.engine("2", ttft=5.0)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(endpoint.chat, max_tokens=3, stream=stream) for _ in range(8)]
        until(lambda: _running(endpoint) > 4, 30)
        endpoint.kill("1")
        answers = [future.result() for future in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert all("error" not in answer.text for answer in answers)
    if stream:
        assert all(answer.text.endswith("data: [DONE]\n\n") for answer in answers)


def test_a_stream_cut_in_the_middle_ends_with_an_error_event(endpoint: Endpoint) -> None:
    endpoint.start()
    endpoint.engine("1", faults={"die_mid_stream_after_tokens": 3}, itl=0.01)
    answer = endpoint.chat(stream=True, max_tokens=50, ignore_eos=True)
    events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    assert "lost" in json.loads(events[-2])["error"]["message"]
    assert all(json.loads(event) for event in events[:-1])


def test_a_request_that_kills_engines_is_given_up(endpoint: Endpoint) -> None:
    endpoint.start(hold=1.0)
    for name in "1234":
        endpoint.engine(name, faults={"die_mid_stream_after_tokens": 0})
    answer = endpoint.chat()
    assert answer.status_code == 502
    assert "3 replicas were lost" in answer.json()["error"]["message"]

    def alive() -> int:
        return sum(engine.poll() is None for engine, _ in endpoint.engines.values())

    until(lambda: alive() <= 1, 10)  # a process ends a moment after its connections do
    assert alive() == 1


def test_an_error_of_one_engine_is_tried_at_another(endpoint: Endpoint) -> None:
    endpoint.start()
    endpoint.engine("1", faults={"error_rate": 1.0})
    endpoint.engine("2")
    assert {endpoint.chat(max_tokens=1).status_code for _ in range(6)} == {200}


def test_an_error_of_every_engine_is_the_answer(endpoint: Endpoint) -> None:
    endpoint.start(hold=30.0)
    endpoint.engine("1", faults={"error_rate": 1.0})
    begun = time.monotonic()
    assert endpoint.chat(max_tokens=1).status_code == 500
    assert time.monotonic() - begun < 20, "nothing is held for another replica"


def test_requests_wait_for_the_first_replica(endpoint: Endpoint) -> None:
    endpoint.start(hold=60.0)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(endpoint.chat, max_tokens=1) for _ in range(20)]
        time.sleep(0.5)
        endpoint.engine("1")
        assert {future.result().status_code for future in asked} == {200}


def test_after_the_hold_it_is_503_with_retry_after(endpoint: Endpoint) -> None:
    endpoint.start(hold=0.3)
    answer = endpoint.chat()
    assert answer.status_code == 503
    assert answer.headers["retry-after"].isdigit()
    assert "within 0.3 s" in answer.json()["error"]["message"]


def test_a_hung_replica_is_out_soon_and_back_as_soon_as_it_goes_on(endpoint: Endpoint) -> None:
    endpoint.start()
    endpoint.engine("1")
    endpoint.engine("2")
    endpoint.kill("1", signal.SIGSTOP)
    begun = time.monotonic()
    until(lambda: endpoint.ready() == ["2"], 30)
    assert time.monotonic() - begun < 15
    endpoint.kill("1", signal.SIGCONT)
    begun = time.monotonic()
    until(lambda: endpoint.ready() == ["1", "2"], 30)
    assert time.monotonic() - begun < 15


def test_requests_on_a_hung_replica_are_sent_again(endpoint: Endpoint) -> None:
    endpoint.start(hold=30.0)
    endpoint.engine("1")
    endpoint.kill("1", signal.SIGSTOP)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(endpoint.chat, max_tokens=1) for _ in range(4)]
        endpoint.engine("2", wait=False)
        assert {future.result().status_code for future in asked} == {200}


def test_a_leaving_replica_finishes_what_it_has(endpoint: Endpoint) -> None:
    endpoint.start()
    endpoint.engine("1", itl=0.05)
    endpoint.engine("2")
    endpoint.route(leaving=("2",))
    until(lambda: endpoint.ready() == ["1"], 30)
    in_flight = lambda: json.loads((endpoint.folder / "seen.json").read_text())["in_flight"]  # noqa: E731
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(endpoint.chat, stream=True, max_tokens=100, ignore_eos=True)
        until(lambda: _running(endpoint) == 1, 30)
        endpoint.route(leaving=("1",))
        until(lambda: endpoint.ready() == ["2"], 30)
        assert in_flight() == {"1": 1}
        assert {endpoint.chat(max_tokens=1).status_code for _ in range(3)} == {200}
        assert asked.result().text.endswith("data: [DONE]\n\n")
        until(lambda: in_flight() == {"1": 0}, 30)


def test_a_client_that_goes_away_cancels_its_request(endpoint: Endpoint) -> None:
    endpoint.start()
    endpoint.engine("1", itl=0.05)
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "a"}],
        "stream": True,
        "max_tokens": 500,
        "ignore_eos": True,
    }
    with httpx2.stream("POST", f"{endpoint.url}/v1/chat/completions", json=body) as stream:
        next(stream.iter_lines())
    until(lambda: _running(endpoint) == 0, 30)


def _running(endpoint: Endpoint) -> float:
    page = httpx2.get(f"{endpoint.url}/metrics").text
    return sum(
        float(line.split()[-1]) for line in page.splitlines() if line.startswith("vllm:num_requests_running{")
    )


def test_with_a_key_everything_but_health_is_locked(endpoint: Endpoint) -> None:
    (endpoint.folder / "endpoint.key").write_text("open-sesame")
    endpoint.start(key_file=str(endpoint.folder / "endpoint.key"))
    endpoint.engine("1")
    for path in ("/v1/models", "/metrics", "/tokenize", "/nothing", "/load", "/"):
        assert httpx2.get(endpoint.url + path).status_code == 401, path
        assert httpx2.get(endpoint.url + path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert httpx2.get(f"{endpoint.url}/health").status_code == 200
    for headers in ({"Authorization": "Bearer open-sesame"}, {"X-Api-Key": "open-sesame"}):
        assert httpx2.get(f"{endpoint.url}/v1/models", headers=headers).status_code == 200


def test_other_sites_pages_and_foreign_names_are_refused(endpoint: Endpoint) -> None:
    endpoint.start(cors=["https://good.example"])
    endpoint.engine("1")
    models = f"{endpoint.url}/v1/models"
    assert httpx2.get(models, headers={"Origin": "https://evil.example"}).status_code == 403
    assert httpx2.get(models, headers={"Host": "evil.example"}).status_code == 403
    good = httpx2.get(models, headers={"Origin": "https://good.example"})
    assert good.status_code == 200
    assert good.headers["access-control-allow-origin"] == "https://good.example"
    asked = httpx2.options(
        models, headers={"Origin": "https://good.example", "Access-Control-Request-Headers": "authorization"}
    )
    assert (asked.status_code, asked.headers["access-control-allow-headers"]) == (204, "authorization")


@pytest.mark.parametrize(
    "raw",
    [
        b"NOT HTTP AT ALL\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_garbage_gets_a_400_and_harms_nobody(endpoint: Endpoint, raw: bytes) -> None:
    import socket

    endpoint.start()
    endpoint.engine("1")
    with socket.create_connection(("127.0.0.1", endpoint.port), 5) as connection:
        connection.sendall(raw)
        assert connection.recv(100).split()[1] in (b"400", b"431")
    assert endpoint.chat(max_tokens=1).status_code == 200


def test_who_may_not_ask_is_told_before_a_body_is_read(endpoint: Endpoint) -> None:
    import socket

    (endpoint.folder / "endpoint.key").write_text("sesame")
    endpoint.start(key_file=str(endpoint.folder / "endpoint.key"))
    endpoint.engine("1")
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", endpoint.port), 5) as connection:
        connection.sendall(head + b"x" * 1000)
        answer = b""
        while part := connection.recv(4096):
            answer += part
    assert answer.split()[1] == b"401"
    assert answer.count(b"HTTP/1.1") == 1
    assert b"connection: close" in answer.lower()


def test_a_header_is_counted_while_it_comes(endpoint: Endpoint) -> None:
    import socket

    endpoint.start()
    with socket.create_connection(("127.0.0.1", endpoint.port), 5) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Large: ")
        sent, answer = 0, b""
        try:
            while sent < 8 << 20:
                sent += connection.send(b"a" * 65536)
            answer = connection.recv(100)
        except OSError:
            answer = b"- 431"
    assert answer.split()[1] == b"431"
    assert sent < 4 << 20, "it was not read on and on"


def test_trailers_say_nothing(endpoint: Endpoint) -> None:
    import socket

    (endpoint.folder / "endpoint.key").write_text("sesame")
    endpoint.start(key_file=str(endpoint.folder / "endpoint.key"))
    endpoint.engine("1")
    text = (
        b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\nAuthorization: Bearer sesame\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", endpoint.port), 5) as connection:
        connection.sendall(text)
        assert connection.recv(100).split()[1] == b"401"


def test_many_requests_at_once_on_one_connection_are_answered_in_order(endpoint: Endpoint) -> None:
    import socket

    endpoint.start()
    endpoint.engine("1")
    with socket.create_connection(("127.0.0.1", endpoint.port), 10) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
        answer = b""
        while answer.count(b"HTTP/1.1 200") < 200:
            part = connection.recv(65536)
            assert part, answer[-200:]
            answer += part


def test_head_takes_no_replica_out_of_rotation(endpoint: Endpoint) -> None:
    endpoint.start()
    endpoint.engine("1")
    assert httpx2.head(f"{endpoint.url}/v1/models").status_code == 405
    assert httpx2.head(f"{endpoint.url}/health").status_code == 200
    assert endpoint.ready() == ["1"]
    assert endpoint.chat(max_tokens=1).status_code == 200


def test_bad_json_is_the_engines_own_answer(endpoint: Endpoint) -> None:
    endpoint.start()
    endpoint.engine("1")
    answer = httpx2.post(
        f"{endpoint.url}/v1/chat/completions", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_requests_on_one_connection_are_answered_in_order(endpoint: Endpoint) -> None:
    import socket

    endpoint.start()
    endpoint.engine("1")
    with socket.create_connection(("127.0.0.1", endpoint.port), 5) as connection:
        host = f"Host: 127.0.0.1:{endpoint.port}\r\n".encode()
        connection.sendall(
            b"GET /v1/models HTTP/1.1\r\n"
            + host
            + b"\r\nGET /health HTTP/1.1\r\n"
            + host
            + b"Connection: close\r\n\r\n"
        )
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    assert data.count(b"HTTP/1.1 200 OK") == 2
    assert data.index(b'"object"') < data.rindex(b"HTTP/1.1 200 OK")


def test_sigterm_lets_answers_finish(endpoint: Endpoint) -> None:
    endpoint.start()
    endpoint.engine("1", itl=0.05)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(endpoint.chat, stream=True, max_tokens=100, ignore_eos=True)
        until(lambda: _running(endpoint) == 1, 30)
        endpoint.process.terminate()
        assert asked.result().text.endswith("data: [DONE]\n\n")
    assert endpoint.process.wait(30) == 0


def test_a_request_has_one_id_in_logs_and_answer(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_LOG", "json")
    endpoint.start()
    endpoint.engine("a")
    endpoint.route()
    until(endpoint.ready, 30)
    given = httpx2.post(
        f"{endpoint.url}/v1/chat/completions", json=GUIDE, headers={"x-request-id": "mine-1"}, timeout=20
    )
    assert given.headers.get_list("x-request-id") == ["mine-1"]
    assert given.json()["id"] == "chatcmpl-mine-1", "the engine's own id holds it"
    made = httpx2.post(
        f"{endpoint.url}/v1/chat/completions",
        json=GUIDE | {"stream": True},
        headers={"x-request-id": "no good\tone"},
        timeout=20,
    )
    assert len(made.headers["x-request-id"]) == 32

    def lines() -> list[dict[str, Any]]:
        said = (endpoint.folder / "gateway.log").read_text().splitlines()
        return [one for one in map(json.loads, said) if one["logger"] == "stoker.requests"]

    until(lambda: len(lines()) == 2, 5)
    first, second = lines()
    assert (first["request_id"], first["status"], first["sent"], first["role"]) == (
        "mine-1",
        200,
        1,
        "gateway",
    )
    assert first["replica"] == "a"
    assert second["request_id"] == made.headers["x-request-id"]
    assert 0 < second["first"] <= second["seconds"]
