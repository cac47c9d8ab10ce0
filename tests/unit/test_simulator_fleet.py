"""What befalls a simulated fleet: machines, deaths, drains, queues; and what has to hold of two runs."""

import itertools
import math
from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest
from tests.support.simulating import (
    ROOMY,
    USUAL,
    balanced,
    books,
    closed_load,
    open_load,
    queue_policy,
    ran,
    trace,
    waves,
)

from stoker.engine.profile import EngineProfile
from stoker.simulator.fleet import Fleet
from stoker.simulator.nodes import Nodes
from stoker.simulator.request import Request
from stoker.simulator.run import simulate
from stoker.simulator.scenario import Failures, NodePool, Scenario, Starting
from stoker.simulator.use import use_of
from stoker.traffic.lengths import Lengths, fixed
from stoker.traffic.workload import Synthetic
from stoker.units import Range

SLOW = EngineProfile(0.1)
STARTING = Starting((("Pulling", 20.0), ("Starting", 10.0)), (("Starting", 10.0),))
SOME = Synthetic(Lengths("exponential", 200), Lengths("exponential", 60))


def made(workload: Any, **more: Any) -> Scenario:
    return Scenario(ROOMY, more.pop("profile", SLOW), workload, more.pop("replicas", Range(1, 1)), **more)


# machines


def test_replicas_of_one_gpu_share_machines_of_eight() -> None:
    pool = NodePool(60.0, per_node=8, gpus=8, price=32.0)
    fleet = ran(made(open_load(1, seconds=100), replicas=Range(10, 10), pool=pool))
    assert len(fleet.nodes.all) == 2
    assert sorted(one.used for one in fleet.nodes.all) == [2, 8]
    use = use_of(fleet)
    assert use.gpu_hours == pytest.approx(2 * 8 * fleet.now / 3600)
    assert use.cost == pytest.approx(2 * 32 * fleet.now / 3600)


def test_a_replica_of_two_machines_takes_both() -> None:
    nodes = Nodes(NodePool(10.0, nodes=2, most=3))
    first = nodes.take(0.0)
    assert first is not None
    assert len(first) == 2
    assert nodes.take(1.0) is None  # one is left of the quota
    nodes.give_back(first, 2.0)
    assert nodes.take(3.0) == first


def test_an_empty_machine_is_paid_for_until_it_goes_and_no_longer() -> None:
    nodes = Nodes(NodePool(30.0, idle=600.0))
    taken = nodes.take(0.0)
    assert taken is not None
    nodes.give_back(taken, 100.0)
    assert nodes.seconds(400.0) == 400.0
    assert nodes.seconds(5000.0) == 700.0  # nobody asked for one in between
    assert nodes.take(5000.0) != taken


def test_a_place_here_costs_nothing_once_its_replica_is_gone() -> None:
    nodes = Nodes(NodePool())
    taken = nodes.take(0.0)
    assert taken is not None
    nodes.give_back(taken, 10.0)
    assert nodes.seconds(100.0) == 10.0


def test_a_machine_that_is_still_warm_spares_the_wait() -> None:
    nodes = Nodes(NodePool(90.0, idle=600.0))
    first = nodes.take(0.0)
    assert first is not None
    assert first[0].ready == 90.0
    nodes.give_back(first, 200.0)
    again = nodes.take(300.0)
    assert again == first


def grown(**pool: Any) -> Fleet:
    """One replica under load for five; each new one needs a machine."""
    policy = queue_policy(1, 6, target=1)
    load = open_load(6.0, seconds=600, prompts=Synthetic(fixed(10), fixed(40)))
    limits = replace(ROOMY, max_num_seqs=8)
    return ran(
        Scenario(limits, SLOW, load, Range(1, 6), policy, starting=STARTING, pool=NodePool(60.0, **pool))
    )


def test_a_new_replica_is_ready_after_its_machine_and_its_phases() -> None:
    fleet = grown(idle=0.0)
    later = [pod for pod in fleet.pods if pod.asked > 0 and pod.ready_at is not None]
    assert len(later) == 5
    for pod in later:
        assert pod.ready_at == pytest.approx(pod.asked + 60 + 30)


