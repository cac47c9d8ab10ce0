"""What is told beside a simulation's figures."""

from dataclasses import replace

from tests.support.simulating import ROOMY, USUAL, trace

from stoker.engine.scheduler import SchedulerLimits
from stoker.findings import Finding
from stoker.simulator.run import simulate
from stoker.simulator.scenario import Scenario
from stoker.traffic.arrivals import Replay
from stoker.traffic.traces import TraceRow
from stoker.traffic.workload import Recorded, Workload

SMALL = SchedulerLimits(num_gpu_blocks=11, max_model_len=4096, max_num_seqs=4)


def told(workload: Workload, limits: SchedulerLimits = ROOMY) -> dict[str, str]:
    """What is said, by its rule."""
    found = simulate(Scenario(limits, USUAL, workload), detail=False)
    return {one.rule: one.what for one in found.run.findings}


def test_a_usual_run_says_nothing() -> None:
    assert told(trace((0.0, 100, 20), (5.0, 100, 20))) == {}


def test_prompts_that_no_engine_takes() -> None:
    found = told(trace((0.0, 100, 20), (1.0, 4096, 20), (2.0, 9000, 20)))
    assert found == {"simulate-too-long": "2 of 3 requests are refused with 400: their prompts are too long"}


def test_answers_that_end_at_the_context() -> None:
    found = told(trace((0.0, 4000, 500), (1.0, 4000, 96)))
    assert found == {"simulate-cut": "1 of 2 answers end at max-model-len, earlier than the workload says"}


def test_a_prompt_that_never_fits_the_cache() -> None:
    found = told(trace((0.0, 10, 5), (1.0, 1000, 5), (2.0, 10, 5)), SMALL)
    assert found == {"simulate-cache": "a prompt of 1,000 tokens never fits the KV cache, which holds 160"}


def test_nobody_was_answered() -> None:
    assert set(told(trace((0.0, 9000, 20)))) == {"simulate-too-long", "simulate-none"}


def recorded(*at: float, **more: bool | int) -> Workload:
    rows = tuple(TraceRow(one, 10, 5) for one in at)
    return Workload(Replay(), replace(Recorded(rows), **more))  # type: ignore[arg-type]


def test_a_trace_that_is_not_what_it_seems() -> None:
    steady = [float(second) for second in range(0, 8000, 400)]
    assert told(recorded(*steady)) == {}
    assert "pause of 10.0 hours, after 2.1 hours" in told(recorded(*steady, 43_600.0))["simulate-trace"]
    assert "not in order" in told(recorded(0.0, 1.0, in_order=False))["simulate-trace"]
    assert "3 rows of the trace" in told(recorded(0.0, 1.0, skipped=3))["simulate-trace"]


def test_a_regular_trace_of_rare_requests_has_no_pause() -> None:
    daily = [86_400.0 * day for day in range(30)]
    assert told(recorded(*daily)) == {}


def test_what_was_found_before_is_told_too() -> None:
    before = Finding("something", severity="warning", rule="a-rule")
    made = Scenario(ROOMY, USUAL, trace((0.0, 10, 5)), findings=(before,))
    assert simulate(made, detail=False).run.findings == (before,)
