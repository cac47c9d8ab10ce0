"""Twins: copies of a process, made while it was clean, that become what `multiprocessing` would spawn.

A spawned process is a new interpreter that imports everything again: for vLLM seconds, and its API process
spawns the engine core, which spawns a worker. A twin has the imports already. It is given what the new
interpreter would have been given, the environment, the open files under their numbers, and the spawn's own
arguments, and is a child of whoever spawns, as that would have been.

It is forked before there is any thread, lock or device that a fork would break, and waits until it is needed;
without a use for it, it ends with its maker. Only the first process that is spawned is one: the next ones
start as ever.
"""

import contextlib
import ctypes
import fcntl
import gc
import json
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import spawn, util
from typing import Any, NoReturn

OUT_OF_THE_WAY = 500  # numbers of files that are only held, above those that are handed over
MOST_FILES = 250  # that one message carries
# Read while something is imported: one of them that has changed since has to be read by a new interpreter.
_READ_ONCE = ("HF_", "LD_", "MALLOC_", "MKL_", "GOMP_", "PYTHON", "PYTORCH_", "TORCH", "TRANSFORMERS_")
_PAUSE_HARD = 2  # omp_pause_hard
_SPAWN = "from multiprocessing.spawn import spawn_main"
_plainly = util.spawnv_passfds


def keep(generations: int, others: Sequence[socket.socket] = ()) -> None:
    """Makes a twin for the first process that is spawned here, and so on in it. `others` are closed in it.

    Returns in this process alone.
    """
    if generations <= 0:
        return
    ours, its = socket.socketpair()
    gc.freeze()  # what is there is not looked at again: its pages stay shared
    pid = os.fork()
    if pid == 0:
        for one in (ours, *others):
            one.close()
        _wait(its, generations)
    its.close()
    util.spawnv_passfds = _Spawning(ours, pid)


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The variables that differ, and that a copy has read already."""
    names = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    return sorted(name for name in names if name.startswith(_READ_ONCE))


class _Spawning:
    """Takes the place of the call that starts a new interpreter, once."""

    def __init__(self, channel: socket.socket, pid: int) -> None:
        self._channel, self._pid = channel, pid
        self._environment = dict(os.environ)

    def __call__(self, path: Any, args: Sequence[Any], passfds: Sequence[int]) -> int:
        program = next((str(one) for one in args if str(one).startswith(_SPAWN)), None)
        if program is None:  # another helper of multiprocessing's
            return _plainly(path, args, passfds)
        util.spawnv_passfds = _plainly
        try:
            self._hand_over(program, sorted({int(fd) for fd in passfds}))
        except (OSError, ValueError) as error:
            sys.stderr.write(f"stoker starter: {error}; a new interpreter is started\n")
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            return _plainly(path, args, passfds)
        finally:
            self._channel.close()
        return self._pid

    def _hand_over(self, program: str, numbers: list[int]) -> None:
        """Tells the twin what to become. Raises: OSError, ValueError."""
        if names := changed(self._environment, os.environ):
            raise ValueError(f"{', '.join(names)} changed since the imports")
        if len(numbers) > MOST_FILES:
            raise ValueError(f"{len(numbers)} open files are too many for one message")
        told = {"program": program, "files": numbers, "env": dict(os.environ), "cwd": os.getcwd()}
        text = json.dumps(told).encode()
        socket.send_fds(self._channel, [b"."], numbers)
        self._channel.sendall(text)
        self._channel.shutdown(socket.SHUT_WR)
        if self._channel.recv(1) != b"k":
            raise OSError("the twin has ended")


def _wait(channel: socket.socket, generations: int) -> NoReturn:
    """In the twin: waits to be told what to become; ends where nobody can tell any more."""
    keep(generations - 1, (channel,))  # while this one is clean, too
    mark, files, _, _ = socket.recv_fds(channel, 1, MOST_FILES)
    if not mark:
        os._exit(0)
    told = json.loads(_all(channel))
    channel.sendall(b"k")
    channel.close()
    _place(files, told["files"])
    _become(told)


def renew_openmp() -> None:
    """Begins OpenMP anew, by the variables of now: once, after the last fork.

    A fork begins it in the child by the parent's variables, and binds the child to one core; after an end
    before a fork it takes no more notice of them (Intel's, measured). In a new interpreter it begins with the
    imports.
    Source: OpenMP 5.0, omp_pause_resource_all.
    """
    loaded = ctypes.CDLL(None)
    with contextlib.suppress(AttributeError):
        loaded.omp_pause_resource_all(_PAUSE_HARD)
        loaded.omp_get_max_threads()


def _all(channel: socket.socket) -> bytes:
    parts = []
    while part := channel.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def _place(files: Sequence[int], numbers: Sequence[int]) -> None:
    """Gives open files the numbers that they are known by."""
    held = [fcntl.fcntl(file, fcntl.F_DUPFD, OUT_OF_THE_WAY) for file in files]
    for file in files:
        os.close(file)
    for file, number in zip(held, numbers, strict=True):
        os.dup2(file, number)
        os.close(file)


def _become(told: dict[str, Any]) -> NoReturn:
    os.environ.clear()
    os.environ.update(told["env"])
    renew_openmp()
    os.chdir(told["cwd"])
    tempfile.tempdir = None  # as the environment says by now
    sys.argv = ["-c", "--multiprocessing-fork"]
    arguments = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", told["program"])}
    spawn.spawn_main(**arguments)
    sys.exit(0)
