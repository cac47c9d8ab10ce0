"""The web app without its chat: start page, health, the door, and whom it refuses. Gradio is not imported."""

import asyncio
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from stoker.errors import PortTaken, UsageError
from stoker.ui.console import settings as console_settings
from stoker.ui.console.__main__ import listen
from stoker.ui.console.app import create, curl
from stoker.ui.console.chat_mount import ChatMount, foreign
from stoker.ui.console.settings import Settings

SETTINGS = Settings("http://127.0.0.1:1", "org/<model>")


def never() -> Starlette:
    raise AssertionError("the endpoint is not healthy: nothing is loaded")


def get(
    path: str,
    settings: Settings = SETTINGS,
    host: str = "127.0.0.1:8001",
    method: str = "GET",
    origin: str = "",
) -> httpx2.Response:
    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(create(settings, never))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(
                method, path, headers={"host": host} | ({"origin": origin} if origin else {})
            )

    return asyncio.run(ask())


def test_the_start_page_shows_model_endpoint_and_a_line_to_try() -> None:
    answer = get("/", Settings("http://127.0.0.1:1", "org/<model>", key="a-secret-key"))
    assert answer.status_code == 200
    assert "org/&lt;model&gt;" in answer.text
    assert "http://127.0.0.1:1/v1" in answer.text
    assert "{{" not in answer.text
    assert "a-secret-key" not in answer.text
    assert len(answer.content) < 150_000


def test_a_line_to_try_is_one_that_every_shell_takes() -> None:
    settings = Settings("http://[::1]:8000", "m")
    assert curl(settings).startswith("curl 'http://[::1]:8000/v1/chat/completions'")
    assert curl(Settings("http://127.0.0.1:8000", "m")).startswith("curl http://127.0.0.1:8000/v1/")


def test_pages_name_no_other_host() -> None:
    for path in ("/", "/chat"):
        text = get(path).text.replace("http://127.0.0.1:1", "")
        assert "http:" not in text
        assert "https:" not in text
        assert "//cdn" not in text


def test_health_says_how_far_the_chat_is() -> None:
    answer = get("/health")
    assert answer.status_code == 200
    assert answer.json() == {"chat": "starting", "why": "waiting for the endpoint"}


def test_an_endpoint_that_is_down_is_said() -> None:
    said = get("/fleet").json()
    assert said["healthy"] is False
    assert "http://127.0.0.1:1 does not answer" in said["why"]


def test_until_it_is_loaded_the_chat_is_a_page_that_waits() -> None:
    for path in ("/chat", "/chat/", "/chat/config"):
        answer = get(path)
        assert answer.status_code == 200
        assert "starting" in answer.text


def test_nothing_of_another_host_may_be_fetched() -> None:
    for path in ("/", "/chat/", "/nowhere"):
        assert "default-src 'self'" in get(path).headers["content-security-policy"]


@pytest.mark.parametrize("path", ["upload", "file=/etc/passwd", "deep_link", "proxy=https://example.com/"])
def test_what_a_chat_does_not_need_is_closed(path: str) -> None:
    assert get(f"/chat/gradio_api/{path}", method="POST").status_code == 404


@pytest.mark.parametrize(
    ("method", "headers", "refused"),
    [
        ("POST", {}, False),
        ("POST", {"sec-fetch-site": "same-origin", "origin": "https://chat.example"}, False),
        ("GET", {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, False),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, False),
        ("POST", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, True),
        ("POST", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}, True),
        ("POST", {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}, True),
        ("POST", {"host": "10.0.0.7:8001", "origin": "http://10.0.0.7:8001"}, False),
        ("POST", {"host": "10.0.0.7:8001", "origin": "http://evil.example"}, True),
        ("POST", {"host": "10.0.0.7:8001", "origin": "null"}, True),
    ],
)
def test_a_page_of_another_site_may_not_chat(method: str, headers: dict[str, str], refused: bool) -> None:
    assert foreign(method, Headers(headers)) is refused


