"""The ways into a fleet of a cluster: the gateway as a pod, and chat and page through a port-forward."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.conftest import Stoker, free_port
from tests.support.cluster import Cluster
from tests.support.cluster.kinds import BY_KIND
from tests.support.endpoint import until
from tests.support.manifests import one, plan_of
from tests.support.user import SPEC, User

from stoker.catalog import vllm
from stoker.render.manifests import manifests
from stoker.targets.kubernetes.gateway import reason, routes
from stoker.targets.kubernetes.portforward import PortForward

LABELS = {"app.kubernetes.io/instance": "shop", "app.kubernetes.io/component": "engine"}


class Pods:
    """Engines on loopback addresses of their own, as pods of a double, and the gateway's process."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.folder, self.cluster = folder, cluster
        self.port, self.engine_port = free_port(), free_port()
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Runs the gateway as its pod does, with the rendered settings."""
        text = (
            "model: {source: 'gs://b/m', served_name: m}\nname: shop\nhardware: l4\ntarget: "
            "kubernetes\nengine: {max-model-len: 4K}\nkubernetes: {routing: gateway, image: "
            "'r/stoker:1'}\n"
        )
        body = one(manifests(plan_of(text, None)), "ConfigMap", "shop-gateway")
        raw = json.loads(body["data"]["gateway.json"])
        raw |= {
            "host": "127.0.0.1",
            "port": self.port,
            "engine_port": self.engine_port,
            "queue_timeout": 60.0,
            "linger": 0,
            "drain": 1,
        }
        (self.folder / "gateway.json").write_text(json.dumps(raw))
        (self.folder / "kubeconfig").write_text(self.cluster.kubeconfig())
        env = {**os.environ, "KUBECONFIG": str(self.folder / "kubeconfig")}
        argv = [sys.executable, "-m", "stoker.targets.kubernetes.gateway", str(self.folder / "gateway.json")]
        log = (self.folder / "gateway.log").open("wb")
        self.processes.append(subprocess.Popen(argv, stdout=log, stderr=log, env=env))
        log.close()
        until(lambda: self.health() is not None, 30)

    def engine(self, number: int) -> None:
        """An engine on 127.0.0.N, and its pod."""
        host = f"127.0.0.{number}"
        argv = [
            sys.executable,
            "-m",
            "stoker.targets.simulated",
            "m",
            "--host",
            host,
            "--port",
            str(self.engine_port),
        ]
        argv += ["--simulate", json.dumps({"start_seconds": 0.0})]
        self.processes.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        self.pod(f"shop-{number}", host)

    def pod(self, name: str, host: str, labels: dict[str, str] = LABELS) -> None:
        body = {
            "metadata": {"name": name, "labels": labels},
            "spec": {"nodeName": "n", "containers": [{"name": "engine", "image": "i"}]},
        }
        store = self.cluster.store
        store.create(BY_KIND["Pod"], "default", body)
        store.status(("Pod", "default", name), phase="Running", podIP=host)

    def health(self) -> int | None:
        with contextlib.suppress(httpx2.TransportError):
            return httpx2.get(f"http://127.0.0.1:{self.port}/health", timeout=2).status_code
        return None

    def chat(self) -> httpx2.Response:
        body = {"model": "m", "messages": [{"role": "user", "content": "a"}]}
        return httpx2.post(f"http://127.0.0.1:{self.port}/v1/chat/completions", json=body, timeout=30)

    def rotation(self) -> set[str]:
        """The pods that the gateway sends to, by its own page."""
        page = httpx2.get(f"http://127.0.0.1:{self.port}/metrics", timeout=30).text
        lines = [line for line in page.splitlines() if line.startswith("stoker_gateway_requests_in_flight{")]
        return {line.split('"')[1] for line in lines}


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    with Cluster() as cluster:
        cluster.lives.step = lambda: None  # type: ignore[method-assign]  # these pods live as the test says
        made = Pods(tmp_path, cluster)
        yield made
        for process in made.processes:
            process.kill()
            process.wait()


def test_the_gateways_pod_follows_the_pods(pods: Pods) -> None:
    pods.pod("other", "127.0.0.9", {"app": "other"})
    pods.start()
    assert pods.health() == 503
    until(
        lambda: "the fleet has no engine pod" in httpx2.get(f"http://127.0.0.1:{pods.port}/health").text, 30
    )
    pods.engine(2)
    answer = pods.chat()  # waits for the replica, as on one machine
    assert answer.status_code == 200
    pods.engine(3)
    until(lambda: pods.rotation() == {"shop-2", "shop-3"}, 30)
    pods.cluster.store.delete(("Pod", "default", "shop-2"))
    until(lambda: pods.rotation() == {"shop-3"}, 30)
    assert pods.chat().status_code == 200
    assert httpx2.get(f"http://127.0.0.1:{pods.port}/shutdown").status_code == 404


def test_a_gateway_that_loses_the_api_server_keeps_its_routes(pods: Pods) -> None:
    pods.engine(2)
    pods.start()
    until(lambda: pods.health() == 200, 30)
    pods.cluster.server.shutdown()
    pods.cluster.server.server_close()
    time.sleep(1)
    assert pods.chat().status_code == 200


def test_pods_as_routes() -> None:
    def pod(name: str, **more: Any) -> dict[str, Any]:
        return {"metadata": {"name": name, **more.pop("meta", {})}, "status": {"phase": "Running", **more}}

    given = [
        pod("b", podIP="10.0.0.2", meta={"deletionTimestamp": "2026-11-24T10:00:00Z"}),
        pod("a", podIP="10.0.0.1"),
        pod("c"),
        pod("d", podIP="10.0.0.3", phase="Failed"),
    ]
    assert [(one.id, one.host, one.leaving) for one in routes(given, 8000)] == [
        ("a", "10.0.0.1", False),
        ("b", "10.0.0.2", True),
    ]
    assert reason(given) == "engine pods: 3 Running, 1 Failed"


FORWARD = """#!{python}
import os, signal, socket, sys, threading
assert sys.argv[1:3] == ["port-forward", "service/shop"], sys.argv
local, _, remote = sys.argv[3].partition(":")
with open({calls!r}, "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
server = socket.create_server(("127.0.0.1", int(local or 0)), reuse_port=False)
print(f"Forwarding from 127.0.0.1:{{server.getsockname()[1]}} -> {{remote}}", flush=True)
def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    for one in (a, b):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
while True:
    here, _ = server.accept()
    there = socket.create_connection(("127.0.0.1", {port}))
    for pair in ((here, there), (there, here)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""


@pytest.fixture
def forwarded(stoker: Stoker) -> Iterator[tuple[User, Path]]:
    """A fleet of the double whose Service is a simulated engine here, by a kubectl that forwards to it."""
    port = free_port()
    calls = stoker.home / "calls"
    folder = stoker.home / "bin"
    folder.mkdir()
    (folder / "kubectl").write_text(FORWARD.format(python=sys.executable, calls=str(calls), port=port))
    (folder / "kubectl").chmod(0o755)
    stoker.env["PATH"] = f"{folder}:{os.environ['PATH']}"
    argv = [
        sys.executable,
        "-m",
        "stoker.targets.simulated",
        "gemma-ft",
        "--port",
        str(port),
        "--served-model-name",
        "gemma-ft",
    ]
    argv += ["--simulate", json.dumps({"start_seconds": 0.0})]
    engine = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with Cluster() as cluster:
        cluster.node("l4-0", 1, "nvidia-l4")
        user = User(stoker, cluster)
        user.ok("up")
        yield user, calls
    engine.kill()
    engine.wait()


def test_chat_through_a_port_forward(forwarded: tuple[User, Path]) -> None:
    user, calls = forwarded
    ran = user.stoker("chat", "Hello!", KUBECONFIG=str(user.config))
    assert ran.code == 0, ran.err
    assert ran.out.strip()
    assert calls.read_text() == "port-forward service/shop :8000 -n default\n"


@pytest.mark.timeout(400)
def test_the_page_through_a_port_forward_that_breaks(forwarded: tuple[User, Path]) -> None:
    user, calls = forwarded
    port = free_port()
    env = {**user.stoker.env, "KUBECONFIG": str(user.config)}
    argv = [sys.executable, "-m", "stoker", "ui", "--port", str(port)]
    process = subprocess.Popen(
        argv, env=env, cwd=user.stoker.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert f"http://127.0.0.1:{port}/chat" in line, line or process.communicate()[1]
        until(lambda: _running(port) == [3.0], 60)  # the pod's page, by the API server's proxy
        until(lambda: _chat_is_open(port), 180)
        forwards = [p for p in user.stoker.processes() if "port-forward" in p.cmdline()]
        assert len(forwards) == 1
        forwards[0].kill()
        until(lambda: len(calls.read_text().splitlines()) == 2, 30)
        first, second = calls.read_text().splitlines()
        assert first.split()[2] == ":8000"
        assert second.split()[2].endswith(":8000")
        assert second.split()[2] != ":8000", "the local port is kept"
        assert _chat_is_open(port)
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert not [p for p in user.stoker.processes() if "port-forward" in p.cmdline()], "nothing is left behind"


def _running(port: int) -> list[float]:
    """What the console knows of the requests that run in each pod."""
    now = httpx2.get(f"http://127.0.0.1:{port}/api/now", timeout=30).json()
    if "state" not in now:
        return []
    assert now["state"]["target"] == "kubernetes/default"
    return [now["points"][one["name"]][3] for one in now["state"]["replicas"] if one["name"] in now["points"]]


def _chat_is_open(port: int) -> bool:
    with contextlib.suppress(httpx2.TransportError):
        answer = httpx2.get(f"http://127.0.0.1:{port}/chat/", follow_redirects=True, timeout=30)
        return answer.status_code == 200 and "gradio" in answer.text
    return False


def test_no_kubectl_is_said(user_without_kubectl: User) -> None:
    ran = user_without_kubectl("chat", "Hello!", PATH=str(user_without_kubectl.stoker.home / "empty"))
    assert ran.code == 1
    assert "kubectl is not here" in ran.err


@pytest.fixture
def user_without_kubectl(stoker: Stoker) -> Iterator[User]:
    with Cluster() as cluster:
        cluster.node("l4-0", 1, "nvidia-l4")
        user = User(stoker, cluster)
        user.ok("up")
        yield user


def test_a_gateway_and_a_page_are_waited_for(stoker: Stoker) -> None:
    with Cluster() as cluster:
        cluster.node("l4-0", 1, "nvidia-l4")
        cluster.node("cpu-0")
        user = User(stoker, cluster)
        inside = {**SPEC["kubernetes"], "routing": "gateway", "image": "r/stoker:1"}
        user.write(kubernetes=inside)
        user.ok("up")
        state = user.ok("status", "-o", "json").json()
        assert {one["role"]: one["phase"] for one in state["services"]} == {
            "gateway": "Ready",
            "page": "Ready",
        }
        assert state["page"] == "http://shop-page.default:8001"
        assert user.live("Service")["spec"]["selector"]["app.kubernetes.io/component"] == "gateway"
        before = len(user.writes())
        user.ok("up")
        assert len(user.writes()) == before
        user.write(kubernetes={**inside, "routing": "service"}, endpoint={"page": False})
        user.ok("up")
        assert not {name for name in user.there() if "gateway" in name or "page" in name}
        assert vllm.DEFAULT


@pytest.fixture
def made(stoker: Stoker) -> Iterator[User]:
    with Cluster() as cluster:
        cluster.node("l4-0", 1, "nvidia-l4")
        yield User(stoker, cluster)


def test_the_console_in_a_pod_asks_for_nothing_that_its_role_does_not_have(made: User) -> None:
    user, cluster, stoker = made, made.cluster, made.stoker
    user.write(
        replicas="1..2",
        scaling={"metrics": {"queue-depth": 5}},
        kubernetes={**SPEC["kubernetes"], "image": "r/stoker:1"},
    )
    user.ok("up")
    role = user.live("Role", "shop-page")
    allowed = {
        (group, kind) for rule in role["rules"] for group in rule["apiGroups"] for kind in rule["resources"]
    }
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list"}
    (container,) = user.live("Deployment", "shop-page")["spec"]["template"]["spec"]["containers"]
    port = free_port()
    words = [sys.executable, *container["command"][1:], "--port", str(port), "--host", "127.0.0.1"]
    seen = len(cluster.requests)
    env = {**stoker.env, "KUBECONFIG": str(user.config)}
    process = subprocess.Popen(
        words, env=env, cwd=user.stoker.home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        until(lambda: _listening(port) and "state" in _now(port), 30)
        state = _now(port)["state"]
        assert (state["name"], state["target"], state["wanted"]) == ("shop", "kubernetes/default", 1)
        name = state["replicas"][0]["name"]
        assert httpx2.get(f"http://127.0.0.1:{port}/api/log?name={name}", timeout=30).status_code == 200
        assert httpx2.get(f"http://127.0.0.1:{port}/api/key", timeout=30).json()["acts"] is False
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert "cannot be asked" not in err
    for request in cluster.requests[seen:]:
        method, path = request.split()[:2]
        assert method == "GET", request
        words = path.partition("?")[0].strip("/").split("/")
        group = "" if words[0] == "api" else words[1]
        rest = words[words.index("namespaces") + 2 :] if "namespaces" in words else words[-1:]
        kind = "pods/log" if rest[-1] == "log" else rest[0]
        assert (group, kind) in allowed, request


def _now(port: int) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.get(f"http://127.0.0.1:{port}/api/now", timeout=30).json()
    return found


def _listening(port: int) -> bool:
    with contextlib.suppress(httpx2.TransportError):
        return httpx2.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200
    return False


def test_a_port_forward_ends_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\necho 'Forwarding from 127.0.0.1:4567 -> 8000'\nexec sleep 60\n")
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    read = os.read

    def slow(fd: int, count: int) -> bytes:
        time.sleep(0.1)  # time enough to close the pipe under its reader, were anybody else to close it
        return read(fd, count)

    monkeypatch.setattr(os, "read", slow)
    with PortForward("shop", 8000, ()) as port:
        assert port == 4567
