"""Is there room on the disk? Asked before a byte is written."""

import shutil
from pathlib import Path

from stoker.errors import WeightsFailed
from stoker.units import Bytes

MARGIN = Bytes(256 * 1024 * 1024)


def check_space(folder: Path, needed: Bytes) -> None:
    """Raises: WeightsFailed, naming what is needed, what is free and where."""
    free = Bytes(shutil.disk_usage(folder).free)
    if needed + MARGIN > free:
        raise WeightsFailed(
            f"there is no room for {needed} of weights",
            at=str(folder),
            why=f"{free} are free there, and {MARGIN} stay free",
            fix="free some space (`stoker models list`, `stoker models rm`), or set STOKER_HOME to a larger "
            "disk",
            rule="weights-space",
        )
