"""What runs beside an engine in its pod: the witness of its requests, the liveness probe and the preStop that
ask it."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import free_port
from tests.support.endpoint import Endpoint
from tests.support.engine import wait
from tests.support.pod import programs, stoker_ask

from stoker.catalog import vllm

ROOT = Path(__file__).resolve().parents[2]
CHAT = "/v1/chat/completions"


class Pod:
    """The little engine in a process of its own, its witness, and the programs beside it."""

    def __init__(self, folder: Path, canary: float = 3600, **turned: Any) -> None:
        self.programs, self.port = programs(folder), free_port()
        self.open: list[http.client.HTTPConnection] = []
        self.log = folder / "log"
        path = f"{ROOT}:{self.programs.etc}"
        env = {**self.programs.env, "PYTHONPATH": path, "STOKER_CANARY": str(canary)}
        argv = [sys.executable, "-m", "tests.support.little_engine", str(self.port), json.dumps(turned)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, env=env, stdout=log, stderr=log)
        wait(lambda: "running on" in self.log.read_text(), 60)

    def facts(self) -> dict[str, Any]:
        (found,) = stoker_ask.ask("requests")
        assert isinstance(found, dict)
        return found

    def sent(self, path: str = CHAT, **body: Any) -> http.client.HTTPConnection:
        """A request that is on its way."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self.open.append(connection)
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        return connection

    def asked(self, path: str, **body: Any) -> tuple[int, dict[str, str], bytes]:
        answer = self.sent(path, **body).getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    def turn(self, **to: Any) -> Any:
        return json.loads(self.asked("/turn", **to)[2])

    def health(self) -> int:
        return self.get("/health")

    def get(self, path: str) -> int:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("GET", path)
            return connection.getresponse().status

    def alive(self, seconds: object = 0.001) -> tuple[int, str]:
        return self.programs.run("alive.py", str(self.port), str(seconds))

    def close(self) -> None:
        for connection in self.open:
            connection.close()
        self.process.kill()
        self.process.wait()


Start = Callable[..., Pod]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    pods: list[Pod] = []
    monkeypatch.setattr(stoker_ask, "FOLDER", tmp_path / "w")

    def make(**more: Any) -> Pod:
        pods.append(Pod(tmp_path, **more))
        return pods[-1]

    yield make
    for pod in pods:
        pod.close()


@pytest.fixture
def pod(start: Start) -> Pod:
    """One that is warm."""
    made = start()
    wait(lambda: made.health() == 200)
    return made


def test_every_route_of_clients_is_counted_and_no_other() -> None:
    code = (
        "import json, sys, stoker_witness as w; print(json.dumps([w.counted(p) for p in "
        "json.load(sys.stdin)]))"
    )
    for version in vllm.KNOWN:
        release = vllm.release(version)
        routes = sorted(release.routes)
        env = {**os.environ, "PYTHONPATH": str(ROOT / "src/stoker/render/manifests/scripts")}
        said = subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(routes),
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        counted = {path for path, yes in zip(routes, json.loads(said.stdout), strict=True) if yes}
        quick = {"/version"}  # answered at once, by the API's process alone
        assert counted - {"/invocations"} == release.inference_routes - quick, (
            "SageMaker's is one of clients, too"
        )


def test_requests_are_counted_from_their_arrival_to_their_end(pod: Pod) -> None:
    pod.turn(hang=True)
    served = pod.facts()["served"]
    streams = [pod.sent(stream=True, tokens=2), pod.sent(stream=True)]
    plain = pod.sent()
    wait(lambda: pod.facts()["waiting"] == 3)
    facts = pod.facts()
    assert (facts["in_flight"], facts["served"]) == (3, served)
    wait(lambda: pod.facts()["silent_for"] > facts["silent_for"] > 0)
    streams[0].close()
    wait(lambda: pod.facts()["in_flight"] == 2)
    pod.turn(hang=False)
    assert plain.getresponse().status == 200
    wait(lambda: pod.facts()["in_flight"] == 0)
    facts = pod.facts()
    assert (facts["served"], facts["waiting"], facts["silent_for"]) == (served + 3, 0, 0.0)


