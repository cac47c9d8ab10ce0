"""Our HTTP layer against an ASGI server: CPU time of a streamed chunk, with the same handler behind both.

`python -m benchmarks.http_layer`: a server that sends 40 streams of small chunks as fast as they are read,
once on `system/http1` and once on uvicorn (httptools, uvloop), in turn; medians of what uvicorn costs over
ours.
"""

import argparse
import sys
from statistics import median

from benchmarks.load import answers, free_port, process, run, together

CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
CHUNKS, STREAMS = 2000, 40
OURS = f"""
import asyncio, sys, uvloop
from stoker.system.http1 import HttpServer
async def handle(exchange):
    if exchange.request.path == "/health":
        return exchange.reply(200, b"")
    exchange.start(200, [(b"content-type", b"text/event-stream")])
    for number in range({CHUNKS}):
        exchange.write({CHUNK!r})
        if number % 10 == 0:
            await asyncio.sleep(0)
    exchange.end()
async def main():
    await HttpServer(handle).listen("127.0.0.1", int(sys.argv[1]))
    await asyncio.Event().wait()
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
"""
ASGI = f"""
import asyncio, sys, uvicorn
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    headers = [(b"content-type", b"text/event-stream")]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    for number in range({CHUNKS} if scope["path"] != "/health" else 0):
        await send({{"type": "http.response.body", "body": {CHUNK!r}, "more_body": True}})
        if number % 10 == 0:
            await asyncio.sleep(0)
    await send({{"type": "http.response.body", "body": b""}})
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
"""


def microseconds(program: str) -> float:
    """CPU time of the server a chunk."""
    port = free_port()
    with process([sys.executable, "-c", program, str(port)]) as server:
        answers(port)
        before = server.cpu_times()
        done = run(together(port, STREAMS, {"stream": True}))
        after = server.cpu_times()
        wrong = [one.error for one in done if one.error] or [
            one.events for one in done if one.events != CHUNKS
        ]
        assert not wrong, wrong[0]
    return (after.user + after.system - before.user - before.system) / (STREAMS * CHUNKS) * 1e6


def main() -> None:
    """Rounds of both, and the median of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    ratios = []
    for _ in range(parser.parse_args().rounds):
        ours, theirs = microseconds(OURS), microseconds(ASGI)
        ratios.append(theirs / ours)
        print(
            f"a chunk   ours {ours:5.2f} us   uvicorn {theirs:5.2f} us   ratio {ratios[-1]:.2f}", flush=True
        )
    print(f"uvicorn over ours: median {median(ratios):.2f}")


if __name__ == "__main__":
    main()
