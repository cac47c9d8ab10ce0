"""What the HPA's oracle is made of: Go's numbers, quantities, rates; and the random sequences it answers."""

import json

import pytest
from benchmarks.hpa_oracle.golang import (
    MIN_INT32,
    MIN_INT64,
    divided,
    float_to_int32,
    float_to_int64,
    int32,
    microseconds,
    quotient,
)
from benchmarks.hpa_oracle.history import History
from benchmarks.hpa_oracle.limits import down_limit, up_limit
from benchmarks.hpa_oracle.quantities import approximate_float, milli_value, write_milli, write_milli_bytes
from benchmarks.hpa_oracle.random import sequence, sequences
from benchmarks.hpa_oracle.recorded import replay


def test_percent_are_floats() -> None:
    """50 * 1.1 is 55.00000000000001, and 20 * (1 - 0.9) is 1.9999999999999996."""
    tenth, most = (
        {"policies": [{"type": "Percent", "value": value, "periodSeconds": 15}]} for value in (10, 90)
    )
    assert up_limit(50, tenth, History(), 0) == 56
    assert down_limit(20, most, History(), 0) == 1


def test_an_outdated_change_is_overwritten_and_others_stay() -> None:
    """Where periods grow, changes that were outdated and kept count again."""
    short = {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 5}]}}
    history = History()
    for seconds, replicas in ((0, 1), (1, 2), (10, 3)):
        history.changed(short, replicas, replicas + 1, seconds * 1_000_000)
    assert [one.at for one in history.added] == [0, 10_000_000]
    assert history.at_start(9, 60, 11_000_000) == 7
    history.changed({"scaleUp": {"policies": [{"periodSeconds": 60}]}}, 4, 9, 12_000_000)
    assert [one.at for one in history.added] == [12_000_000, 10_000_000]


@pytest.mark.parametrize(
    ("text", "milli"),
    [
        ("1", 1000),
        ("1500m", 1500),
        ("0.0001", 1),
        ("-0.0001", -1),
        ("1Ki", 1_024_000),
        ("1.5Gi", 1_610_612_736_000),
        ("1e3", 1_000_000),
        ("1u", 1),
        ("3E", 3 * 10**21 - 163 * 2**64),
        ("-1234567890.123456789", -1_234_567_890_122),
    ],
)
def test_milli_values(text: str, milli: int) -> None:
    assert milli_value(text) == milli


def test_quantities_are_written_as_the_api_does() -> None:
    pairs = {
        11_000: "11",
        5_500: "5500m",
        0: "0",
        10**9: "1M",
        -10: "-10m",
        12_000_000: "12k",
        1_200_000: "1200",
    }
    assert {milli: write_milli(milli) for milli in pairs} == pairs
    sizes = {
        2**27 * 1000: "128Mi",
        1000 * 1000: "1k",
        1500 * 1000: "1500",
        1024 * 1000: "1Ki",
        2**20 * 1000 + 1: "1048576001m",
    }
    assert {milli: write_milli_bytes(milli) for milli in sizes} == sizes
    assert [approximate_float(text) for text in ("50m", "0.3", "1", "0")] == [0.05, 0.3, 1.0, 0.0]


def test_numbers_are_those_of_go() -> None:
    assert [quotient(*pair) for pair in ((-7, 2), (7, -2), (-8, 2))] == [-3, -3, -4]
    assert [int32(number) for number in (2**31, -(2**31) - 1, 5)] == [MIN_INT32, 2**31 - 1, 5]
    assert [float_to_int32(number) for number in (2.0**31, -1.9, divided(0, 0))] == [MIN_INT32, -1, MIN_INT32]
    assert [float_to_int64(number) for number in (divided(1, 0), 2.0**62)] == [MIN_INT64, 2**62]
    assert [microseconds(text) for text in ("5m0s", "1m30s", "1.5s", "500ms")] == [
        300_000_000,
        90_000_000,
        1_500_000,
        500_000,
    ]


def test_random_sequences_are_what_their_seed_says() -> None:
    assert json.dumps(sequence("random-3-1")) == json.dumps(list(sequences(2, 3))[1])
    assert sequence("random-3-1") != sequence("random-4-1")


def test_random_sequences_replay_as_they_were() -> None:
    some = [json.loads(json.dumps(one)) for one in sequences(60, 5)]
    assert [one["id"] for one in some if replay(one)] == []
    syncs = [sync for one in some for sync in one["syncs"]]
    kinds = {metric["type"] for one in some for metric in one["hpa_spec"]["metrics"]}
    assert kinds == {"Pods", "External", "Object", "Resource", "ContainerResource"}
    assert {sync["fetched"] for sync in syncs} == {True, False}
    assert {key for sync in syncs for key in sync} >= {"rivals", "hpa_spec", "rescale_reason"}
    assert {pod["phase"] for sync in syncs for pod in sync["pods"]} >= {
        "Pending",
        "Running",
        "Failed",
        "Succeeded",
    }
