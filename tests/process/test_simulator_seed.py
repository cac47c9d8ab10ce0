"""A simulation is its seed's alone: nothing hangs on what differs from process to process."""

import os
import subprocess
import sys

CODE = """
import json
from dataclasses import asdict
from tests.support.simulating import ROOMY, USUAL, queue_policy, waves
from stoker.simulator.run import simulate
from stoker.simulator.scenario import Failures, Scenario
from stoker.traffic.lengths import fixed
from stoker.traffic.workload import Synthetic
from stoker.units import Range

talk = Synthetic(fixed(400), fixed(60), prefixes=3, prefix=256, turns=fixed(2), think=1.0)
load = waves(2, 40, 10, 2, talk)
made = Scenario(ROOMY, USUAL, load, Range(2, 4), queue_policy(2, 4), failures=Failures((8.0,), 20.0))
found = simulate(made)
print(json.dumps([asdict(one) for one in found.figures.values()] + [asdict(one) for one in found.decisions]))
"""


def test_it_is_the_same_whatever_python_hashes() -> None:
    said = []
    for number in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": number}
        run = subprocess.run(
            [sys.executable, "-c", CODE], env=env, capture_output=True, text=True, timeout=120, check=True
        )
        said.append(run.stdout)
    assert said[0] == said[1]
    assert len(said[0]) > 500
