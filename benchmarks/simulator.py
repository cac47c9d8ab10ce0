"""How fast simulations are, and what a policy saves; against the nearest simulator that installs.

    python -m benchmarks.simulator [--trace AzureLLMInferenceTrace_conv.csv] [--peer PYTHON | --no-peer]

Speed: simulated requests a second of one core, on the same list of requests for both: ours steps vLLM's
scheduler with a profile measured on an H200, vllm-sr-sim (semantic-router's fleet simulator, PyPI) has one
event a request, no steps, no prefix cache and no autoscaler. It is installed into a temporary environment, or
run with `--peer`, an interpreter that has it. Targets: 50,000/s for one replica, five times the peer, the
Azure hour on 20 replicas in less than 10 s.

Money: `money` is GPU hours of two settings at equal attainment on a trace: for what `stoker suggest` writes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from stoker.autoscale.policy import Metric, Policy
from stoker.catalog import profiles
from stoker.engine.profile import from_json
from stoker.engine.scheduler import SchedulerLimits
from stoker.simulator.run import simulate
from stoker.simulator.scenario import NodePool, Scenario, Starting
from stoker.traffic import traces
from stoker.traffic.arrivals import Replay
from stoker.traffic.objectives import LatencyObjectives
from stoker.traffic.traces import TraceRow
from stoker.traffic.workload import Recorded, Workload
from stoker.units import Range

Rows = Sequence[TraceRow]
PEER = "vllm-sr-sim==0.1.0.dev20260713123629"
RUNS = 2  # the faster one counts: machines here are shared
ENOUGH, TIMES, HOUR = 50_000, 5.0, 10.0
PROFILE = from_json(profiles.profiles()["h200-llama-8b"].values)
LIMITS = SchedulerLimits(27_000, 32_768, 8192, 256, async_scheduling=True)
STARTS = Starting((("Pulling", 9.0), ("Starting", 34.0), ("Loading", 18.0), ("Warming", 30.0)))

PEERS_PROGRAM = """
import json, sys, time
from fleet_sim.core.fleet import Fleet, FleetConfig, PoolConfig
from fleet_sim.core.request import Request
from fleet_sim.gpu_profiles.manual import ManualProfile

given = json.load(sys.stdin)
gpu = ManualProfile("h200", W=0.00477, H=0.00025, chunk=8192, blk_size=16, total_kv_blks=27000, max_slots=256,
                    cost_per_hr=1.0)
best = None
for _ in range(given["runs"]):
    asked = [(at, Request(n, at, prompt, answer)) for n, (at, prompt, answer) in enumerate(given["rows"])]
    pool = PoolConfig("all", gpu, given["replicas"], 8192, lb_strategy="least_loaded")
    fleet = Fleet(FleetConfig([pool], "LeastLoadedRouter"))
    began = time.process_time()
    found = fleet.run(asked)
    found.p50_ttft_ms(), found.p99_ttft_ms()
    took = time.process_time() - began
    best = took if best is None else min(best, took)