def test_a_client_that_takes_its_time_is_no_hang(pod: Pod) -> None:
    reader = pod.sent(stream=True, tokens=20_000, size=1000)  # more than any buffer on the way
    wait(lambda: pod.facts() | {"in_flight": 1, "waiting": 0} == pod.facts() | {"silent_for": 0.0}, 60)
    uploader = http.client.HTTPConnection("127.0.0.1", pod.port, timeout=30)
    pod.open.append(uploader)
    uploader.putrequest("POST", CHAT)
    uploader.putheader("content-length", "2")
    uploader.endheaders(b"{")
    wait(lambda: pod.facts()["in_flight"] == 2)
    assert pod.facts()["waiting"] == 0
    assert pod.alive() == (0, "")
    uploader.send(b"}")
    assert uploader.getresponse().status == 200
    assert len(reader.getresponse().read()) > 20_000_000


def test_an_answer_begins_with_its_first_event(pod: Pod) -> None:
    """So a request that got nothing yet can be answered 503, which clients and gateways send again."""
    pod.turn(hang=True)
    waiting = pod.sent(stream=True)
    wait(lambda: pod.facts()["waiting"] == 1)
    assert waiting.sock is not None
    waiting.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        waiting.getresponse()


def end(pod: Pod) -> None:
    assert pod.programs.run("leave.py", "0", "0") == (0, "")


@pytest.mark.parametrize(
    ("path", "last"),
    [
        (CHAT, ['data: {"error": {"message": "', "data: [DONE]"]),
        (
            "/v1/messages",
            ["event: error", 'data: {"type": "error", "error": {"type": "api_error", "message": "'],
        ),
        ("/v1/responses", ["event: error", 'data: {"type": "error", "code": "server_error", "message": "']),
    ],
)
def test_what_is_open_when_the_pod_leaves_is_ended_in_words(pod: Pod, path: str, last: list[str]) -> None:
    pod.turn(hang=True)
    stream, silent, plain = pod.sent(path, stream=True, tokens=2), pod.sent(path, stream=True), pod.sent(path)
    begun = stream.getresponse()
    wait(lambda: pod.facts()["waiting"] == 3)
    end(pod)
    lines = [line for line in begun.read().decode().split("\n") if line]
    assert [line[: len(start)] for line, start in zip(lines[2:], last, strict=True)] == last
    for one in (silent, plain):
        answer = one.getresponse()
        body = json.loads(answer.read())
        assert (answer.status, answer.getheader("retry-after")) == (503, "1")
        assert "is leaving" in body["error"]["message"]
    assert pod.facts()["in_flight"] == 0
    assert pod.asked(path)[0] == 503, "nothing new is taken"
    assert pod.health() == 503
    pod.process.terminate()
    assert pod.process.wait(30) is not None, "SIGTERM finds nothing open"
    assert "Traceback" not in pod.log.read_text()


def test_a_client_that_does_not_read_holds_nothing_up(pod: Pod) -> None:
    pod.sent(stream=True, tokens=20_000, size=1000)
    wait(lambda: pod.facts() | {"in_flight": 1, "waiting": 0} == pod.facts() | {"silent_for": 0.0}, 60)
    end(pod)
    assert pod.facts()["in_flight"] == 0


def test_what_an_earlier_life_left_in_the_folder_is_nobody(pod: Pod) -> None:
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(pod.programs.shared / "1.sock"))
    assert pod.facts()["warm"]


def test_the_pre_stop_lets_answers_finish(pod: Pod) -> None:
    pod.turn(hang=True)
    stream = pod.sent(stream=True, tokens=1).getresponse()
    leaving = pod.programs.start("leave.py", "0", "60")
    with pytest.raises(subprocess.TimeoutExpired):
        leaving.wait(2)
    assert pod.health() == 200, "it serves on meanwhile"
    pod.turn(hang=False)
    assert leaving.wait(30) == 0
    leaving.communicate()
    assert stream.read().endswith(b"data: [DONE]\n\n")
    assert pod.health() == 503


def test_a_pre_stop_without_an_engine_waits_for_nothing(tmp_path: Path) -> None:
    began = time.monotonic()
    assert programs(tmp_path).run("leave.py", "300", "300") == (0, "")
    assert time.monotonic() - began < 60


def test_it_is_ready_once_every_kind_was_answered_for_every_name(start: Start) -> None:
    pod = start(hang=True)
    wait(lambda: pod.facts()["waiting"] == 1)
    assert [pod.get("/health"), pod.get("/metrics")] == [503, 503]
    assert pod.facts()["in_flight"] == 0, "no client waits"
    assert pod.turn(hang=False)["status"] == 200
    wait(lambda: pod.health() == 200)
    asked = pod.turn()["asked"]
    kinds = [(path, body["model"], "logprobs" in body, body.get("max_tokens")) for path, body in asked]
    assert kinds == [
        one
        for name in ("one", "two")
        for one in (
            (CHAT, name, False, 2),
            (CHAT, name, True, 2),
            (CHAT, name, False, 2),
            ("/v1/embeddings", name, False, None),
        )
    ]
    pod.health()
    assert pod.turn()["asked"] == asked, "once"


