"""Sets this checkout up: `.venv` with pinned, hashed dependencies, from wherever pip would take them.

Standard library only; `make` calls it. Where nothing has changed it does nothing, in no time; an interrupted
one goes on where it stopped. It must parse under old Pythons, to be able to say that they are too old.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import machine
from installer import (
    LOCKS,
    PYTHON,
    ROOT,
    VENV,
    Installer,
    compile_bytecode,
    install_packages,
    locks_of,
    name_vllm,
)
from stages import Failed, Log, say, stage

STAMP = VENV / "stoker-setup.json"
DISK = {"cpu": 4, "cuda": 14, "none": 1}  # GB that the packages take


# what to do: functions of facts


def stamps_of(root: Path, flavour: str, dev: bool, python: str) -> dict[str, str]:
    """What the packages, and then the whole, depend on; `python` says which interpreter, by version and
    place."""
    locks = [root / "locks" / lock.name for lock in (LOCKS / "uv.txt", *locks_of(flavour, dev))]
    code = [root / "tools" / name for name in ("setup.py", "installer.py", "bytecode.py")]
    packages = _digest(str(root), flavour, str(dev), python, *map(_text, locks))
    return {"packages": packages, "all": _digest(packages, *map(_text, [root / "pyproject.toml", *code]))}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def settled(known: dict[str, object], asked: str, dev: bool) -> tuple[str, bool]:
    """The flavour to install ('' where the machine is to be looked at) and whether with test tools.

    What was chosen before stays, unless something else is asked.
    """
    return asked or str(known.get("flavour", "")), dev or bool(known.get("dev"))


# doing it


def python_of_venv() -> str:
    """The interpreter of `.venv`, '' where there is none: read, not run."""
    if not PYTHON.exists():
        return ""
    config = VENV / "pyvenv.cfg"
    return os.path.realpath(str(PYTHON)) + "\n" + (config.read_text() if config.exists() else "")


def known() -> dict[str, object]:
    """What the last set-up left."""
    try:
        found = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_done(asked: str, dev: bool) -> bool:
    """Whether nothing is left to do."""
    before = known()
    flavour, dev = settled(before, asked, dev)
    python = python_of_venv()
    return bool(python and flavour) and before.get("stamps") == stamps_of(ROOT, flavour, dev, python)


def find_python() -> str | None:
    """Another Python on the path that will do."""
    check = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))"
    for minor in (12, 11, 13, 14):
        found = shutil.which(f"python3.{minor}")
        if found and subprocess.call([found, "-c", check], stderr=subprocess.DEVNULL) == 0:
            return found
    return None


def make_venv(log: Log) -> None:
    """Makes `.venv`, unless it is whole, of this place, and of a Python that will do."""
    if python_of_venv() and _whole():
        log.clear()
        return
    shutil.rmtree(str(VENV), ignore_errors=True)
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        package = "python{}.{}-venv".format(*sys.version_info[:2])
        raise Failed(
            "this Python makes no virtual environments",
            "its venv module is not installed",
            f"sudo apt-get install {package}",
        ) from None
    VENV.mkdir()
    with stage("python", f"{platform.python_version()}, .venv made", log):
        log.clear()
        venv.create(str(VENV), symlinks=True)
        log.run("putting pip into .venv", [PYTHON, "-m", "ensurepip", "--upgrade", "--default-pip"])


def _whole() -> bool:
    if f" {VENV}" not in (VENV / "pyvenv.cfg").read_text().replace("=", " "):
        return False  # copied or moved: its programs name the old place
    check = "import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))"
    return subprocess.call([str(PYTHON), "-c", check], stderr=subprocess.DEVNULL) == 0


def pick(asked: str, before: str) -> str:
    """The flavour, said. Raises: Failed, where the one asked for cannot run here."""
    facts = machine.look()
    choice = machine.choose(facts)
    flavour = asked or before or choice.flavour
    problem = {"cpu": machine.cpu_problem, "cuda": machine.gpu_problem, "none": lambda _: None}[flavour](
        facts
    )
    if problem:
        raise Failed(
            f"ENGINE={flavour} does not run here", problem, f"make up ENGINE={choice.flavour}", code=2
        )
    say("engine", choice.why if flavour == choice.flavour else f"{flavour}, as asked")
    return flavour


def check_disk(flavour: str) -> None:
    """Raises: Failed, where the packages would not fit. What is there already counts as room."""
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if not STAMP.exists() and free < DISK[flavour]:
        raise Failed(
            "the disk is too full",
            f"the packages take {DISK[flavour]} GB, {free:.1f} GB are free at {ROOT}",
            "make room",
        )


def set_up(asked: str, dev: bool) -> None:
    """All stages, in order; those whose result is there are left out."""
    before = known()
    flavour, dev = settled(before, asked, dev)
    flavour = pick(asked, flavour)
    check_disk(flavour)
    log = Log(VENV / "setup.log")
    make_venv(log)
    stamps = stamps_of(ROOT, flavour, dev, python_of_venv())
    had = before.get("stamps")
    STAMP.write_text(json.dumps({"flavour": flavour, "dev": dev}))
    installer = Installer(log)
    installer.fetch_uv()
    if not isinstance(had, dict) or had.get("packages") != stamps["packages"]:
        install_packages(installer, flavour, dev)
        name_vllm(flavour)
        compile_bytecode(log)
    with stage("stoker", "installed, editable", log):
        installer.install_stoker()
    STAMP.write_text(json.dumps({"flavour": flavour, "dev": dev, "stamps": stamps}))


def alone() -> int:
    """Waits for another set-up of this checkout; the lock goes with the process."""
    folder = os.open(str(ROOT), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("set-up", "another one runs here, waiting for it", sign="...")
        fcntl.flock(folder, fcntl.LOCK_EX)
    return folder


def main(arguments: list[str]) -> None:
    """Sets up, or finds that it is done. Raises: Failed."""
    parser = argparse.ArgumentParser(description="Sets this checkout up.")
    parser.add_argument("--with", dest="extra", choices=["dev"], help="also the test tools")
    parser.add_argument(
        "--engine", default=os.environ.get("ENGINE", ""), help="cpu, cuda or none (or ENGINE=…)"
    )
    options = parser.parse_args(arguments)
    asked, dev = options.engine, options.extra == "dev"
    if asked not in ("", *machine.FLAVOURS):
        names = ", ".join(machine.FLAVOURS)
        raise Failed(f"ENGINE={asked} is unknown", f"there are {names}", "make up ENGINE=cpu", code=2)
    if is_done(asked, dev):
        return
    problem = machine.python_problem(sys.version_info[:2])
    if problem:
        other = find_python()
        if other is None:
            raise Failed(problem, f"this is {sys.executable}", machine.python_fix(platform.system()))
        os.execv(other, [other, str(Path(__file__).resolve()), *arguments])
    alone()
    if not is_done(asked, dev):
        begun = time.monotonic()
        set_up(asked, dev)
        say("set-up", "done", time.monotonic() - begun)


def stop(number: int, frame: FrameType | None) -> None:
    """A termination ends the running program too."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    try:
        main(sys.argv[1:])
    except Failed as failed:
        sys.stderr.write(f"{failed}\n")
        sys.exit(failed.code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: the next run goes on from here\n")
        sys.exit(130)
