"""Who may look at what: logs are for the owner and for who holds the key; a process is not given what it does
not need."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.conftest import Stoker, free_port
from tests.support.endpoint import until

NOBODY = 65534
ROLES = ("stoker.targets.simulated", "stoker.targets.gateway", "stoker.ui.console")


def asked(
    port: int, name: str, key: str = "", uid: int | None = None, more: str = "", path: str = "/api/log"
) -> int:
    """The status that the console gives to who asks for a log: as that user, whose socket it is from its
    making on."""
    with _as(uid):
        client = socket.socket()
    with client:
        client.settimeout(60)
        client.connect(("127.0.0.1", port))
        head = f"GET {path}?name={name} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{more}"
        head += f"Authorization: Bearer {key}\r\n" if key else ""
        client.sendall(f"{head}\r\n".encode())
        return int(client.recv(100).split()[1])


@contextlib.contextmanager
def _as(uid: int | None) -> Iterator[None]:
    if uid is not None:
        os.seteuid(uid)
    try:
        yield
    finally:
        if uid is not None:
            os.seteuid(0)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def console(stoker: Stoker) -> Iterator[Callable[..., int]]:
    """Starts a console beside the fleet `sim`; returns its port."""
    with contextlib.ExitStack() as stack:

        def start(*more: str) -> int:
            port = free_port()
            argv = [
                "--endpoint",
                stoker.url,
                "--model",
                "model",
                "--port",
                str(port),
                "--fleet",
                "sim",
                *more,
            ]
            process = subprocess.Popen(
                [sys.executable, "-m", "stoker.ui.console", *argv], env=stoker.env, stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            until(lambda: _listens(port), 60)
            return port

        yield start


def test_the_owner_sees_logs_and_another_user_does_not(
    stoker: Stoker, console: Callable[..., int], tmp_path: Path
) -> None:
    assert stoker("up", "-d", "-f", stoker.spec()).code == 0
    (tmp_path / "key").write_text("hush")
    plain, locked = console(), console("--key-file", str(tmp_path / "key"))
    assert (asked(plain, "1"), asked(plain, "gateway"), asked(locked, "1")) == (200, 200, 200)
    assert asked(plain, "9") == 404
    if os.getuid() != 0:
        pytest.skip("only root can be another user")
    assert [asked(port, "1", uid=NOBODY) for port in (plain, locked)] == [403, 403]
    assert asked(locked, "1", "wrong", NOBODY) == 403
    assert asked(locked, "1", "hush", NOBODY) == 200
    for path in ("/api/now", "/api/stream", "/api/history"):  # without what logs said, which unit tests show
        assert asked(plain, "", uid=NOBODY, path=path) == 200
    own = socket.create_connection(("127.0.0.1", plain))  # whose address a header may claim
    with own:
        claim = f"X-Forwarded-For: 127.0.0.1:{own.getsockname()[1]}\r\n"
        assert asked(plain, "1", uid=NOBODY, more=claim) == 403


def test_no_process_of_a_fleet_is_given_the_variables_of_its_keys(stoker: Stoker) -> None:
    stoker.env |= {"FLEET_KEY": "hush-endpoint", "HUB": "hush-hub", "OTHER": "may-stay"}
    spec = stoker.spec(
        model={"source": "./model", "token": "env:HUB"}, endpoint={"api_key": "env:FLEET_KEY", "page": True}
    )
    ran = stoker("up", "-d", "-f", spec)
    assert ran.code == 0, ran.err
    found = {}
    for process in stoker.processes():
        words = process.cmdline()
        if role := next((one for one in ROLES if one in words), None):
            found[role] = process.environ()
    assert set(found) == set(ROLES)
    for role, environment in found.items():
        assert environment["OTHER"] == "may-stay"
        assert {"FLEET_KEY", "HUB"}.isdisjoint(environment), role
        assert "hush" not in " ".join(environment.values()), role


def test_what_the_spec_gives_an_engine_it_has(stoker: Stoker) -> None:
    stoker.env["HUB"] = "of-the-shell"
    engine = {"kind": "simulated", "simulate": {"start_seconds": 0.05}, "env": {"HUB": "of-the-spec"}}
    spec = stoker.spec(model={"source": "./model", "token": "env:HUB"}, engine=engine)
    assert stoker("up", "-d", "-f", spec).code == 0
    pid = stoker.state()["replicas"][0]["ranks"][0]["pid"]
    assert psutil.Process(pid).environ()["HUB"] == "of-the-spec"