def test_a_quota_keeps_replicas_pending() -> None:
    fleet = grown(most=2)
    assert max(count for _, count in fleet.counts) > 2
    assert len(fleet.nodes.all) == 2
    assert sum(pod.phase == "Ready" for pod in fleet.pods) == 2


def test_a_quota_holds_for_those_at_the_beginning_too() -> None:
    fleet = ran(made(open_load(1, seconds=50), replicas=Range(3, 3), pool=NodePool(60.0, most=2)))
    assert sum(pod.phase == "Ready" for pod in fleet.pods) == 2
    assert sum(pod.phase == "Pending" for pod in fleet.pods) == 1
    nobody = ran(made(open_load(1, seconds=50), pool=NodePool(60.0, most=0), queue_timeout=5.0))
    assert books(nobody)["failed"] == len(nobody.requests) > 0


def test_nothing_is_had_while_machines_are_out_of_stock() -> None:
    begin, end = 10.0, 300.0
    fleet = grown(stock_outs=((begin, end),))
    later = [pod for pod in fleet.pods if pod.asked > 0]
    assert all(pod.ready_at is not None and pod.ready_at >= end + 60 + 30 for pod in later)
    assert all(one.asked == 0 or one.asked >= end for one in fleet.nodes.all)


def test_a_cold_fleet_starts_its_replicas() -> None:
    fleet = ran(made(trace((0.0, 10, 5)), starting=STARTING, cold=True, queue_timeout=60.0))
    assert fleet.requests[0].ttft == pytest.approx(30.1)
    warm = ran(made(trace((0.0, 10, 5)), starting=STARTING, queue_timeout=60.0))
    assert warm.requests[0].ttft == pytest.approx(0.1)


def test_who_waits_too_long_gets_503() -> None:
    fleet = ran(made(trace((0.0, 10, 5), (29.0, 10, 5)), starting=STARTING, cold=True, queue_timeout=10.0))
    first, last = fleet.requests
    assert (first.failed, first.last_at) == ("status", 10.0)
    assert last.failed is None


# deaths and drains


def test_a_death_costs_what_had_shown_something_and_the_rest_is_sent_again() -> None:
    rows = [(0.0, 10, 100), (0.05, 10, 100), (4.98, 10, 20)]
    fleet = ran(
        made(trace(*rows), replicas=Range(2, 2), failures=Failures((5.0,)), starting=STARTING), seed=1
    )
    assert fleet.deaths == 1
    kinds = [one.failed for one in fleet.requests]
    assert kinds.count("stream-error") == 1
    again = [one for one in fleet.requests if one.tries == 2]
    assert len(again) <= 1
    assert all(one.failed is None for one in again)
    broken = next(one for one in fleet.requests if one.failed)
    assert 45 <= broken.written <= 50  # a token each tenth of a second until then


def test_a_service_sends_nothing_again() -> None:
    rows = [(4.95, 10, 100), (4.96, 10, 100)]
    more: dict[str, Any] = {"failures": Failures((5.0,)), "starting": STARTING}
    kept = ran(made(trace(*rows), **more))
    assert [one.failed for one in kept.requests] == [None, None]
    assert [one.tries for one in kept.requests] == [2, 2]
    lost = ran(made(trace(*rows), queue_timeout=0.0, routing="random", **more))
    assert [one.failed for one in lost.requests] == ["cut", "cut"]


def test_a_dead_replica_is_back_after_the_phases_of_its_container() -> None:
    fleet = ran(made(closed_load(4, seconds=60), failures=Failures((20.0,)), starting=STARTING))
    pod = fleet.pods[0]
    assert pod.lives == 2
    assert pod.ready_at == pytest.approx(30.0)
    at_once = ran(made(closed_load(4, seconds=60), failures=Failures((20.0,))))
    assert at_once.pods[0].lives == 2
    assert books(at_once)["answered"] > 0


def test_deaths_by_rate_are_about_as_many() -> None:
    load = open_load(0.2, seconds=20_000, prompts=Synthetic(fixed(10), fixed(5)))
    fleet = ran(made(load, replicas=Range(4, 4), failures=Failures(every=1000.0), starting=STARTING))
    assert fleet.deaths == pytest.approx(80, abs=4 * 80**0.5)


