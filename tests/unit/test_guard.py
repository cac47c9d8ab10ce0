"""The guard of an engine's API: without the key, /health and /metrics alone."""

import asyncio
from typing import Any

import pytest

from stoker.guard import Guard


def ask(path: str, *headers: tuple[bytes, bytes], method: str = "POST", **scope: Any) -> int:
    """The status that a caller gets: 200 where the request reaches the engine."""
    said: list[Any] = []

    async def engine(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> Any:
        return {}

    full = {"type": "http", "path": path, "method": method, "headers": list(headers), **scope}
    asyncio.run(Guard(engine)(full, receive, send))
    found: int = said[0].get("status") or said[0]["code"]
    return found


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health", 200),
        ("/metrics", 200),
        ("/metrics/", 200),
        ("/invocations", 401),
        ("/tokenize", 401),
        ("/v1/models", 401),
        ("/", 401),
        ("/docs", 401),
        ("/health/../invocations", 401),
        ("//health", 401),
        ("/healthz", 401),
    ],
)
def test_what_is_open(path: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sesame")
    assert ask(path, method="GET") == status
    assert ask(path, (b"authorization", b"Bearer sesame")) == 200
    assert ask(path, (b"authorization", b"bearer sesame")) == 200
    for wrong in (b"Bearer sesam", b"Bearer sesame ", b"sesame", b"Basic sesame", b"Bearer \xff"):
        assert ask(path, (b"authorization", wrong)) == status


def test_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sesame")
    assert ask("/v1/models", method="OPTIONS") == 200, "a browser asks so first, without a key"
    assert ask("/v1/realtime", type="websocket") == 1008
    assert ask("/api/health", root_path="/api") == 200
    monkeypatch.delenv("VLLM_API_KEY")
    assert ask("/invocations") == 200, "there is no key to ask for"
