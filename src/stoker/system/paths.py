"""Where Stoker keeps things: one private folder a fleet, one cache of weights.

`STOKER_HOME` puts both under one folder; otherwise they are the platform's own places.
"""

import os
import re
from pathlib import Path

import platformdirs


def _base(kind: str) -> Path:
    home = os.environ.get("STOKER_HOME")
    if home:
        return Path(home).expanduser().absolute() / kind
    place = (
        platformdirs.user_state_dir("stoker") if kind == "state" else platformdirs.user_cache_dir("stoker")
    )
    return Path(place)


def private(folder: Path) -> Path:
    """The folder, made with mode 0700 where it is not there yet."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def fleets() -> Path:
    """The folder of all fleets of this user on this machine."""
    return _base("state") / "fleets"


NAME = re.compile(r"[a-z0-9][-a-z0-9]{0,39}")


def fleet(name: str) -> Path:
    """One fleet's folder: wanted and seen state, keys, logs."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no fleet's name")
    return fleets() / name


def watched(fleet: str) -> Path:
    """The file with a day of figures of a cluster's fleet that is watched from here."""
    return _base("state") / "watched" / f"{re.sub(r'[^-a-zA-Z0-9_.]', '_', fleet)}.sqlite"


def running_test(fleet: str) -> Path:
    """The file in which a load test of a fleet says how far it is, while it runs."""
    return _base("state") / "tests" / f"{re.sub(r'[^-a-zA-Z0-9_.]', '_', fleet)[:80]}.json"


def last_test(fleet: str) -> Path:
    """The file that says what the newest load test of a fleet sends, and where it is kept."""
    return running_test(fleet).with_suffix(".last.json")


def weights() -> Path:
    """The content-addressed cache of weights."""
    return _base("cache") / "weights"


def measured() -> Path:
    """What starts on this machine measured, for the plans after them."""
    return _base("state") / "measured.json"


def engine_cache() -> Path:
    """Where engines keep what they compile."""
    return _base("cache") / "engine"
