"""The endpoint's contract, against simulated engines: bodies, routes, holding, resending, cutting."""

import concurrent.futures
import json
import signal
import time
from typing import Any

import httpx2
import pytest
from tests.support.endpoint import GUIDE, Endpoint, in_flight, running, until

from stoker.catalog import vllm
from stoker.targets.gateway.app import labels_of


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

    endpoint.start(queue_timeout=0.1)
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
        until(lambda: in_flight(endpoint) > 4, 30)
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
    endpoint.start(queue_timeout=1.0)
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
    endpoint.start(queue_timeout=30.0)
    endpoint.engine("1", faults={"error_rate": 1.0})
    begun = time.monotonic()
    assert endpoint.chat(max_tokens=1).status_code == 500
    assert time.monotonic() - begun < 20, "nothing is held for another replica"


def test_requests_wait_for_the_first_replica(endpoint: Endpoint) -> None:
    endpoint.start(queue_timeout=60.0)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(endpoint.chat, max_tokens=1) for _ in range(20)]
        time.sleep(0.5)
        endpoint.engine("1")
        assert {future.result().status_code for future in asked} == {200}


def test_after_the_hold_it_is_503_with_retry_after(endpoint: Endpoint) -> None:
    endpoint.start(queue_timeout=0.3)
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
    endpoint.start(queue_timeout=30.0)
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
        until(lambda: running(endpoint) == 1, 30)
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
    until(lambda: running(endpoint) == 0, 30)


def test_sigterm_lets_answers_finish(endpoint: Endpoint) -> None:
    endpoint.start()
    endpoint.engine("1", itl=0.05)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(endpoint.chat, stream=True, max_tokens=100, ignore_eos=True)
        until(lambda: running(endpoint) == 1, 30)
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
    assert given.headers.get_list("x-stoker-replica") == ["a"]
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