@pytest.mark.parametrize(("status", "ready"), [(400, 200), (404, 200), (500, 503), (503, 503)])
def test_a_kind_that_is_refused_is_done_and_an_engine_that_fails_is_not(
    start: Start, status: int, ready: int
) -> None:
    pod = start(status=status)
    wait(lambda: len(pod.turn()["asked"]) >= 3)
    if ready == 200:
        wait(lambda: pod.health() == 200)
    else:
        assert pod.health() == 503
        wait(lambda: len(pod.turn()["asked"]) > 6)
        assert pod.health() == 503
        pod.turn(status=200)
        wait(lambda: pod.health() == 200)


def test_a_hang_that_begins_while_nobody_asks_is_noticed(start: Start) -> None:
    pod = start(canary=0.5)
    wait(lambda: pod.health() == 200)
    seen = len(pod.turn()["asked"])
    wait(lambda: len(pod.turn()["asked"]) > seen + 1)
    assert pod.turn()["asked"][-1][1]["max_tokens"] == 1
    assert pod.alive() == (0, "")
    pod.turn(hang=True)
    wait(lambda: pod.facts()["canary_for"] > 0.1)
    pod.alive()
    code, said = pod.alive()
    assert code == 1
    assert "nothing came from the engine" in said
    began = time.monotonic()
    assert pod.programs.run("leave.py", "300", "300") == (0, ""), "there is nothing to wait for"
    assert time.monotonic() - began < 60


def test_clients_that_give_up_and_come_again_hide_no_hang(start: Start) -> None:
    pod = start(canary=0.5)
    wait(lambda: pod.health() == 200)
    pod.turn(hang=True)
    wait(lambda: pod.facts()["canary_for"] > 1)
    for _ in range(3):
        pod.sent(stream=True)
        wait(lambda: pod.facts()["in_flight"] == 1)
        pod.open.pop().close()
        wait(lambda: pod.facts()["in_flight"] == 0)
    assert pod.facts()["silent_for"] > 1
    wait(lambda: pod.alive(1)[0] == 1)


def test_progress_is_an_event_or_a_step_of_the_engine(pod: Pod) -> None:
    pod.turn(hang=True, tokens=10)
    pod.sent()
    wait(lambda: pod.facts()["waiting"] == 1)
    assert pod.alive()[0] == 0, "the first look"
    assert pod.alive(60)[0] == 0, "not for so long yet"
    pod.turn(tokens=20)
    assert pod.alive()[0] == 0, "an answer that is not streamed, or a long prompt, moves the counters"
    code, said = pod.alive()
    assert code == 1
    assert "1 requests wait" in said
    pod.turn(tokens=None)
    assert [pod.alive()[0], pod.alive()[0]] == [0, 0], "without counters the canary alone tells"
    pod.process.kill()
    pod.process.wait()
    assert pod.alive()[0] != 0


def test_behind_a_gateway_a_pod_that_leaves_loses_nothing_that_has_shown_nothing(tmp_path: Path) -> None:
    pods = []
    for name in "ab":
        (tmp_path / name).mkdir()
        pods.append(Pod(tmp_path / name))
    endpoint = Endpoint(tmp_path)
    try:
        endpoint.engines = {"a": (pods[0].process, pods[0].port)}
        endpoint.route()
        endpoint.start()
        wait(lambda: endpoint.ready() == ["a"], 60)
        pods[0].turn(hang=True)
        asking = ThreadPoolExecutor(2)
        answers = [asking.submit(endpoint.chat, stream=stream, tokens=2) for stream in (True, False)]
        wait(lambda: len([1 for path, body in pods[0].turn()["asked"] if "tokens" in body]) == 2)
        endpoint.engines["b"] = (pods[1].process, pods[1].port)
        endpoint.route(leaving=("a",))
        wait(lambda: endpoint.ready() == ["b"], 60)
        end(pods[0])
        assert [one.result(60).status_code for one in answers] == [200, 200]
        assert answers[0].result().text.endswith("data: [DONE]\n\n")
    finally:
        endpoint.close()
        for pod in pods:
            pod.close()
