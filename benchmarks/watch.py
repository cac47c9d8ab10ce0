"""What watching costs: `python -m benchmarks.watch`.

First 200 replicas that serve vLLM's real page over HTTP, scraped and parsed once a second by the console's
own watcher: cores used, beside prometheus-client reading the same pages. Then, with `--engine`, a real
fleet's tokens a second with console and scraping over without.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from prometheus_client.parser import text_string_to_metric_families

from stoker.engine.samples import read
from stoker.fleet.state import FleetState, Replica
from stoker.observe import Watcher, page

REPLICAS, ROUNDS = 200, 15
PAGE = Path(__file__).parent.parent / "tests/data/metrics/vllm-0.32.txt"
SERVER = """
import asyncio, sys
body = open(sys.argv[1], "rb").read()
answer = b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body) + body
class Serve(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(answer)
async def main():
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Serve, "127.0.0.1", 0) for _ in range(int(sys.argv[2]))]
    print(*(s.sockets[0].getsockname()[1] for s in servers), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def main() -> int:
    """Prints cores, and what each page costs beside prometheus-client."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(PAGE), str(REPLICAS)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        ports = [int(port) for port in server.stdout.readline().split()]
        cores, rounds, silent = asyncio.run(_watch(ports))
    finally:
        server.kill()
    body = PAGE.read_bytes()
    ours, peer = (
        _seconds(lambda: read(body, 0.0), 200),
        _seconds(lambda: list(text_string_to_metric_families(body.decode())), 10),
    )
    print(
        f"{REPLICAS} replicas at 1 s: {cores:.2f} cores over {rounds} rounds, {silent} pages not read "
        f"({os.cpu_count()} cores here)"
    )
    print(
        f"a page of {len(body) // 1000} kB: {1e3 * ours:.2f} ms; prometheus-client {1e3 * peer:.2f} ms, "
        f"{peer / ours:.0f} times as long"
    )
    return 0


def over_an_engine(pairs: int = 8) -> int:
    """A real engine's tokens a second while the console's process runs, over while it is stopped; and its
    CPU."""
    from benchmarks.load import answers, free_port, process
    from benchmarks.serve import folder, rate, stokers_engine

    with stokers_engine(folder()) as port:
        mine = free_port()
        argv = [
            sys.executable,
            "-m",
            "stoker.ui.console",
            "--endpoint",
            f"http://127.0.0.1:{port}",
            "--model",
            "m",
            "--port",
            str(mine),
        ]
        with process(argv) as console:
            answers(mine)
            time.sleep(20)  # the chat is loaded by then
            rate(port, 8)
            used, begun = sum(console.cpu_times()[:2]), time.monotonic()
            time.sleep(20)
            idle = (sum(console.cpu_times()[:2]) - used) / (time.monotonic() - begun)
            found = []
            for _ in range(pairs):
                console.resume()
                watched = rate(port, 8)
                console.suspend()
                found.append(watched / rate(port, 8))
            console.resume()
    print(
        f"tokens/s with console and 1 s scraping over without: {median(found):.3f} (target 0.99), pairs "
        f"{min(found):.3f} to {max(found):.3f}"
    )
    print(
        f"the console's process: {100 * idle / (os.cpu_count() or 1):.2f} % of the machine (1 % a replica "
        f"asked)"
    )
    return 0


async def _watch(ports: list[int]) -> tuple[float, int, int]:
    """Cores used by this process for a number of rounds, the rounds, and pages that gave nothing."""
    replicas = tuple(
        Replica(str(n), "Ready", 0.0, f"http://127.0.0.1:{port}") for n, port in enumerate(ports)
    )
    state = FleetState("many", "local", 0.0, wanted=len(ports), replicas=replicas)
    pages = {one.name: page(str(one.url)) for one in replicas}
    watcher = Watcher(lambda: state, lambda _: pages)
    await watcher.look()
    used, begun, silent = time.process_time(), time.monotonic(), 0
    task = asyncio.create_task(watcher.run())
    for _ in range(ROUNDS):
        look = await watcher.news()
        silent += len(look.silent) if look else 0
    took = time.monotonic() - begun
    task.cancel()
    return (time.process_time() - used) / took, ROUNDS, silent


def _seconds(work: object, times: int) -> float:
    begun = time.process_time()
    for _ in range(times):
        work()  # type: ignore[operator]
    return (time.process_time() - begun) / times


if __name__ == "__main__":
    sys.exit(over_an_engine() if "--engine" in sys.argv else main())
