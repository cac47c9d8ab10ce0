"""`stoker ui` for an endpoint that is no fleet of anybody: looked at by its address alone."""

import signal
import subprocess
import sys

import httpx2
from tests.conftest import Stoker, free_port
from tests.support.endpoint import until


def test_any_endpoint_is_shown_by_its_address(stoker: Stoker) -> None:
    assert stoker("up", "-d", "-f", stoker.spec()).code == 0
    port = free_port()
    page = subprocess.Popen(
        [sys.executable, "-m", "stoker", "ui", "--url", f"{stoker.url}/v1", "--port", str(port)],
        env=stoker.env,
        cwd=stoker.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert page.stdout is not None
        line = page.stdout.readline()
        assert line.startswith(f"console  http://127.0.0.1:{port}/"), line or page.communicate()[1]

        def asked(path: str) -> dict[str, object]:
            found: dict[str, object] = httpx2.get(f"http://127.0.0.1:{port}/api/{path}", timeout=30).json()
            return found

        until(lambda: asked("now").get("points"), 60)
        assert asked("key") == {"lockable": False, "unlocked": False, "acts": False}
    finally:
        page.send_signal(signal.SIGINT)
        out, err = page.communicate(timeout=60)
    assert page.returncode == 0, out + err


def test_an_address_where_nothing_answers_is_an_error(stoker: Stoker) -> None:
    ran = stoker("ui", "--url", "http://127.0.0.1:9")
    assert ran.code == 1
    assert "http://127.0.0.1:9 does not answer" in ran.err
