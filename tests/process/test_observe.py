"""Scraping and watching by the wall clock: replicas that hang, and what happens between two rounds."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace

from stoker.fleet.state import FleetState, Replica
from stoker.observe import Page, Scraper, Watcher, page

GOOD = b"vllm:num_requests_running 3\nvllm:generation_tokens_total 10\n"


async def served(answer: bytes, hang: float = 0.0) -> tuple[asyncio.Server, str]:
    """A server whose every answer is these bytes, after a while."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer[: len(answer) // 2])
        await writer.drain()
        try:
            await asyncio.sleep(hang)
            writer.write(answer[len(answer) // 2 :])
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def http(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


def test_each_replica_is_told_apart_and_none_holds_up_the_others() -> None:
    async def run() -> None:
        answers = {
            "good": (http(GOOD), 0.0),
            "hangs": (http(GOOD), 30.0),
            "html": (http(b"<html>"), 0.0),
            "error": (http(b"", "500 Internal Server Error"), 0.0),
            "noise": (b"\x00\x01nonsense\r\n\r\n", 0.0),
        }
        servers = {name: await served(*answer) for name, answer in answers.items()}
        pages: dict[str, Page] = {name: page(url) for name, (_, url) in servers.items()}
        pages["gone"] = page("http://127.0.0.1:1")
        scraper = Scraper()
        begun = time.monotonic()
        samples = await scraper.round(pages)
        assert time.monotonic() - begun < 10, "as long as one that hangs would take"
        assert samples["good"] is not None
        assert samples["good"].gauges == {"running": 3.0}
        assert (
            {name for name, sample in samples.items() if sample is None}
            == set(scraper.why)
            == set(pages) - {"good"}
        )
        assert "does not answer within" in scraper.why["hangs"]
        assert "none of vLLM's families" in scraper.why["html"]
        assert "answers 500" in scraper.why["error"]
        for server, _ in servers.values():
            server.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    asyncio.run(run())


def test_what_happens_between_two_rounds_is_told_at_once() -> None:
    async def run() -> None:
        states = {"n": FleetState("shop", "local", 0.0, wanted=1, replicas=(Replica("1", "Ready", 0.0),))}
        watcher = Watcher(lambda: states["n"], lambda _: {}, interval=60.0, stamp=lambda: id(states["n"]))
        task = asyncio.create_task(watcher.run())
        await watcher.news()
        good = states["n"]
        states["n"] = None  # type: ignore[assignment]  # what nobody foresaw: it is the next round's to tell
        await asyncio.sleep(0.5)
        assert not task.done()
        states["n"] = replace(good, at=1.0, replicas=(Replica("1", "Pending", 1.0, restarts=1),))
        look = await asyncio.wait_for(watcher.news(), 10)
        assert look is not None
        assert look.state.ready == 0
        assert any("restarted" in one.event.text for one in look.events)
        assert list(look.events) == list(watcher.history.events), "once"
        task.cancel()

    asyncio.run(run())


def test_a_state_that_cannot_be_read_does_not_end_the_watching() -> None:
    async def run() -> None:
        good = FleetState("shop", "local", 0.0, wanted=1)
        states: Iterator[Exception | FleetState] = iter([ValueError("half a file"), good])

        def state() -> FleetState:
            found = next(states)
            if isinstance(found, Exception):
                raise found
            return found

        watcher = Watcher(state, lambda _: {}, interval=0.01, state_every=100.0)
        task = asyncio.create_task(watcher.run())
        await watcher.news()
        assert watcher.why == "it cannot be looked at: ValueError: half a file"
        look = await watcher.news()
        assert look is not None
        assert (look.state.name, watcher.why) == ("shop", "")
        task.cancel()

    asyncio.run(run())
