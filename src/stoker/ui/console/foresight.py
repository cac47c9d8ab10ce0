"""The newest load test of a fleet, played again in a process of its own: what was measured, and what a
simulation says of the fleet as it was or with other fields."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from stoker.bench.notice import LastTest, last

LONGEST = 60.0  # seconds that a simulation may take
SHOWN = 3600.0  # seconds for which a test is in the charts
MODULE = "stoker.operate.foresee"


def recent(fleet: str, now: float) -> LastTest | None:
    """The newest test, while the charts may show it."""
    found = last(fleet)
    return found if found is not None and 0 <= now - found.at < SHOWN else None


def summary(test: LastTest | None) -> dict[str, Any] | None:
    """A test as the page names it."""
    if test is None:
        return None
    asked = ", ".join(f"{name} {value}" for name, value in test.words.items())
    return {"at": test.at, "words": asked[:300] or "8 users for a minute"}


class Foresight:
    """One simulation at a time."""

    def __init__(self) -> None:
        self._busy = False

    async def play(self, spec: Mapping[str, Any], test: LastTest, sets: Sequence[str]) -> dict[str, Any]:
        """What comes of it. Raises: ValueError, in the words of what is wrong."""
        if self._busy:
            raise ValueError("a simulation is under way: one at a time")
        self._busy = True
        try:
            return await self._played({"spec": spec, "test": asdict(test), "sets": list(sets)})
        finally:
            self._busy = False

    async def _played(self, question: Mapping[str, Any]) -> dict[str, Any]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", MODULE), stdin=pipe, stdout=pipe, stderr=pipe
        )
        try:
            out, said = await asyncio.wait_for(process.communicate(json.dumps(question).encode()), LONGEST)
        except TimeoutError:
            raise ValueError(
                f"the simulation has not ended in {LONGEST:.0f} seconds: `stoker simulate` takes its time"
            ) from None
        finally:
            if process.returncode is None:  # too slow, or nobody waits for it any more
                with suppress(ProcessLookupError):
                    process.kill()
        return _answer(out, said)


def _answer(out: bytes, said: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(out)
    except ValueError:
        lines = said.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise ValueError(f"the simulation ended without a result: {lines[-1]}") from None
    if "error" in found:
        raise ValueError(
            f"{found['error']}. Fix: {found['fix']}" if found.get("fix") else str(found["error"])
        )
    return found
