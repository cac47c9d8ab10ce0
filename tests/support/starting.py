"""A command `vllm` that computes nothing and tells of itself, for the starter's tests."""

import json
import os
import sys
from pathlib import Path
from typing import Any

# What is imported once: each import leaves the number of the process that made it.
HEAVY = """
import json, os, signal, sys
with open(os.environ["IMPORTS"], "a") as file:
    file.write(f"{os.getpid()}\\n")

def told():
    return {
        "pid": os.getpid(), "parent": os.getppid(), "group": os.getpgid(0), "argv": sys.argv, "cwd": os.getcwd(),
        "env": dict(os.environ), "shown": open("/proc/self/environ").read(),
        "files": sorted(int(name) for name in os.listdir("/proc/self/fd")),
        "stdin": os.readlink("/proc/self/fd/0"), "handlers": [str(signal.getsignal(n)) for n in (2, 15)],
        "threads": len(os.listdir("/proc/self/task")), "path": sys.path[0],
    }

def child(connection, lock, depth):
    with lock:
        connection.send(told())
    if depth:
        spawn(connection, depth - 1)
    connection.close()

def spawn(connection, depth):
    import multiprocessing
    context = multiprocessing.get_context("spawn")
    os.environ["OF_THE_SPAWN"] = str(depth)
    lock = context.Lock()
    process = context.Process(target=child, args=(connection, lock, depth))
    process.start()
    process.join()
    connection.send({"exit": process.exitcode})
"""

# Tells of itself and of what it spawns, then waits to be ended.
COMMAND = """
import json, os, sys, time
if __name__ == "__main__":
    import heavy, multiprocessing
    reader, writer = multiprocessing.Pipe(duplex=False)
    found = [heavy.told()]
    os.environ.update({name: "1" for name in os.environ.get("CHANGES", "").split()})
    heavy.spawn(writer, int(os.environ.get("DEPTH", "1")))
    while reader.poll():
        found.append(reader.recv())
    with open(os.environ["TOLD"] + ".new", "w") as file:
        json.dump(found, file)
    os.rename(os.environ["TOLD"] + ".new", os.environ["TOLD"])
    print("told", flush=True)
    time.sleep(float(os.environ.get("STAY", "0")))
    sys.exit(int(os.environ.get("CODE", "0")))
"""


def command(folder: Path) -> list[str]:
    """Writes it; its words, as an engine's."""
    folder.mkdir(exist_ok=True)
    (folder / "heavy.py").write_text(HEAVY)
    (folder / "vllm").write_text(COMMAND)
    return [sys.executable, str(folder / "vllm"), "serve", "model", "--port", "8000"]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """What it needs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    own = {"PYTHONPATH": str(folder), "IMPORTS": str(folder / "imports"), "TOLD": str(folder / "told.json")}
    return {**kept, **own, "LD_PRELOAD": "", **more}


def imports(folder: Path) -> list[int]:
    """Who has made the imports."""
    return [int(line) for line in (folder / "imports").read_text().split()]


def told(folder: Path) -> list[dict[str, Any]]:
    """What the command told: of itself, then of what it spawned, then how that ended."""
    found: list[dict[str, Any]] = json.loads((folder / "told.json").read_text())
    return found
