"""Laws of the autoscaler, whatever it is told."""

from hypothesis import given
from hypothesis import strategies as st

from stoker.autoscale import History, Metric, Pod, Policy, Rate, Rules, Scale, decide
from stoker.autoscale.policy import Select

rates = st.builds(Rate, st.sampled_from(["Pods", "Percent"]), st.integers(1, 200), st.integers(1, 120))
rules = st.builds(
    Rules,
    st.integers(0, 120),
    st.lists(rates, min_size=1, max_size=3).map(tuple),
    st.sampled_from(["Max", "Min", "Disabled"]),
    st.none() | st.floats(0, 0.5),
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    low = draw(st.integers(1, 10))
    high = low + draw(st.integers(0, 20))
    metrics = tuple(
        Metric("Pods", f"m{n}", draw(st.integers(1, 50_000))) for n in range(draw(st.integers(1, 2)))
    )
    both = draw(st.booleans())
    return Policy(low, high, metrics, draw(rules) if both else None, draw(rules) if both else None)


loads = st.lists(st.integers(0, 200_000), min_size=1, max_size=25)


def run(policy: Policy, load: list[int], count: int) -> list[tuple[int, int, bool]]:
    """(before, after, whether figures were looked at) of each sync, 15 s apart."""
    history, found = History(), []
    for sync, value in enumerate(load):
        pods = tuple(Pod(f"p{n}") for n in range(count))
        told = [{pod.name: value for pod in pods} for _ in policy.metrics]
        decision = decide(policy, Scale(count, count, pods), told, history, 15.0 * sync)
        found.append((count, decision.wanted, decision.proposals is not None))
        history, count = decision.history, decision.wanted
    return found


@given(policies(), loads, st.integers(1, 30))
def test_never_outside_its_bounds(policy: Policy, load: list[int], count: int) -> None:
    for before, after, _ in run(policy, load, count):
        assert policy.low <= after <= policy.high or after == before


@given(policies(), loads)
def test_never_faster_than_its_rates(policy: Policy, load: list[int]) -> None:
    found = run(policy, load, policy.low)
    if policy.up is None or policy.up.select == "Disabled":
        return
    for start in range(len(found)):
        for end in range(start, len(found)):
            spent = 15.0 * (end - start)
            at_once = [one for one in policy.up.rates if one.period > spent]
            if len(at_once) < len(policy.up.rates) or not all(used for *_, used in found[start : end + 1]):
                continue
            if any(after < before for before, after, _ in found[: end + 1]):
                continue  # what was taken away, before the window too, may come back
            began = found[start][0]
            most = [
                began + one.value if one.kind == "Pods" else began * (1 + one.value / 100) + 1
                for one in policy.up.rates
            ]
            allowed = min(most) if policy.up.select == "Min" else max(most)
            assert found[end][1] <= max(allowed, began)


@given(policies(), st.integers(1, 30), st.integers(0, 40))
def test_nothing_moves_within_the_tolerance(policy: Policy, count: int, share: int) -> None:
    if not policy.low <= count <= policy.high or len(policy.metrics) > 1:
        return
    up = policy.up.tolerance if policy.up and policy.up.tolerance is not None else 0.1
    target = policy.metrics[0].target
    value = target + int(target * up * share / 41)
    assert run(policy, [value], count)[0][1] == count


@given(policies(), st.integers(0, 100_000), st.integers(0, 100_000))
def test_more_load_never_asks_for_fewer(policy: Policy, one: int, other: int) -> None:
    less, more = sorted((one, other))
    assert run(policy, [less], policy.low)[0][1] <= run(policy, [more], policy.low)[0][1]


@given(policies(), loads)
def test_disabled_is_disabled(policy: Policy, load: list[int]) -> None:
    off: Select = "Disabled"
    still = Policy(
        policy.low,
        policy.high,
        policy.metrics,
        Rules(0, (Rate("Pods", 1, 15),), off),
        Rules(0, (Rate("Pods", 1, 15),), off),
    )
    assert {after for _, after, _ in run(still, load, policy.low)} == {policy.low}
