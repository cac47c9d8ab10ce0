"""The gateway's process beside a local fleet: `python -m stoker.targets.gateway SETTINGS`."""

import asyncio
import contextlib
import sys
from pathlib import Path

from stoker.targets.gateway.config import Routes, Seen, Settings
from stoker.targets.gateway.process import run
from stoker.targets.gateway.replicas import Replicas

FOLLOW_SECONDS = 0.05


async def follow(settings: Settings, replicas: Replicas) -> None:
    """Follows the routes file for ever, and reports what was seen: the supervisor drains by it."""
    assert settings.routes_file is not None
    assert settings.seen_file is not None
    stamp, said = 0, None
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError):
            changed = settings.routes_file.stat().st_mtime_ns
            if changed != stamp:
                replicas.follow(Routes.read(settings.routes_file))
                stamp = changed
            leaving = {r.id: len(r.running) for r in replicas if r.leaving}
            seen = Seen(replicas.revision, leaving, tuple(sorted(r.id for r in replicas.ready())))
            if seen != said:
                seen.write(settings.seen_file)
                said = seen
        await asyncio.sleep(FOLLOW_SECONDS)


if __name__ == "__main__":
    sys.exit(run(Settings.read(Path(sys.argv[1])), follow))
