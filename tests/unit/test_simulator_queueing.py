"""Simulated engines against the closed forms of queueing theory, where a step of the scheduler is the server.

A step takes one time whatever it holds, prompts have one token, and a request's steps are the tokens of its
answer. It is let in at the end of the step that runs, so that with one place the queue is M/G/1 exactly.
Source: Kleinrock, Queueing Systems I: Pollaczek and Khinchine for M/G/1, Erlang's C, Little's law.
"""

import math
from collections.abc import Iterator, Sequence
from random import Random
from statistics import fmean, stdev

import pytest
from tests.support.simulating import STEADY, closed_load, drive, open_load, ran

from stoker.engine.profile import EngineProfile
from stoker.engine.scheduler import SchedulerLimits
from stoker.simulator.request import Request
from stoker.simulator.scenario import Scenario
from stoker.traffic.lengths import Lengths, fixed
from stoker.traffic.workload import Synthetic

STEP = STEADY.base
BATCHES = 20
ERRORS = 4.0  # standard errors that a mean may be off; seeds are fixed, so this is no matter of luck


def limits(places: int) -> SchedulerLimits:
    """An engine of so many places, which runs out of nothing else."""
    return SchedulerLimits(
        num_gpu_blocks=100_000, max_model_len=100_000, max_num_seqs=places, max_num_batched_tokens=100_000
    )


def answers(law: str, mean: int, rate: float, count: int, seed: int = 1) -> Iterator[tuple[float, int]]:
    """Poisson arrivals with the number of tokens of each answer; geometric is exponential in whole steps."""
    random, at = Random(seed), 0.0
    for _ in range(count):
        at += random.expovariate(rate)
        tokens = mean if law == "fixed" else 1 + int(math.log(1 - random.random()) / math.log(1 - 1 / mean))
        yield at, tokens


def served(law: str, places: int, mean: int, load: float, count: int) -> list[Request]:
    """All requests of an engine that is loaded to that share, without the first twentieth."""
    rate = load * places / (mean * STEP)
    asks = [(at, 1, tokens, (), None) for at, tokens in answers(law, mean, rate, count)]
    return drive(asks, limits(places), STEADY)[1][count // 20 :]


def waited(one: Request) -> float:
    """Seconds until it was let in: it has its first token a step later."""
    assert one.first is not None
    return one.first - one.due - STEP


def near(values: Sequence[float], expected: float) -> None:
    """Whether a mean is the expected one, by the errors of means over batches in a row (batch means)."""
    size = len(values) // BATCHES
    means = [fmean(values[number * size : (number + 1) * size]) for number in range(BATCHES)]
    error = stdev(means) / math.sqrt(BATCHES)
    assert fmean(means) == pytest.approx(expected, abs=ERRORS * error), (fmean(means), expected, error)
    assert error < 0.2 * expected  # a comparison that could tell a difference


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("law", ["fixed", "geometric"])
def test_one_place_waits_as_m_g_1(law: str, load: float) -> None:
    mean = 20
    squares = mean**2 if law == "fixed" else mean**2 * (2 - 1 / mean)  # of a geometric law: its second moment
    rate = load / (mean * STEP)
    found = [waited(one) for one in served(law, 1, mean, load, 10_000)]
    near(found, rate * squares * STEP**2 / (2 * (1 - load)))


def test_answers_of_one_time_wait_half_as_long_as_of_exponential_ones() -> None:
    one, other = (
        fmean(waited(one) for one in served(law, 1, 20, 0.7, 12_000)) for law in ("fixed", "geometric")
    )
    assert other / one == pytest.approx(2, rel=0.15)


def erlang_c(places: int, load: float) -> float:
    """The share of requests that wait in M/M/c."""
    offered = places * load
    top = offered**places / math.factorial(places) / (1 - load)
    return top / (sum(offered**n / math.factorial(n) for n in range(places)) + top)


@pytest.mark.parametrize(("places", "load"), [(2, 0.7), (4, 0.8)])
def test_several_places_wait_as_m_m_c(places: int, load: float) -> None:
    """All running requests get a token a step, so that c places are c servers. A request that finds one free
    waits until the running step ends, half a step on average, which long answers make small."""
    mean = 50
    found = [waited(one) for one in served("geometric", places, mean, load, 15_000)]
    expected = erlang_c(places, load) * mean * STEP / (places * (1 - load))
    near(found, expected + STEP / 2)


def test_without_limit_each_has_the_pace_of_one() -> None:
    """M/G/infinity: nobody waits for others, and the number in service is the load offered."""
    rate, mean = 20.0, 50
    found = drive(
        [(at, 1, n, (), None) for at, n in answers("geometric", mean, rate, 8000)], limits(5000), STEADY
    )
    requests = found[1]
    assert max(waited(one) for one in requests) < STEP + 1e-9
    seconds = requests[-1].due
    inside = math.fsum((one.last_at or 0) - one.due for one in requests) / seconds
    assert inside == pytest.approx(rate * (mean * STEP + STEP / 2), rel=0.03)


def test_a_shared_step_slows_all_alike() -> None:
    """Processor sharing: a step as long as its sequences are many. The mean stay is S / (1 - load) whatever
    the law of the answers, as a service has no share in the queue of others."""
    profile = EngineProfile(0.0, 0.0, 0.002, overhead=0.0)
    mean, load = 100, 0.6
    for law in ("fixed", "geometric"):
        asks = [(at, 1, n, (), None) for at, n in answers(law, mean, load / (mean * 0.002), 8000)]
        requests = drive(asks, limits(5000), profile)[1][500:]
        near([(one.last_at or 0) - one.due for one in requests], mean * 0.002 / (1 - load))


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("overhead", [0.0, 0.05])
def test_littles_law_of_an_open_fleet(replicas: int, overhead: float) -> None:
    """Requests in the fleet = rate x stay."""
    from stoker.simulator.run import simulate
    from stoker.units import Range

    profile = EngineProfile(0.01, 2e-5, 1e-4, overhead=overhead)
    load = open_load(6.0, seconds=400, prompts=Synthetic(fixed(100), Lengths("exponential", 60)))
    made = Scenario(limits(64), profile, load, Range(replicas, replicas))
    found = simulate(made).run.summary
    assert found.failed == 0
    assert found.concurrency == pytest.approx(found.offered * found.e2e.mean, rel=0.02)


@pytest.mark.parametrize("overhead", [0.0, 0.2])
@pytest.mark.parametrize("think", [0.0, 1.0])
def test_the_response_time_law_of_a_closed_fleet(overhead: float, think: float) -> None:
    """Users = rate x (stay + thinking): Little's law around the loop."""
    users = 12
    prompts = Synthetic(fixed(100), fixed(40))
    profile = EngineProfile(0.01, 2e-5, 1e-4, overhead=overhead)
    load = closed_load(users, think=think, seconds=300, prompts=prompts)
    fleet = ran(Scenario(limits(64), profile, load))
    done = [one for one in fleet.requests if one.failed is None and one.due < 300]
    stay = fmean((one.last_at or 0) - one.due for one in done)
    assert len(done) / 300 * (stay + think) == pytest.approx(users, rel=0.02)


def test_more_load_never_waits_less() -> None:
    means = [fmean(waited(one) for one in served("geometric", 4, 40, load, 5000)) for load in (0.3, 0.6, 0.9)]
    assert means == sorted(means)
