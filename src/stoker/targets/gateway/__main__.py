"""The gateway's process beside a local fleet: `python -m stoker.targets.gateway [SETTINGS]`.

Without a file its settings are in the environment, where they belong to this life of it alone.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from pathlib import Path

from stoker.errors import StateBroken
from stoker.targets.gateway.app import App
from stoker.targets.gateway.config import Routes, Seen, Settings
from stoker.targets.gateway.handing import Handed, generation, seen_file
from stoker.targets.gateway.process import Ending, run
from stoker.targets.gateway.replicas import Replicas

VARIABLE = "STOKER_GATEWAY"
FOLLOW_SECONDS = 0.05
LOAD_SECONDS = 1.0
SILENT_SECONDS = 5.0  # without a sign of life of a replica that has requests, before it is told
IDLE_SECONDS = 2.0  # for a connection without a request to send a last one


async def follow(settings: Settings, replicas: Replicas, app: App) -> None:
    """Follows the routes file for ever, and reports what was seen: the supervisor drains by it."""
    assert settings.routes_file is not None
    assert settings.seen_file is not None
    report = seen_file(settings.seen_file.parent, generation()) if handed_over() else settings.seen_file
    stamp, said = 0, None
    load = Load()
    while True:
        with contextlib.suppress(OSError, StateBroken):
            changed = settings.routes_file.stat().st_mtime_ns
            if changed != stamp and app.answers:
                replicas.follow(Routes.read(settings.routes_file))
                stamp = changed
        with contextlib.suppress(OSError):
            seen = look(replicas, app, load)
            if seen != said:
                seen.write(report)
                said = seen
        await asyncio.sleep(FOLLOW_SECONDS)


class Load:
    """How many requests there are, told anew once a second, or as soon as there are any or none."""

    def __init__(self) -> None:
        self._told, self._at = 0, 0.0

    def told(self, count: int, now: float) -> int:
        """The count to tell."""
        if now - self._at >= LOAD_SECONDS or bool(count) != bool(self._told):
            self._told, self._at = count, now
        return self._told


def look(replicas: Replicas, app: App, load: Load) -> Seen:
    """What there is to report now."""
    now = time.monotonic()
    since = {r.id: mark for r in replicas if (mark := r.silent_since(now)) is not None}
    return Seen(
        replicas.revision,
        {r.id: len(r.running) for r in replicas if r.leaving},
        tuple(sorted(r.id for r in replicas.ready())),
        {one: mark for one, mark in since.items() if now - mark > SILENT_SECONDS},
        app.asked,
        waiting=not app.answers,
        requests=load.told(app.held, now),
    )


def handed_over() -> bool:
    """Whether a supervisor gave this process its sockets."""
    return "STOKER_LISTEN" in os.environ


def main(argv: list[str]) -> int:
    """Runs it."""
    text = Path(argv[0]).read_text() if argv else os.environ[VARIABLE]
    settings = Settings.parse(text)
    if not handed_over():
        return run(settings, follow, Ending())
    assert settings.seen_file is not None
    drain = float(json.loads(text)["drain"])
    ending = Ending(drain=drain, idle=IDLE_SECONDS, unbegun=settings.queue_timeout)
    return run(settings, follow, ending, Handed(settings.seen_file.parent, settings.port))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
