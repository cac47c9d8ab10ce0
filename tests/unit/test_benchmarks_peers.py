"""The measuring of load generators: what is true of a log, how late streams came, how a rate is searched."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.generators import holds, search
from benchmarks.peers import aiperf, guidellm, locust, stoker, vllm_bench
from benchmarks.peers.everyone import EVERYONE, Seen
from benchmarks.peers.install import PINNED
from benchmarks.peers.load import Load, Result, percentile
from benchmarks.peers.tree import PeerFailed, between
from benchmarks.truth import error, truth
from tests.support.known_stream import Timing, Told

SAID = Result(4, 0, 0.1, 0.2, 0.02, 0.03, 0.02, 10.0, 160.0, None, 1.0, 5.0)
LOAD = Load(10.0, 0.4)


def told(number: int, arrived: float, *events: tuple[float, str, int], broken: str | None = None) -> Told:
    tokens = sum(count for _, _, count in events)
    return Told(number, "/v1/chat/completions", arrived, {}, 3, tokens, broken, list(events), ended=True)


def seen(*arrived: float, load: Load = LOAD, said: Result = SAID) -> Seen:
    return Seen(load, Timing(), said, [told(n, at) for n, at in enumerate(arrived)], 0.1)


def test_the_truth_is_the_first_content_not_the_role_and_each_token_of_an_event_counts() -> None:
    one = told(0, 5.0, (5.1, "role", 0), (5.2, "content", 1), (5.5, "content", 2), (6.0, "content", 1))
    firsts, gaps = truth([one, told(1, 6.0, (6.5, "content", 1), broken="early")], means=False)
    assert firsts == [pytest.approx(0.2)]
    assert gaps == pytest.approx([0.3, 0.0, 0.5])
    assert truth([one], means=True)[1] == [pytest.approx(0.8 / 3)]


def test_an_error_is_said_minus_true_in_milliseconds() -> None:
    assert error(0.203, [0.1, 0.2, 0.3], 0.5) == "  +3.00"
    assert error(None, [0.1], 0.5).strip() == "-"


def test_lags_count_from_the_most_punctual_stream() -> None:
    assert seen(1.0, 1.1, 1.25, 1.3).lags == pytest.approx([0.0, 0.0, 0.05, 0.0])
    assert seen(1.5, 1.6, 1.7, 1.8).rate == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("arrived", "held"),
    [
        ((0.0, 0.1, 0.2, 0.3), True),
        ((0.0, 0.1, 0.206, 0.3), False),
        ((0.0, 0.1, 0.2), False),
        ((0.0, 0.12, 0.24, 0.36), False),
    ],
)
def test_a_rate_is_held_by_all_streams_on_time(arrived: tuple[float, ...], held: bool) -> None:
    assert holds(seen(*arrived)) is held


def test_a_stream_that_fails_or_is_left_holds_nothing() -> None:
    failed = replace(SAID, completed=3, failed=1)
    assert not holds(seen(0.0, 0.1, 0.2, 0.3, said=failed))
    one = seen(0.0, 0.1, 0.2, 0.3)
    one.told[2].left = True
    assert not holds(one)


def under(limit: float, tried: list[float]) -> Callable[[float], bool]:
    def held(rate: float) -> bool:
        tried.append(rate)
        return rate <= limit

    return held


@pytest.mark.parametrize("limit", [13.0, 100.0, 333.0, 5000.0])
def test_a_search_ends_close_to_the_limit(limit: float) -> None:
    tried: list[float] = []
    low, high = search(100.0, under(limit, tried), budget=60.0)
    assert high is not None
    assert low <= limit < high < low * 1.15
    assert len(tried) <= 12


def test_a_search_without_time_or_answer_tries_no_more() -> None:
    tried: list[float] = []
    assert search(100.0, under(1e9, tried), budget=0.0) == (0.0, None)
    assert tried == []
    assert search(100.0, lambda _: None, budget=60.0) == (0.0, None)


def test_percentiles_are_interpolated() -> None:
    assert percentile([3.0, 1.0, 2.0, 4.0], 0.5) == 2.5
    assert percentile([1.0], 0.99) == 1.0
    assert percentile([0.0, 100.0], 0.99) == pytest.approx(99.0)


def test_a_closed_loop_has_users_enough_for_its_rate() -> None:
    assert locust.users(Load(50.0, 6.0, answer=2.0)) == 100
    assert locust.users(Load(0.1, 6.0, answer=2.0)) == 1


def test_everyone_is_asked_for_the_same_rate_and_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (vllm_bench, guidellm, aiperf, locust):
        monkeypatch.setattr(module, "program", Path)
    load, here = Load(50.0, 6.0, prompt=77, output=88), Path("x")
    commands = [
        vllm_bench.argv("http://a", "m", load, "t", here),
        guidellm.argv("http://a", "m", load, "t", here),
        aiperf.argv("http://a", "m", load, "t", here),
        stoker.argv("http://a", "m", load, here),
    ]
    for command in commands:
        assert all(text in " ".join(command) for text in ("http://a", "77", "88", "50.0"))
        assert "300" in " ".join(command) or "6.0" in " ".join(command)


def test_every_peer_is_pinned() -> None:
    assert set(PINNED) == set(EVERYONE) - {"stoker", "vllm"}
    assert all("==" in word for choice in PINNED.values() for words in choice for word in words)


def test_settings_of_the_known_server_go_through_its_command_line() -> None:
    assert json.loads(Timing(broken_how=("lost",)).to_json())["broken_how"] == ["lost"]


def test_stokers_figures_are_found_among_its_progress() -> None:
    said = '  ...   bench       1s of 2s\n{\n  "a": {"b": 1}\n}\n  kept in  {x}\n'
    assert stoker.document(said) == {"a": {"b": 1}}
    assert stoker.document('{"a": 1}\nmore') == {"a": 1}
    with pytest.raises(PeerFailed, match="no figures"):
        stoker.document("error: it does not answer")


def test_cpu_time_is_taken_between_two_moments() -> None:
    looks = ((0.0, 0.0), (1.0, 4.0), (2.0, 4.0), (4.0, 5.0))
    assert between(looks, 0.5, 3.0) == pytest.approx(2.5)
    assert between(looks, -1.0, 9.0) == pytest.approx(5.0)


def test_a_streams_cost_leaves_out_start_and_end() -> None:
    one = Seen(
        LOAD,
        Timing(),
        replace(SAID, looks=((0.0, 0.0), (10.0, 8.0), (12.0, 9.0), (20.0, 20.0))),
        [told(0, 10.0, (11.0, "content", 1)), told(1, 11.0, (12.0, "content", 1))],
        0.1,
    )
    assert one.cost == pytest.approx(0.5)
