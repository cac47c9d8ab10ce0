"""What is said of a run: each condition by its rule."""

from dataclasses import replace

import pytest

from stoker.traffic import verdict
from stoker.traffic.measures import Spread, Summary, Window
from stoker.traffic.run import GeneratorUse, ServerSide

GOOD = Summary(
    Window(0, 60),
    requests=600,
    offered=10,
    completed=10,
    e2e=Spread(600, 1, 0, 1, 1, 1, 1, 1, 1),
    e2e_sent=Spread(600, 1),
    ttft_sent=Spread(600, 0.1),
    itl=Spread(6000, 0.01),
    lag=Spread(600, p99=0.001),
)
USE = GeneratorUse(1, 0.5)


def rules(
    summary: Summary, use: GeneratorUse = USE, server: ServerSide | None = None, *, open_loop: bool = True
) -> list[str]:
    found = [
        *verdict.validity(summary, use, open_loop=open_loop),
        *verdict.lengths(summary),
        *verdict.load(summary, open_loop=open_loop),
        *verdict.agreement(summary, server or ServerSide()),
    ]
    assert all(one.why for one in found)
    return [f"{one.rule} {one.severity}" for one in found]


def test_of_a_good_run_there_is_nothing_to_say() -> None:
    assert rules(GOOD) == []


LATE = Spread(600, p99=0.006)


@pytest.mark.parametrize(
    ("summary", "use", "said"),
    [
        (replace(GOOD, lag=LATE), USE, ["bench-lag error"]),
        (GOOD, GeneratorUse(1, 0.95), ["bench-client-busy warning"]),
        (replace(GOOD, lag=LATE), GeneratorUse(1, 0.95), ["bench-lag error", "bench-client-busy error"]),
        (replace(GOOD, requests=0, e2e=Spread()), USE, ["bench-empty error"]),
        (replace(GOOD, requests=99), USE, ["bench-few note"]),
        (replace(GOOD, mismatched=3), USE, ["bench-lengths warning"]),
        (replace(GOOD, failed=3, errors={"cut": 3}), USE, ["bench-failed warning"]),
        (replace(GOOD, completed=8.9), USE, ["bench-saturated warning"]),
        (replace(GOOD, window=Window(0, 2)), USE, ["bench-short note"]),
    ],
)
def test_each_condition_by_its_rule(summary: Summary, use: GeneratorUse, said: list[str]) -> None:
    assert rules(summary, use) == said


def test_a_closed_loop_is_never_late_nor_saturated() -> None:
    assert rules(replace(GOOD, lag=LATE, completed=5), open_loop=False) == []


def server(name: str, mean: float, count: float = 600) -> ServerSide:
    return ServerSide(latencies={name: {"mean": mean, "count": count}})


def test_client_and_server_may_differ_a_little() -> None:
    assert rules(GOOD, server=server("ttft", 0.104)) == []
    assert rules(GOOD, server=server("ttft", 0.09)) == ["bench-disagreement note"]
    assert rules(GOOD, server=server("itl", 0.02)) == ["bench-disagreement note"]


def test_other_requests_than_ours_are_not_compared() -> None:
    assert rules(GOOD, server=server("ttft", 0.05, 2000)) == []
