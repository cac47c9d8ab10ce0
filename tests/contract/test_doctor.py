"""`stoker doctor` as somebody without root's rights: what this user cannot see or write is a finding, never a
crash."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NOBODY = 65534
RULES = {"python", "disk", "memory"}


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that every user can reach: pytest's own is its owner's alone."""
    folder = Path(tempfile.mkdtemp(prefix="stoker-doctor-"))
    folder.chmod(0o755)
    yield folder
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


# The modules are loaded while this Python and its packages can surely be read: both may lie in root's own
# folder.
AS_NOBODY = f"""
import os, sys
from stoker.cli.main import main
from stoker.operate.doctor import doctor
os.environ["STOKER_HOME"] = sys.argv[1]
doctor()
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
os.environ["STOKER_HOME"] = sys.argv[2]
sys.argv[1:] = ["doctor", "-o", "json"]
main()
"""


def doctor(room: Path, home: Path) -> tuple[int, dict[str, Any]]:
    """Its exit code and its findings by rule, as nobody where the tests run as root, else as their user."""
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(room / "first"), str(home)],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, {one["rule"]: one for one in json.loads(done.stdout)}


def test_a_home_of_ones_own_is_well(room: Path) -> None:
    home = room / "mine"
    home.mkdir()
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)
    _, found = doctor(room, home)
    assert set(found) >= RULES
    assert found["home"]["severity"] == "note"
    assert "state-unwritable" not in found


@pytest.mark.parametrize("mode", [0o700, 0o555])
def test_a_home_of_somebody_else_is_named_with_the_way_out(room: Path, mode: int) -> None:
    """Root's, where the tests run as root; one that its owner may not write into otherwise."""
    if os.geteuid() != 0 and mode == 0o700:
        pytest.skip("it takes root to have another user's folder")
    home = room / "theirs"
    home.mkdir()
    home.chmod(mode)
    code, found = doctor(room, home)
    assert code == 1
    assert found["state-unwritable"]["severity"] == "error"
    assert "STOKER_HOME" in found["state-unwritable"]["fix"]
    assert set(found) >= RULES, "the other checks are made"
