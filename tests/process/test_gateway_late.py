"""A gateway whose loop stood still blames no replica."""

import asyncio
import socket
import time

from stoker.targets.gateway.config import Route
from stoker.targets.gateway.replicas import CHECK_TIMEOUT, Replica


def test_a_check_that_nobody_had_time_for_says_nothing() -> None:
    async def seen(port: int, busy: float) -> bool:
        replica = Replica(Route("1", "127.0.0.1", port), lambda: None)
        replica._task.cancel()
        replica.healthy = True
        check = asyncio.ensure_future(replica.check())
        await asyncio.sleep(0.2)
        time.sleep(busy)  # the loop stands still
        await check
        await asyncio.sleep(0.05)
        replica.close()
        return replica.healthy

    with socket.create_server(("127.0.0.1", 0)) as silent:  # it connects, and nobody answers
        port = silent.getsockname()[1]
        assert asyncio.run(seen(port, CHECK_TIMEOUT + 1.0))
        assert not asyncio.run(seen(port, 0.0))
