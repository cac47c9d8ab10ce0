"""The steps of this machine's fleets: from what is wanted now to what is to be, and what is still waited
for."""

import json

from stoker.fleet.changes import Step
from stoker.fleet.process import Process, Wanted
from stoker.fleet.state import FleetState


def starting(wanted: Wanted) -> tuple[Step, ...]:
    """Everything is started."""
    return tuple(_start(process) for process in wanted.processes)


def _start(process: Process) -> Step:
    return Step("start", _subject(process), process.hardware, body=process)


def acting(wanted: Wanted, now: Wanted) -> tuple[Step, ...]:
    """What has to change; empty where nothing has."""
    old = {process.key: process for process in now.processes}
    new = {process.key: process for process in wanted.processes}
    out = [Step("stop", _subject(old[key]), "not wanted any more") for key in old.keys() - new.keys()]
    for key, process in new.items():
        if key not in old:
            out.append(_start(process))
        elif process.fingerprint != old[key].fingerprint or (
            process.routed and wanted.restart != now.restart
        ):
            out.append(Step("replace", _subject(process), _difference(old[key], process), body=process))
    if (
        not out
        and (wanted.drain_timeout, wanted.spec) != (now.drain_timeout, dict(now.spec))
        and not _same_spec(wanted, now)
    ):
        out.append(Step("update", "spec", ""))
    return tuple(out)


def _same_spec(wanted: Wanted, now: Wanted) -> bool:
    return read_back(wanted.spec) == read_back(now.spec)


def read_back(value: object) -> object:
    """A value as JSON would bring it back, so that tuples equal lists."""
    return json.loads(json.dumps(value))


def _difference(old: Process, new: Process) -> str:
    if old.hardware != new.hardware:
        return f"{old.hardware} -> {new.hardware}"
    if old.argv != new.argv:
        return "its options change"
    return "restart" if old.env == new.env else "its environment changes"


def _subject(process: Process) -> str:
    return f"replica {process.name}" if process.routed else process.role


def waiting(wanted: Wanted, state: FleetState, in_rotation: int) -> tuple[Step, ...]:
    """What is not ready yet. The web page is not waited for: it comes after the endpoint answers.

    in_rotation: how many replicas the gateway sends to.
    """
    if state.revision < wanted.revision:
        return (Step("wait", "supervisor", "it has not taken up the last change"),)
    ready = {r.name for r in state.replicas if r.phase == "Ready" and r.current}
    old = [r for r in state.replicas if r.phase == "Draining"]
    out = [Step("wait", _subject(p), "") for p in wanted.processes if p.routed and p.name not in ready]
    gateway = state.service("gateway")
    asked = any(process.role == "gateway" for process in wanted.processes)
    if asked and (gateway is None or gateway.phase != "Ready" or not gateway.current):
        out.append(Step("wait", "gateway", ""))
    elif asked and in_rotation < len(ready):
        out.append(Step("wait", "gateway", "it does not send to every ready replica yet"))
    out += [Step("wait", f"replica {r.name}", "it is leaving") for r in old]
    return tuple(out)


def again(state: FleetState, now: Wanted | None) -> tuple[Step, ...]:
    """What was given up or stopped before this verb is tried again by it."""
    out = [
        Step("start", f"replica {one.name}", "it was given up; tried again")
        for one in state.replicas
        if one.phase == "Failed" and one.current
    ]
    if state.stopped is not None and now is not None and state.stopped.revision == now.revision:
        out.append(Step("replace", state.stopped.subject, "the change was stopped; tried again"))
    return tuple(out)
