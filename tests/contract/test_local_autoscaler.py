"""The autoscaler of a fleet here: real replicas follow real load, and no request is lost on the way."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable

import httpx2
import psutil
from tests.conftest import Stoker

BEHAVIOR = {
    "scaleUp": {"policies": [{"type": "Pods", "value": 2, "periodSeconds": 1}]},
    "scaleDown": {"stabilizationWindowSeconds": 3},
}
SLOW = {"ttft": 0.05, "itl": 0.05, "tokens": 12}


def spec(stoker: Stoker, replicas: str = "1..3", **metrics: float) -> str:
    scaling = {"metrics": metrics or {"queue-depth": 1}, "sync_period": 1, "behavior": BEHAVIOR}
    return stoker.spec(simulate=SLOW, replicas=replicas, scaling=scaling, engine={"max-num-seqs": 2})


class Clients:
    """Closed-loop clients that stream; what each request came to."""

    def __init__(self, url: str, count: int) -> None:
        self.url, self.ended = url, list[str]()
        self._on = True
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        with httpx2.Client(timeout=60) as client:
            while self._on:
                self.ended.append(one(client, self.url))

    def stop(self) -> list[str]:
        self._on = False
        for thread in self._threads:
            thread.join(60)
        return self.ended


def one(client: httpx2.Client, url: str) -> str:
    """`whole`, or what was wrong."""
    body = {"model": "model", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    try:
        with client.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
            lines = [line for line in answer.iter_lines() if line]
        if answer.status_code != 200:
            return f"status {answer.status_code}"
        return "whole" if lines[-1] == "data: [DONE]" and not any("error" in x for x in lines) else lines[-1]
    except httpx2.HTTPError as error:
        return type(error).__name__


def wanted(stoker: Stoker) -> int:
    return int(stoker.state()["wanted"])


def test_replicas_follow_the_load_and_no_request_is_lost(
    stoker: Stoker, wait_until: Callable[..., None]
) -> None:
    assert stoker("up", "-d", "-f", spec(stoker)).code == 0
    clients = Clients(stoker.url, 12)
    wait_until(lambda: stoker.state()["wanted"] == 3, 90, "it never asked for three")
    wait_until(lambda: all(one["phase"] == "Ready" for one in stoker.state()["replicas"]), 90)
    state = stoker.state()
    assert state["scaling"]["high"] == 3
    assert "queue-depth" in state["scaling"]["reason"]
    few = Clients(stoker.url, 1)
    ended = clients.stop()
    wait_until(lambda: wanted(stoker) == 1 and len(stoker.state()["replicas"]) == 1, 120, "it stayed large")
    ended += few.stop()
    assert len(ended) > 12
    assert set(ended) == {"whole"}
    log = (stoker.home / "state/fleets/sim/logs/autoscaler.1.log").read_text()
    assert re.search(r"\d 1 -> [23]: queue-depth is", log)
    assert "-> 3: queue-depth is" in log
    assert "minimum" in stoker.state()["scaling"]["reason"]


def test_to_zero_and_woken_by_a_request(stoker: Stoker, wait_until: Callable[..., None]) -> None:
    assert stoker("up", "-d", "-f", spec(stoker, "0..2", **{"in-flight": 2})).code == 0
    assert wanted(stoker) == 1  # it begins with one, so that it is seen to serve
    wait_until(lambda: not stoker.state()["replicas"], 90, "it never went to zero")
    assert httpx2.get(f"{stoker.url}/health").status_code == 503
    with httpx2.Client(timeout=60) as client:
        began = time.monotonic()
        assert one(client, stoker.url) == "whole"  # held while a replica starts
        assert time.monotonic() - began < 20
    state = stoker.state()
    assert state["scaling"]["low"] == 0
    assert stoker("down", timeout=30).code == 0


def test_it_goes_on_where_it_was_when_it_is_killed(stoker: Stoker, wait_until: Callable[..., None]) -> None:
    # without behavior it remembers for five minutes, however long its new start takes
    scaling = {"metrics": {"queue-depth": 1}, "sync_period": 1}
    assert stoker("up", "-d", "-f", stoker.spec(simulate=SLOW, replicas="1..3", scaling=scaling)).code == 0
    file = stoker.home / "state/fleets/sim/autoscaler.json"
    wait_until(file.exists)
    pid = next(one["pid"] for one in stoker.state()["services"] if one["role"] == "autoscaler")
    first = json.loads(file.read_text())["memory"]["recommendations"][0]
    os.kill(pid, signal.SIGKILL)

    def another() -> bool:
        found = [one for one in stoker.state()["services"] if one["role"] == "autoscaler"]
        return bool(found) and found[0]["pid"] not in (None, pid) and found[0]["phase"] == "Ready"

    wait_until(another, 20, "it was not started again")
    told = json.loads(file.read_text())["at"]
    wait_until(lambda: json.loads(file.read_text())["at"] > told)
    assert json.loads(file.read_text())["memory"]["recommendations"][0] == first
    assert stoker.state()["replicas"][0]["phase"] == "Ready"


def test_a_number_set_by_hand_is_led_on_and_one_outside_is_brought_back(
    stoker: Stoker, wait_until: Callable[..., None]
) -> None:
    assert stoker("up", "-d", "-f", spec(stoker, "1..2")).code == 0
    assert stoker("scale", "4").code == 0
    wait_until(lambda: wanted(stoker) == 2, 60, "four are above the maximum")
    wait_until(lambda: wanted(stoker) == 1, 60, "nothing is asked for")


def test_it_holds_still_while_a_verb_leads_the_fleet(stoker: Stoker, wait_until: Callable[..., None]) -> None:
    """A rolling restart under load that would double the fleet: the verb ends well."""
    assert stoker("up", "-d", "-f", spec(stoker, "2..3")).code == 0
    clients = Clients(stoker.url, 10)
    ran = stoker("restart")
    assert ran.code == 0, ran.err
    wait_until(lambda: wanted(stoker) == 3, 90)
    assert set(clients.stop()) == {"whole"}


def test_a_fixed_fleet_has_none_and_a_range_brings_it(stoker: Stoker) -> None:
    assert stoker("up", "-d", "-f", stoker.spec(simulate=SLOW)).code == 0
    assert stoker.state()["scaling"] is None
    assert [one["role"] for one in stoker.state()["services"]] == ["gateway"]
    assert stoker("up", "-d", "-y", "-f", spec(stoker)).code == 0
    assert "autoscaler" in [one["role"] for one in stoker.state()["services"]]
    assert stoker("up", "-d", "-y", "-f", stoker.spec(simulate=SLOW)).code == 0
    assert stoker.state()["scaling"] is None


def test_down_ends_it_too(stoker: Stoker) -> None:
    assert stoker("up", "-d", "-f", spec(stoker)).code == 0
    pid = next(one["pid"] for one in stoker.state()["services"] if one["role"] == "autoscaler")
    assert stoker("down").code == 0
    assert not psutil.pid_exists(pid)
    assert not (stoker.home / "state/fleets/sim/autoscaler.json").exists()
