"""The gateway's own death and replacement, as its clients feel them."""

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import psutil
from tests.conftest import Stoker

BODY = {"model": "model", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}
LONG = {**BODY, "stream": True, "max_tokens": 120, "ignore_eos": True}
FELT = 0.3  # seconds by which the slowest answer around a gateway's death may be over the slowest before it
WINDOW = 2.0  # seconds, before the death and around it
KILLS = 3  # noise of the machine only adds: the best of so many counts


def gateways(stoker: Stoker) -> list[psutil.Process]:
    return [p for p in stoker.processes() if "stoker.targets.gateway" in p.cmdline()]


def answering(stoker: Stoker) -> psutil.Process:
    pid = next(s["pid"] for s in stoker.state()["services"] if s["role"] == "gateway")
    return psutil.Process(pid)


def with_standby(stoker: Stoker, wait_until: Any) -> None:
    """Until a second gateway stands by."""
    wait_until(lambda: len(gateways(stoker)) == 2)
    folder = stoker.home / "state" / "fleets" / "sim"
    wait_until(lambda: any('"waiting": true' in f.read_text() for f in folder.glob("gateway.seen.*.json")))


@asynccontextmanager
async def asking(stoker: Stoker) -> AsyncIterator[list[tuple[float, str]]]:
    """New connections, one after another, as long as the block runs: how long each took, and what came of
    it."""
    seen: list[tuple[float, str]] = []
    done = asyncio.Event()

    async def ask() -> None:
        async with httpx2.AsyncClient(
            timeout=30, verify=False, limits=httpx2.Limits(max_keepalive_connections=0)
        ) as client:
            while not done.is_set():
                begun = time.monotonic()
                try:
                    answer = await client.post(f"{stoker.url}/v1/chat/completions", json=BODY)
                    seen.append((time.monotonic() - begun, str(answer.status_code)))
                except httpx2.TransportError as error:
                    seen.append((time.monotonic() - begun, type(error).__name__))
                await asyncio.sleep(0.01)

    task = asyncio.ensure_future(ask())
    try:
        yield seen
    finally:
        done.set()
        await task


async def killed(stoker: Stoker) -> float:
    """Kills the answering gateway: by how much its death was felt, in seconds. Nobody is refused
    meanwhile."""
    victim = answering(stoker)
    async with asking(stoker) as seen:
        await asyncio.sleep(WINDOW)
        before = [took for took, _ in seen]
        victim.kill()
        await asyncio.sleep(WINDOW)
    broken = [how for _, how in seen if how != "200"]
    assert len(broken) <= 1, broken  # the one that the dead one had in its hands
    assert "ConnectError" not in broken
    return max(took for took, _ in seen[len(before) :]) - max(before)


def test_a_killed_gateway_refuses_nobody_and_is_hardly_felt(stoker: Stoker, wait_until: Any) -> None:
    stoker("up", "-d", "-f", stoker.spec(replicas=2, simulate={"ttft": 0.005, "itl": 0.001}))
    felt: list[float] = []
    while len(felt) < KILLS and not any(one <= FELT for one in felt):
        with_standby(stoker, wait_until)
        felt.append(asyncio.run(killed(stoker)))
    assert min(felt) <= FELT, felt
    wait_until(lambda: len(gateways(stoker)) == 2)  # another one stands by again
    state = stoker.state()
    assert next(s["restarts"] for s in state["services"] if s["role"] == "gateway") >= 1


