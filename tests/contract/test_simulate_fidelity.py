"""A simulation beside the fleet that it is of: real processes, the real autoscaler, the same load."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.conftest import Stoker

SYNC = 2.0
SCALING = {
    "metrics": {"queue-depth": 1},
    "sync_period": SYNC,
    "behavior": {
        "scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 2}]},
        "scaleDown": {"stabilizationWindowSeconds": 6},
    },
}
# Two at once, a second each: one replica answers two a second. Eight come a second, then one in two.
SIMULATE = {"profile": {"base": 0.05}, "kv_blocks": 1000}
LOAD = ("--rate", "8:10s,0.5:20s", "--duration", "30s", "--arrivals", "constant", "--warmup", "0s")
LENGTHS = ("--input-len", "16", "--output-len", "20")
CHANGE = re.compile(r"^(\S+ \S+?),(\d+) (\d+) -> (\d+): ", re.M)


def spec(stoker: Stoker) -> str:
    return stoker.spec(
        simulate=SIMULATE, replicas="1..3", scaling=SCALING, engine={"max-num-seqs": 2, "max-model-len": 1024}
    )


def seen(stoker: Stoker) -> list[tuple[float, int, int]]:
    """What the fleet's autoscaler changed, by its own log: seconds, before, after."""
    log = (stoker.home / "state/fleets/sim/logs/autoscaler.1.log").read_text()
    return [
        (datetime.fromisoformat(at).timestamp() + int(ms) / 1000, int(before), int(after))
        for at, ms, before, after in CHANGE.findall(log)
    ]


def test_a_simulated_fleet_scales_as_the_real_one(stoker: Stoker, wait_until: Callable[..., None]) -> None:
    file = spec(stoker)
    ran = stoker("simulate", "-f", file, *LOAD, *LENGTHS, "--seeds", "1", "--phase", "start=1s", "-o", "json")
    assert ran.code == 0, ran.err
    simulated: dict[str, Any] = ran.json()
    assert stoker("up", "-d", "-f", file).code == 0
    found = stoker("bench", *LOAD, *LENGTHS, "-o", "json", "--results", "run")
    assert found.out, found.err
    wait_until(lambda: seen(stoker)[-1:] and seen(stoker)[-1][2] == 1, 60, "it never came back to one")
    real, run = seen(stoker), json.loads((stoker.home / "run/run.json").read_text())
    ours = [(one["at"], one["before"], one["wanted"]) for one in simulated["decisions"]]
    assert [one[1:] for one in ours] == [(1, 2), (2, 3), (3, 1)]
    assert [one[1:] for one in real[:2]] == [(1, 2), (2, 3)]
    assert all(after < before for _, before, after in real[2:])  # at once, or, on a busy machine, one by one
    for (at, *_), (expected, *_) in zip(real[:3], ours, strict=True):
        assert abs(at - run["started"] - expected) <= 2 * SYNC, (real, ours, run["started"])
    summary, foreseen = run["summary"], simulated["run"]["summary"]
    assert summary["requests"] == foreseen["requests"]
    assert (summary["failed"], foreseen["failed"]) == (0, 0)
