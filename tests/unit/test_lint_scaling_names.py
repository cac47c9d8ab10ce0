"""`stoker lint` on what scales: metric names, as each back-end serves them.

Each variant of a rule on files that have it, and on ones that nearly do.
"""

import pytest
from tests.support.scalers import (
    CACHE,
    ENGINE,
    GMP,
    OLD,
    OTHER,
    RUNNING,
    WAITING,
    Body,
    Case,
    agent,
    check,
    hpa,
    ids,
    keda,
    pods,
    recording,
    rules,
)

CASES: list[Case] = [
    (
        "hpa-metric",
        "kind",
        [ENGINE, hpa(pods(f"{GMP}|{WAITING}|counter"))],
        [ENGINE, hpa(pods(f"{GMP}|{WAITING}|unknown"))],
    ),
    (
        "hpa-metric",
        "kind",
        [ENGINE, hpa(pods(f"{GMP}|vllm:time_to_first_token_seconds|gauge"))],
        [ENGINE, hpa(pods(f"{GMP}|vllm:time_to_first_token_seconds|histogram"))],
    ),
    (
        "hpa-metric",
        "kind",
        [ENGINE, hpa(pods(f"{GMP}|vllm:prompt_tokens|counter"))],
        [ENGINE, hpa(pods(f"{GMP}|vllm:prompt_tokens_total|counter"))],
    ),
    (
        "hpa-metric",
        "no kind",
        [ENGINE, hpa(pods(f"{GMP}|{WAITING}"))],
        [ENGINE, hpa(pods(f"{GMP}|{WAITING}|gauge"))],
    ),
    (
        "hpa-metric",
        "colon",
        [ENGINE, hpa(pods(f"{GMP}|vllm_num_requests_waiting|gauge"))],
        [ENGINE, hpa(pods(f"{GMP}|app_queue|gauge"))],
    ),
    (
        "hpa-metric",
        "slash",
        [ENGINE, hpa(pods(f"{GMP}/{WAITING}/gauge"))],
        [ENGINE, hpa(pods(f"{GMP}|{WAITING}|gauge"))],
    ),
    (
        "hpa-metric",
        "rules",
        [ENGINE, hpa(pods("vllm_num_requests_waiting")), rules("vllm_queue")],
        [ENGINE, hpa(pods("vllm_num_requests_waiting")), rules("vllm_num_requests_waiting")],
    ),
    (
        "hpa-metric",
        "rules",
        [ENGINE, hpa(pods("vllm_num_requests_waiting")), rules("vllm_queue", default=True)],
        [ENGINE, hpa(pods(WAITING)), rules("vllm_queue", default=True)],
    ),
    (
        "hpa-metric",
        "rules",
        [ENGINE, hpa(pods("vllm_num_requests_running")), rules("vllm_queue")],
        [ENGINE, hpa(pods("vllm_num_requests_running")), rules("vllm_$1")],
    ),
    (
        "hpa-metric",
        "made of",
        [ENGINE, hpa(pods("vllm_gpu_cache_usage_perc", "0.8"))],
        [OLD, hpa(pods("vllm_gpu_cache_usage_perc", "0.8"))],
    ),
    (
        "hpa-metric",
        "made of",
        [ENGINE, hpa(pods("vllm_num_requests_swapped"))],
        [ENGINE, hpa(pods("vllm_num_requests_swapped")), rules("vllm_num_requests_swapped")],
    ),
    (
        "hpa-metric",
        "object",
        [ENGINE, hpa(pods("autoscaling.gke.io|y|queue")), agent()],
        [ENGINE, hpa(pods("autoscaling.gke.io|y|queue"))],
    ),
    (
        "hpa-metric",
        "exposed",
        [ENGINE, hpa(pods("autoscaling.gke.io|x|depth")), agent()],
        [ENGINE, hpa(pods("autoscaling.gke.io|x|queue")), agent()],
    ),
    ("hpa-metric", "gauges", [ENGINE, agent("vllm:time_to_first_token_seconds")], [ENGINE, agent(CACHE)]),
    ("hpa-metric", "gauges", [ENGINE, agent("vllm:prompt_tokens_total")], [ENGINE, agent("app_queue")]),
    ("hpa-metric", "page", [ENGINE, agent("vllm_num_requests_waiting")], [ENGINE, agent(WAITING)]),
    (
        "hpa-metric",
        "underscore",
        [ENGINE, keda("sum(vllm_num_requests_waiting)")],
        [ENGINE, keda("sum(vllm_num_requests_waiting)"), recording("vllm_num_requests_waiting")],
    ),
    (
        "hpa-metric",
        "series",
        [ENGINE, keda("sum(rate(vllm:prompt_tokens[1m]))")],
        [ENGINE, keda("sum(rate(vllm:prompt_tokens_total[1m]))")],
    ),
    (
        "hpa-metric",
        "series",
        [ENGINE, keda("sum(vllm:time_to_first_token_seconds)")],
        [
            ENGINE,
            keda(
                "histogram_quantile(0.9, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket[1m])))",
                how="Value",
            ),
        ],
    ),
    (
        "hpa-gpu",
        "memory",
        [ENGINE, hpa(pods(f"{GMP}|DCGM_FI_DEV_FB_USED|gauge"))],
        [OTHER, hpa(pods(f"{GMP}|DCGM_FI_DEV_FB_USED|gauge"))],
    ),
    (
        "hpa-gpu",
        "busy",
        [ENGINE, keda("avg(DCGM_FI_DEV_GPU_UTIL)", "80", how="Value")],
        [keda("avg(DCGM_FI_DEV_GPU_UTIL)", "80", how="Value")],
    ),
    (
        "metric",
        "gone",
        [ENGINE, hpa(pods("vllm:gpu_cache_usage_perc", "0.8"))],
        [OLD, hpa(pods("vllm:gpu_cache_usage_perc", "0.8"))],
    ),
    (
        "metric",
        "gone",
        [ENGINE, keda("sum(vllm:num_requests_swapped)")],
        [ENGINE, keda("sum(vllm:spec_decode_num_drafts_total)")],
    ),
    (
        "metric",
        "unlisted",
        [ENGINE, hpa(pods("vllm:num_request_waiting"))],
        [ENGINE, hpa(pods("vllm:healthy_pods_total"))],
    ),
    ("metric", "unlisted", [ENGINE, agent("vllm:num_request_waiting")], [ENGINE, agent(RUNNING)]),
]


@pytest.mark.parametrize(("rule", "case", "wrong", "right"), CASES, ids=ids(CASES))
def test_a_variant_is_found_where_it_is_and_nowhere_else(
    rule: str, case: str, wrong: list[Body], right: list[Body]
) -> None:
    check(rule, case, wrong, right)
