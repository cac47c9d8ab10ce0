"""Which fleets there are on this machine: by their folders, and by their processes."""

import os
from pathlib import Path

from stoker.errors import NoSuchFleet
from stoker.system import paths
from stoker.system.file_errors import no_folder
from stoker.targets.local import last_try
from stoker.targets.local.process_marks import FLEET, leaders


def names() -> tuple[str, ...]:
    """The fleets that are wanted or run on this machine, by their folders. Raises: StateBroken."""
    base = paths.fleets()
    try:
        found = [p for p in base.iterdir() if paths.NAME.fullmatch(p.name) and os.path.isdir(p)]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise no_folder(base, error) from None
    return tuple(
        sorted(p.name for p in found if any(os.path.exists(p / one) for one in ("wanted.json", "state.json")))
    )


def strays() -> tuple[str, ...]:
    """Fleets of this home whose processes run though their folder tells nothing of them."""
    base, known = paths.fleets(), set(names())
    found = {Path(environment[FLEET]) for _, environment in leaders()}
    mine = {one.name for one in found if one.parent == base and paths.NAME.fullmatch(one.name)}
    return tuple(sorted(mine - known))


def no_fleet(name: str) -> NoSuchFleet:
    """The error for a name that nothing runs under."""
    known, last = names(), last_try.newest(name or None)
    why = f"running: {', '.join(known)}" if known else ""
    fix = "stoker status -A" if known else "stoker up"
    if last is not None:
        why = "\n".join(filter(None, [why, f"its last try failed: {last.finding.what}" if name else ""]))
        fix = f"{fix}; `stoker why --name {last.name}` says why the last try of {last.name} failed"
    what = f"no fleet named {name!r} runs on this machine" if name else "no fleet runs on this machine"
    return NoSuchFleet(what, why=why, fix=fix)
