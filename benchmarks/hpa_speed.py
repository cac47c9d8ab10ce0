"""How many decisions a minute one core makes."""

import time

from stoker.autoscale.hpa import History, decide
from stoker.autoscale.policy import Metric, Policy, Rate, Rules
from stoker.autoscale.seen import Figures, Pod, Scale

ROUNDS, SYNC = 100_000, 15.0
POLICY = Policy(
    1,
    20,
    (Metric("Pods", "vllm:num_requests_waiting", 5000), Metric("Pods", "vllm:num_requests_running", 32000)),
    Rules(0, (Rate("Pods", 4, 15), Rate("Percent", 100, 15))),
    Rules(300, (Rate("Pods", 1, 60),)),
)


def speed() -> int:
    """Prints it. Always 0."""
    history, count, now = History(), 1, 0.0
    pods = tuple(Pod(f"pod-{number}") for number in range(20))
    figures: list[list[Figures]] = [
        [{pod.name: load * 1000 for pod in pods}, {pod.name: 9000 for pod in pods}] for load in range(12)
    ]
    began = time.process_time()
    moved = 0
    for sync in range(ROUNDS):
        now += SYNC
        seen = [{pod.name: one[pod.name] for pod in pods[:count]} for one in figures[sync // 40 % 12]]  # type: ignore[index]
        decision = decide(POLICY, Scale(count, count, pods[:count]), seen, history, now)
        moved += decision.wanted != count
        history, count = decision.history, decision.wanted
    seconds = time.process_time() - began
    each = f"{ROUNDS:,} decisions, {moved:,} changes, {1e6 * seconds / ROUNDS:.0f} us each"
    print(
        f"{60 * ROUNDS / seconds / 1e6:.2f} million decisions a minute on one core: two metrics of 1 to 20 "
        f"pods, windows of 300 s ({each}; a million is asked)"
    )
    return 0
