"""`python -m stoker.targets.local.group SETTINGS -- COMMAND…`: runs one life of the group on this node."""

import asyncio
import signal
import sys

from stoker.targets.local.group.agent import GroupLost, Settings, say
from stoker.targets.local.group.follower import Follower
from stoker.targets.local.group.leader import Leader


async def main(settings: Settings, argv: list[str]) -> int:
    """Until something falls, here or on another node; the exit code."""
    agent: Leader | Follower = Leader(settings, argv) if settings.group.leads else Follower(settings, argv)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, agent.stopping.set)
    try:
        await agent.run()
    except GroupLost as fell:
        say(f"{fell}; the group ends" if fell.code else str(fell))
        await agent.end(str(fell))
        return fell.code
    except OSError as error:
        say(f"Error: {error}")
        await agent.end(str(error))
        return 1
    return 0


if __name__ == "__main__":
    split = sys.argv.index("--")
    sys.exit(asyncio.run(main(Settings.read(sys.argv[1]), sys.argv[split + 1 :])))
