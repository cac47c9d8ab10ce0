"""When a starter waits beside a fleet: as long as the fleet may have more replicas than it has.

It holds the memory of vLLM's imports, so a fleet of a fixed number has none. It is made while every replica
is ready, as its imports take a core for seconds.
"""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from stoker.fleet.process import Process, Wanted
from stoker.targets.local.child import Child
from stoker.targets.local.starters import Starters, Template
from stoker.units import Range

EVERY = 1.0


class Growth:
    """What is kept ready for a fleet that may grow."""

    def __init__(self, folder: Path) -> None:
        self.starters = Starters(folder)
        self._looked = 0.0
        self._last: Process | None = None  # the engine that there was: of a fleet at 0 the next is like it

    def look(self, wanted: Wanted | None, children: Sequence[Child]) -> None:
        """Keeps a starter, or none, as the fleet is now."""
        if time.monotonic() - self._looked < EVERY:
            return
        self._looked = time.monotonic()
        process, template = grows(wanted, self._last), None
        self._last = process or self._last
        if process is not None:
            template = Template.of(process, Child(process, 0, "", Path()).shared_environment())
        self.starters.keep(template, begin=all_ready(children))

    def end(self) -> None:
        """Nothing is."""
        self.starters.end()


def grows(wanted: Wanted | None, last: Process | None = None) -> Process | None:
    """An engine like the next one, where there may be one more than is wanted now. last: what there was
    before a fleet went to 0, where it waits for who wakes it."""
    engines = [one for one in wanted.processes if one.routed] if wanted else []
    if not engines and wanted and wanted.processes and last is not None:
        return last
    with contextlib.suppress(ValueError):
        if engines and wanted and len(engines) < Range.parse(str(wanted.spec.get("replicas", 1))).high:
            return engines[0]
    return None


def all_ready(children: Sequence[Child]) -> bool:
    """Whether nothing starts or leaves."""
    routed = [child for child in children if child.process.routed]
    return bool(routed) and all(child.phase == "Ready" for child in routed)