def drained(drain: float) -> Fleet:
    """Two replicas, of which one goes in the middle of a long answer."""
    fleet = Fleet(made(trace((0.0, 10, 300), (0.0, 10, 300)), replicas=Range(2, 2), drain=drain))
    fleet.clock.at(10.0, lambda now: fleet.scale(1, now))
    fleet.run()
    return fleet


def test_who_drains_finishes_and_who_is_cut_does_not() -> None:
    whole = drained(60.0)
    assert [one.failed for one in whole.requests] == [None, None]
    assert whole.gone[0].gone_at == pytest.approx(30.0)
    cut = drained(5.0)
    assert sorted(str(one.failed) for one in cut.requests) == ["None", "stream-error"]
    assert cut.gone[0].gone_at == 15.0
    assert next(one for one in cut.requests if one.failed).written == 150
    assert cut.gone[0].busy == pytest.approx(15.0, abs=0.2)


def test_a_prompt_as_long_as_the_context_is_refused() -> None:
    fleet = ran(made(trace((0.0, 5000, 5), (1.0, 10, 5))))
    assert [one.failed for one in fleet.requests] == ["status", None]


def test_turns_come_after_the_answer_and_the_pause() -> None:
    talk = Synthetic(fixed(50), fixed(10), turns=fixed(3), think=7.0)
    profile = EngineProfile(0.1, overhead=0.4)
    fleet = ran(made(open_load(0.1, limit=3, prompts=talk), profile=profile))
    assert len(fleet.requests) == 9
    talks: dict[int, list[Request]] = {}
    for one in fleet.requests:
        talks.setdefault(one.session, []).append(one)
    for first, second, third in talks.values():
        assert first.last_at is not None
        assert second.due == pytest.approx(first.last_at + 7)
        assert second.prompt == first.prompt + 10 + 50
        assert third.prompt == second.prompt + 10 + 50
        assert third.cached >= (second.prompt // 16 - 1) * 16


# two runs


def figures(seed: int, scenario: Scenario) -> list[Any]:
    fleet = ran(scenario, seed)
    return [
        (one.due, one.first, one.last_at, one.replica, one.failed) for one in fleet.requests
    ] + fleet.counts


EVERYTHING: dict[str, Any] = {
    "replicas": Range(2, 5),
    "policy": queue_policy(2, 5),
    "failures": Failures((12.0,), 60.0),
    "starting": STARTING,
    "profile": USUAL,
}


@pytest.mark.parametrize("routing", ["in-flight", "random", "queue"])
def test_a_seed_says_everything(routing: str) -> None:
    prompts = replace(SOME, prefixes=3, prefix=64)
    one = made(waves(2, 30, 10, 2, prompts), routing=routing, **EVERYTHING)
    assert figures(1, one) == figures(1, one)
    assert figures(1, one) != figures(2, one)


@pytest.mark.parametrize("seed", range(3))
def test_more_replicas_never_answer_later(seed: int) -> None:
    """Under slack load, the first token comes no later with more replicas."""
    load = open_load(6.0, seconds=200, seed=seed, prompts=SOME)
    ttfts = []
    for count in (1, 2, 4, 8):
        fleet = ran(made(load, replicas=Range(count, count), profile=USUAL))
        ttfts.append(fmean(one.ttft or 0 for one in fleet.requests))
    assert all(after <= before + 1e-3 for before, after in itertools.pairwise(ttfts)), ttfts


@pytest.mark.parametrize("seed", range(3))
def test_a_faster_engine_ends_nobody_later(seed: int) -> None:
    """One at a time, first come first served: nobody can be overtaken."""
    load = open_load(0.2, seconds=200, seed=seed, prompts=SOME)
    alone = replace(ROOMY, max_num_seqs=1)
    slow, fast = (
        ran(Scenario(alone, profile, load)).requests
        for profile in (EngineProfile(0.02, 1e-4, 1e-4, 1e-6), EngineProfile(0.015, 1e-4, 5e-5, 1e-6))
    )
    ends = [(one.last_at or 0, other.last_at or 0) for one, other in zip(slow, fast, strict=True)]
    assert all(after <= before + 1e-9 for before, after in ends)


def test_a_higher_price_costs_as_much_more() -> None:
    load = open_load(2.0, seconds=100, prompts=SOME)
    cheap, dear = (
        simulate(made(load, pool=NodePool(60.0, gpus=1, price=price), profile=USUAL)) for price in (1.0, 2.5)
    )
    assert cheap.use.cost is not None
    assert dear.use.cost == pytest.approx(2.5 * cheap.use.cost)
    assert dear.dollars_a_million == pytest.approx(2.5 * (cheap.dollars_a_million or 0))
    assert dear.figures["ttft_p50"] == cheap.figures["ttft_p50"]


def test_without_a_price_there_is_no_cost() -> None:
    found = simulate(made(open_load(2.0, seconds=20, prompts=SOME), profile=USUAL))
    assert (found.use.cost, found.dollars_a_million) == (None, None)
    assert "cost" not in found.figures


def test_more_seeds_tell_how_sure_a_figure_is() -> None:
    found = simulate(made(open_load(2.0, seconds=60, prompts=SOME), profile=USUAL), seeds=4)
    one = found.figures["e2e_p50"]
    assert found.seeds == 4
    assert one.low < one.mean < one.high


# clients that give up


def test_who_waits_too_long_leaves_and_its_place_is_free_again() -> None:
    one_place = replace(ROOMY, max_num_seqs=1)
    crowd = trace(*((0.01 * n, 16, 10) for n in range(6)))
    scenario = replace(made(crowd), limits=one_place, timeout=2.5)
    fleet = ran(scenario, look=balanced)
    # a token each 0.1 s, ten of them, one after another: two are answered whole, the third is cut
    assert [one.failed for one in fleet.requests] == [None, None, *["timeout"] * 4]
    for one in fleet.requests[2:]:
        assert one.last_at == pytest.approx(one.due + 2.5)
    (pod,) = fleet.pods
    assert pod.engine is not None
    assert not pod.running
    state = pod.engine.state
    assert {*state.running, *state.waiting} <= {*fleet.requests[2:]}, "who is still there is on the way out"
    assert fleet.open == 0


def test_a_user_who_has_given_up_asks_again() -> None:
    one_place = replace(ROOMY, max_num_seqs=1)
    load = closed_load(3, seconds=60, prompts=Synthetic(fixed(16), fixed(10)))
    fleet = ran(replace(made(load), limits=one_place, timeout=2.5), look=balanced)
    failed = [one for one in fleet.requests if one.failed == "timeout"]
    answered = [one for one in fleet.requests if one.failed is None]
    # who comes next begins so late that most give up just before their end: a queue's usual collapse
    assert len(failed) > 40
    assert len(answered) >= 2
    assert all(one.last_at is not None and one.last_at - one.due <= 2.5 + 0.11 for one in fleet.requests)


def test_who_has_given_up_is_not_sent_again_when_its_replica_dies() -> None:
    scenario = replace(
        made(trace((0.0, 16, 100)), failures=Failures(at=(3.0,)), starting=STARTING), timeout=2.0
    )
    fleet = ran(scenario, look=balanced)
    assert [one.failed for one in fleet.requests] == ["timeout"]


def test_patience_is_nothing_where_answers_come() -> None:
    load = open_load(1, seconds=200)
    without, with_it = (ran(replace(made(load), timeout=timeout)) for timeout in (math.inf, 60.0))
    assert [one.last_at for one in without.requests] == [one.last_at for one in with_it.requests]


def test_an_api_process_takes_longer_for_who_comes_while_it_sends() -> None:
    load = trace((0.0, 16, 50), (2.05, 16, 5))
    plain = ran(made(load, profile=EngineProfile(0.1, overhead=0.01))).requests
    busy = ran(made(load, profile=EngineProfile(0.1, overhead=0.01, api_wait=0.03))).requests
    assert busy[0].first == plain[0].first
    assert busy[1].first == pytest.approx((plain[1].first or 0.0) + 0.03)
    assert busy[1].last_at == pytest.approx((plain[1].last_at or 0.0) + 0.03)