def test_a_page_of_another_site_is_told_so() -> None:
    path = "/chat/gradio_api/queue/join"
    assert get(path, method="POST", origin="http://evil.example").status_code == 403
    assert get(path, method="POST", origin="http://127.0.0.1:8001").status_code == 200


@pytest.mark.parametrize(
    ("bound", "asked", "status"),
    [
        ("127.0.0.1", "127.0.0.1:8001", 200),
        ("127.0.0.1", "localhost:8001", 200),
        ("::1", "[::1]:8001", 200),
        ("127.0.0.1", "evil.example:8001", 400),
        ("localhost", "evil.example", 400),
        ("192.0.2.1", "evil.example", 200),
    ],
)
def test_on_loopback_other_host_names_are_refused(bound: str, asked: str, status: int) -> None:
    for path in ("/", "/health", "/chat/"):
        assert get(path, Settings("http://127.0.0.1:1", "m", host=bound), asked).status_code == status


def test_the_line_to_try_survives_a_shell() -> None:
    line = curl(Settings("http://h:1", "it's", key="a-secret-key"))
    assert line.splitlines()[-1].strip().startswith("""-d '{"model": "it'"'"'s",""")
    assert '-H "Authorization: Bearer $API_KEY"' in line


def chat_app() -> Starlette:
    return Starlette(
        routes=[Mount("/chat", Starlette(routes=[Route("/", lambda _: PlainTextResponse("a chat"))]))]
    )


async def opened(door: ChatMount) -> str:
    transport = httpx2.ASGITransport(door)
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        return (await client.get("/chat/")).text


async def reached(door: ChatMount, state: str) -> None:
    async with asyncio.timeout(5):
        while door.state != state:
            await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_the_door_waits_for_the_endpoint_then_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stoker.ui.console.chat_mount.POLL_SECONDS", 0.0)
    reasons = iter(["no replica is ready", "no replica is ready", ""])
    seen: list[str] = []

    async def unhealthy() -> str:
        seen.append(door.why)
        return next(reasons)

    door = ChatMount(unhealthy, chat_app)
    keeping = asyncio.create_task(door.keep())
    await reached(door, "ready")
    assert seen[-1] == "waiting for the endpoint: no replica is ready"
    assert await opened(door) == "a chat"
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


def missing() -> Starlette:
    raise ModuleNotFoundError("No module named 'gradio'", name="gradio")


def broken() -> Starlette:
    raise RuntimeError("odd")


@pytest.mark.parametrize(
    ("load", "why"),
    [(missing, "Gradio is not installed: make setup"), (broken, "RuntimeError: odd")],
)
@pytest.mark.asyncio
async def test_a_chat_that_cannot_be_loaded_says_why(load: Callable[[], Starlette], why: str) -> None:
    async def healthy() -> str:
        return ""

    door = ChatMount(healthy, load)
    await door.keep()
    assert (door.state, door.why) == ("failed", why)
    assert "starting" in await opened(door)


def test_gradio_was_not_imported() -> None:
    assert "gradio" not in sys.modules


ARGV = ["--endpoint", "http://h:1/", "--model", "m"]


def test_the_command_line(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("a-secret-key\n")
    read = console_settings.read([*ARGV, "--key-file", str(key)])
    assert read == Settings("http://h:1", "m", key="a-secret-key", wait_for="http://h:1/health")
    assert "a-secret-key" not in repr(read)
    assert console_settings.read([*ARGV, "--wait-for", "http://h:2/"]).wait_for == "http://h:2/"


@pytest.mark.parametrize("wrong", [["--key-file", "nowhere"], ["--endpoint", "h:1"]])
def test_a_mistake_on_the_command_line_is_one_sentence(wrong: list[str]) -> None:
    with pytest.raises(UsageError, match=r"cannot be read|is no URL"):
        console_settings.read([*ARGV, *wrong])


def test_an_empty_key_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("\n")
    with pytest.raises(UsageError, match="is empty"):
        console_settings.read([*ARGV, "--key-file", str(tmp_path / "key")])


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} of 127.0.0.1 is in use"):
            listen("127.0.0.1", port)
