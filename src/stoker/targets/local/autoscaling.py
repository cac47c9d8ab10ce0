"""What the autoscaler of a fleet here has decided, kept in the fleet's folder: shown by verbs, read again by
itself."""

import contextlib
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from stoker.errors import StateBroken
from stoker.fleet.state import Evidence, FleetState, Scaling
from stoker.fleet.typed import typed
from stoker.system import clock
from stoker.system.files import keep_json, newest_json
from stoker.targets.local.folder import Folder

SILENT_SYNCS = 3  # periods without a word, after which what it said last is not taken for now


@dataclass(frozen=True, slots=True)
class Told:
    """One decision. at: when, in seconds since the epoch; clock: on the clock that the history counts in,
    which begins anew with the machine; period: seconds to the next; memory: its history; evidence: of what
    is wrong."""

    at: float
    clock: float
    period: float
    scaling: Scaling
    memory: dict[str, Any] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()

    @property
    def silent(self) -> float:
        """Seconds since, where it should have said more by now; else 0."""
        seconds = clock.now() - self.at
        return seconds if seconds > SILENT_SYNCS * self.period else 0.0


def tell(folder: Folder, told: Told) -> None:
    """Keeps it. A disk that is full keeps nothing, and the fleet is scaled all the same."""
    with contextlib.suppress(OSError, StateBroken):
        keep_json(folder.autoscaler_file, asdict(told))


def read(folder: Folder) -> Told | None:
    """The last decision; None where there is none that can be read."""
    try:
        return newest_json(folder.autoscaler_file, lambda raw: typed(Told, raw))
    except StateBroken:
        return None


def told(folder: Folder) -> Scaling | None:
    """The scaler as it is shown; None where the fleet has none."""
    last = read(folder)
    if last is None:
        return None
    if last.silent:
        words = f"the autoscaler has not decided for {last.silent:.0f} s; it said: {last.scaling.reason}"
        return replace(last.scaling, reason=words, soon="")
    return last.scaling


def with_scaling(state: FleetState, folder: Folder) -> FleetState:
    """The state with what its autoscaler says, where it has one."""
    scaler = state.service("autoscaler")
    if scaler is None or scaler.phase == "Draining":
        return state
    last = read(folder)
    evidence = () if last is None or last.silent else last.evidence
    return replace(state, scaling=told(folder), evidence=(*state.evidence, *evidence))