def test_a_gateway_is_replaced_without_losing_a_stream_or_a_connection(
    stoker: Stoker, wait_until: Any
) -> None:
    spec = stoker.spec(simulate={"itl": 0.05})
    stoker("up", "-d", "-f", spec)
    before = answering(stoker).pid

    async def stream(client: httpx2.AsyncClient) -> str:
        async with client.stream(
            "POST", f"{stoker.url}/v1/chat/completions", json=LONG, timeout=120
        ) as answer:
            return "".join([part async for part in answer.aiter_text()])

    async def scene() -> tuple[list[str], list[tuple[float, str]], int]:
        async with httpx2.AsyncClient(verify=False) as client, asking(stoker) as seen:
            streams = [asyncio.ensure_future(stream(client)) for _ in range(10)]
            await asyncio.sleep(1)
            up = await asyncio.to_thread(
                stoker, "up", "-d", "-y", "-f", spec, "--set", "endpoint.queue_timeout=20"
            )
            return [await one for one in streams], seen, up.code

    texts, seen, code = asyncio.run(scene())
    assert code == 0
    assert all("data: [DONE]" in text and '"error"' not in text for text in texts)
    assert {how for _, how in seen} == {"200"}
    assert answering(stoker).pid != before


def test_a_new_supervisor_gets_the_sockets_back(stoker: Stoker, wait_until: Any) -> None:
    stoker("up", "-d", "-f", stoker.spec())
    with_standby(stoker, wait_until)
    keeper = next(p for p in stoker.processes() if "stoker.targets.local.supervisor" in p.cmdline())
    keeper.kill()
    wait_until(lambda: not keeper.is_running() or keeper.status() == psutil.STATUS_ZOMBIE)
    stoker("status")
    for _ in range(2):  # the one that answers, and the one that stood by: both are of the supervisor before
        with_standby(stoker, wait_until)
        answering(stoker).kill()
        assert httpx2.post(f"{stoker.url}/v1/chat/completions", json=BODY, timeout=60).status_code == 200


def test_without_any_supervisor_the_standby_takes_over(stoker: Stoker, wait_until: Any) -> None:
    stoker("up", "-d", "-f", stoker.spec())
    with_standby(stoker, wait_until)
    victim = answering(stoker)
    keeper = next(p for p in stoker.processes() if "stoker.targets.local.supervisor" in p.cmdline())
    keeper.kill()
    victim.kill()
    assert httpx2.post(f"{stoker.url}/v1/chat/completions", json=BODY, timeout=60).status_code == 200


def test_another_port_answers_before_the_old_one_goes(stoker: Stoker, wait_until: Any) -> None:
    spec = stoker.spec()
    stoker("up", "-d", "-f", spec)
    ran = stoker("up", "-d", "-y", "-f", spec, "--set", f"endpoint.port={stoker.port + 1}")
    assert ran.code == 0, ran.err
    assert httpx2.get(f"http://127.0.0.1:{stoker.port + 1}/health").status_code == 200


def test_a_gateway_that_is_given_no_more_time_ends_its_streams_in_words(
    stoker: Stoker, wait_until: Any
) -> None:
    spec = stoker.spec(simulate={"itl": 0.2}, drain_timeout="1s")
    stoker("up", "-d", "-f", spec)
    text = ""
    with httpx2.stream("POST", f"{stoker.url}/v1/chat/completions", json=LONG, timeout=120) as answer:
        parts = answer.iter_text()
        text += next(parts)
        changing = stoker.popen("up", "-d", "-y", "-f", spec, "--set", "endpoint.queue_timeout=20")
        text += "".join(parts)
    assert '"error"' in text
    assert text.rstrip().endswith("data: [DONE]")
    assert changing.wait(60) == 0


def test_a_request_that_has_shown_nothing_yet_outlives_the_drain(stoker: Stoker, wait_until: Any) -> None:
    spec = stoker.spec(simulate={"ttft": 6.0}, drain_timeout="1s")
    stoker("up", "-d", "-f", spec)
    before = answering(stoker)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx2.post, f"{stoker.url}/v1/chat/completions", json=BODY, timeout=60)
        in_flight = 'stoker_gateway_requests_in_flight{replica="1"} 1'
        wait_until(lambda: in_flight in httpx2.get(f"{stoker.url}/metrics", timeout=10).text)
        ran = stoker("up", "-d", "-y", "-f", spec, "--set", "endpoint.queue_timeout=20")
        assert ran.code == 0, ran.err
        assert asked.result().status_code == 200
    wait_until(lambda: not before.is_running())