print(json.dumps({"seconds": best, "completed": len(found.completed)}))
"""


# speed


@dataclass(frozen=True, slots=True)
class Load:
    """Requests for so many replicas."""

    name: str
    rows: Rows
    replicas: int


def ours(load: Load) -> float:
    """CPU seconds, the figures of the run included."""
    workload = Workload(Replay(), Recorded(tuple(load.rows)))
    made = Scenario(LIMITS, PROFILE, workload, Range(load.replicas, load.replicas), routing="in-flight")
    best = float("inf")
    for _ in range(RUNS):
        began = time.process_time()
        found = simulate(made, detail=False)
        best = min(best, time.process_time() - began)
    assert found.run.summary.failed == 0
    return best


def theirs(load: Load, python: str) -> float:
    """CPU seconds of the peer, in a process of its own."""
    given = {
        "rows": [(row.at, row.input, row.output) for row in load.rows],
        "replicas": load.replicas,
        "runs": RUNS,
    }
    done = subprocess.run(
        [python, "-c", PEERS_PROGRAM], input=json.dumps(given), capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    if found["completed"] < len(load.rows):
        print(f"    (the peer completed {found['completed']:,} of {len(load.rows):,})")
    return float(found["seconds"])


def loads(trace: Rows | None) -> Iterator[Load]:
    """What is simulated."""
    yield Load("5/s of 512+128 tokens", made(20_000, 5, 512, 128), 1)
    yield Load("1/s of 256+256 tokens", made(20_000, 1, 256, 256), 1)
    yield Load("100/s of 512+128 tokens", made(40_000, 100, 512, 128), 20)
    if trace is not None:
        yield Load("the Azure hour", trace, 1)
        yield Load("the Azure hour", trace, 20)
        dense = [replace(row, at=row.at / 10) for row in trace]
        yield Load("the Azure hour in 6 minutes", dense, 20)


def made(count: int, rate: float, prompt: float, answer: float) -> Rows:
    """Poisson arrivals with exponential lengths."""
    random, at, out = Random(1), 0.0, []
    for _ in range(count):
        at += random.expovariate(rate)
        sizes = [1 + int(random.expovariate(1 / mean)) for mean in (prompt, answer)]
        out.append(TraceRow(at, sizes[0], sizes[1]))
    return out


def speed(trace: Rows | None, python: str | None) -> None:
    """Prints a line a load."""
    for load in loads(trace):
        mine = ours(load)
        count = len(load.rows)
        line = f"{load.name} on {load.replicas}: {count / mine:,.0f} requests/s ({mine:.1f} s)"
        if python is not None:
            peer = theirs(load, python)
            line += f"; vllm-sr-sim {count / peer:,.0f}/s ({peer:.1f} s), ratio {peer / mine:.2f}"
        print(line, flush=True)
    print(f"asked: {ENOUGH:,}/s on 1, {TIMES:g} times the peer, the Azure hour on 20 in less than {HOUR:g} s")


def installed(folder: str) -> str:
    """An interpreter that has the peer."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(Path(folder) / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", PEER], check=True)
    return python


# money


@dataclass(frozen=True, slots=True)
class Saved:
    """GPU hours of a setting and of the guide's, and the share of requests that kept the objectives with
    each.

    equal: the guide's, with as many replicas at least as bring it to the same attainment.
    """

    hours: float
    attainment: float
    guide: float
    guide_attainment: float
    equal: float | None = None

    @property
    def ratio(self) -> float | None:
        """Its hours over the guide's at equal attainment; None, where the guide's never gets there."""
        return self.hours / self.equal if self.equal else None


def guide(most: int, least: int = 1) -> Policy:
    """The guide's HPA: queue depth, and the controller's own ways."""
    return Policy(least, most, (Metric("Pods", "queue-depth", 10_000),))


def money(scenario: Scenario, most: int, seeds: int = 1) -> Saved:
    """A setting against the guide's at equal attainment: the guide's with ever more replicas at least."""
    hours, kept = _hours(scenario, seeds)
    first = _hours(_guided(scenario, most, 1), seeds)
    equal = first if first[1] >= kept else None
    for least in range(2, most + 1):
        if equal is not None:
            break
        found = _hours(_guided(scenario, most, least), seeds)
        equal = found if found[1] >= kept else None
    return Saved(hours, kept, *first, None if equal is None else equal[0])


def _guided(scenario: Scenario, most: int, least: int) -> Scenario:
    return replace(scenario, replicas=Range(least, most), policy=guide(most, least))


def _hours(scenario: Scenario, seeds: int) -> tuple[float, float]:
    found = simulate(scenario, seeds=seeds, detail=False).figures
    return found["gpu_hours"].mean, found["attainment"].mean


def example(trace: Rows, speed: float = 4.0) -> Scenario:
    """The trace, faster than it was, on one-GPU replicas that need a machine: the setting of `stoker suggest`
    is to be put in its place."""
    workload = Workload(Replay(speed), Recorded(tuple(trace)))
    policy = Policy(1, 6, (Metric("Pods", "batch-size", 24_000),))
    return Scenario(
        LIMITS,
        PROFILE,
        workload,
        Range(1, 6),
        policy,
        starting=STARTS,
        pool=NodePool(93.0, gpus=1),
        objectives=LatencyObjectives(ttft=1.0, itl=0.05),
    )


def main() -> int:
    """Prints both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trace", type=Path)
    parser.add_argument("--peer", help="an interpreter that has vllm-sr-sim")
    parser.add_argument("--no-peer", action="store_true")
    asked = parser.parse_args()
    trace = None
    if asked.trace:
        trace = traces.read(asked.trace.read_text().splitlines(), str(asked.trace)).rows
    with tempfile.TemporaryDirectory() as folder:
        speed(trace, None if asked.no_peer else asked.peer or installed(folder))
    if trace is not None:
        found = money(example(trace), 6)
        print(f"money: {found}, ratio {found.ratio}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
