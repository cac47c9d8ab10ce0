"""An upgrade under a live fleet: what the Stoker before wrote is read, and what runs is adopted."""

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import psutil
from tests.conftest import Stoker

from stoker.system.files import keep_json


def without_causes(value: Any) -> Any:
    """A state as it was written before causes: words alone."""
    if isinstance(value, dict):
        return {key: without_causes(one) for key, one in value.items() if key not in ("cause", "checksum")}
    return [without_causes(one) for one in value] if isinstance(value, list) else value


def pids(state: dict[str, Any]) -> list[int]:
    return [one["ranks"][0]["pid"] for one in state["replicas"]]


def test_a_fleet_of_before_causes_is_adopted(stoker: Stoker, wait_until: Callable[..., None]) -> None:
    assert stoker("up", "-d", "-f", stoker.spec()).code == 0
    os.kill(pids(stoker.state())[0], signal.SIGKILL)
    wait_until(lambda: [one["phase"] for one in stoker.state()["replicas"]] == ["Ready"])
    before = stoker.state()
    assert before["replicas"][0]["cause"]["rule"] == "engine-killed"
    supervisor = next(p for p in stoker.processes() if "stoker.targets.local.supervisor" in p.cmdline())
    supervisor.kill()
    wait_until(lambda: not supervisor.is_running() or supervisor.status() == psutil.STATUS_ZOMBIE)
    file = stoker.home / "state/fleets/sim/state.json"
    old = without_causes(json.loads(file.read_text()))
    for path in file.parent.glob("*state.json*"):
        path.unlink()
    keep_json(file, old)
    after = stoker.state()
    assert (pids(after), after["supervised"]) == (pids(before), True)
    assert after["replicas"][0]["restarts"] == 1
    assert after["replicas"][0]["last_error"] == "killed by SIGKILL"
    assert "nothing is wrong" in stoker("why").out
