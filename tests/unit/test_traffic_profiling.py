"""A profile is found again in the tokens of an engine that has it."""

from array import array
from random import Random

import pytest

from stoker.engine.profile import EngineProfile, from_json, to_json
from stoker.engine.scheduler import SchedulerLimits, Sequence, State, commit, step
from stoker.traffic.gaps import gaps
from stoker.traffic.profiling import LEAST, fitted
from stoker.traffic.records import RequestRecord

TRUE = EngineProfile(0.010, 0.00003, 0.0002, 2e-8, 0.004)


def run(profile: EngineProfile, seed: int = 1, count: int = 120, noise: float = 0.0) -> list[RequestRecord]:
    """Records of requests to an engine that takes exactly as long as the profile says, on a virtual clock."""
    random = Random(seed)
    state = State(SchedulerLimits(20_000, 16_384, max_num_seqs=256, enable_prefix_caching=False))
    arrivals = []
    at = 0.0
    for number in range(count):
        at += random.expovariate(12)
        arrivals.append(
            (at, Sequence(str(number), random.randint(50, 1500), random.randint(20, 120), arrival=at))
        )
    times: dict[Sequence, array[float]] = {one: array("d") for _, one in arrivals}
    now, coming = 0.0, list(arrivals)
    while coming or state.unfinished:
        while coming and coming[0][0] <= now:
            state.add(coming.pop(0)[1])
        batch = step(state)
        if not batch:
            now = coming[0][0]
            continue
        now += profile.of(batch) * random.uniform(1 - noise, 1 + noise)
        commit(state, batch)
        for one in batch.sampled:
            times[one].append(now + profile.overhead)
    return [
        RequestRecord(n, due, due, due, times[one], None, times[one][-1], one.prompt, len(times[one]))
        for n, (due, one) in enumerate(arrivals)
    ]


def test_a_profile_is_found_again() -> None:
    found = fitted(run(TRUE))
    assert found is not None
    assert found.base == pytest.approx(TRUE.base, rel=0.1)
    assert found.prefill_token == pytest.approx(TRUE.prefill_token, rel=0.1)
    assert found.sequence == pytest.approx(TRUE.sequence, rel=0.25)
    assert found.overhead == pytest.approx(TRUE.overhead, abs=0.004)
    assert found.error is not None
    assert found.error < 0.03


def test_noise_shows_as_error_and_moves_the_profile_little() -> None:
    found = fitted(run(TRUE, noise=0.2))
    assert found is not None
    assert found.base == pytest.approx(TRUE.base, rel=0.25)
    assert found.error is not None
    assert 0.05 < found.error < 0.2


def test_it_predicts_another_load_than_the_one_it_was_fitted_to() -> None:
    found = fitted(run(TRUE))
    assert found is not None
    for prefill, sequences, kv in ((0, 1, 500), (0, 60, 50_000), (2000, 10, 5000)):
        assert found.seconds(prefill, sequences, kv) == pytest.approx(
            TRUE.seconds(prefill, sequences, kv), rel=0.1
        )


def test_too_few_tokens_tell_nothing() -> None:
    few = run(TRUE, count=1)
    assert len(gaps(few)) < LEAST
    assert fitted(few) is None


def test_profiles_go_out_and_back() -> None:
    assert from_json(to_json(TRUE)) == TRUE


@pytest.mark.parametrize(
    "raw",
    [{}, {"base": "x"}, {"base": -1}, {"base": 0.01, "speed": 1}, {"base": True}, {"base": float("nan")}],
)
def test_what_is_no_profile(raw: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="profile"):
        from_json(raw)
