"""`stoker lint` on what scales: the figure that is compared, and its target.

Each variant of a rule on files that have it, and on ones that nearly do.
"""

import pytest
from tests.support.scalers import (
    CACHE,
    ENGINE,
    GMP,
    OTHER,
    RUNNING,
    TOTAL,
    WAITING,
    Body,
    Case,
    args,
    check,
    cpu,
    external,
    hpa,
    ids,
    keda,
    on,
    pod,
    pods,
    rules,
)

CPU = pod(container={"image": "vllm/vllm-openai-cpu:v0.32.0"})
CASES: list[Case] = [
    ("hpa-resource", "written", [ENGINE, hpa(cpu())], [CPU, hpa(cpu())]),
    ("hpa-resource", "written", [ENGINE, hpa(cpu())], [OTHER, hpa(cpu())]),
    (
        "hpa-resource",
        "written",
        [ENGINE, hpa(metrics=None, targetCPUUtilizationPercentage=50) | {"apiVersion": "autoscaling/v1"}],
        [OTHER, hpa(metrics=None, targetCPUUtilizationPercentage=50) | {"apiVersion": "autoscaling/v1"}],
    ),
    ("hpa-resource", "default", [ENGINE, hpa(metrics=None)], [OTHER, hpa(metrics=None)]),
    (
        "hpa-unreachable",
        "running",
        [pod(container=args("--max-num-seqs", "64")), hpa(pods(RUNNING, "60"))],
        [pod(container=args("--max-num-seqs", "64")), hpa(pods(RUNNING, "58"))],
    ),
    (
        "hpa-unreachable",
        "running",
        [pod(container=args("--max_num_seqs=64")), hpa(pods(RUNNING, "62500m"))],
        [pod(container=args("--max-num-seqs", "$SEQS")), hpa(pods(RUNNING, "62500m"))],
    ),
    (
        "hpa-unreachable",
        "running",
        [
            pod(container=args("--max-num-seqs", "64")),
            hpa(pods(RUNNING, "50"), behavior={"scaleUp": {"tolerance": "300m"}}),
        ],
        [
            pod(container=args("--max-num-seqs", "64")),
            hpa(pods(RUNNING, "60"), behavior={"scaleUp": {"tolerance": 0.05}}),
        ],
    ),
    (
        "hpa-unreachable",
        "running",
        [on("nvidia-l4"), hpa(pods(f"{GMP}|{RUNNING}|gauge", 256))],
        [on("nvidia-h100-80gb"), hpa(pods(f"{GMP}|{RUNNING}|gauge", 256))],
    ),
    (
        "hpa-unreachable",
        "running",
        [on("nvidia-l4"), hpa(pods(RUNNING, 400))],
        [on("nvidia-l4", "--performance-mode", "throughput"), hpa(pods(RUNNING, 400))],
    ),
    (
        "hpa-unreachable",
        "running",
        [
            pod(container=args("--max-num-seqs=64", "--data-parallel-size=2", gpus=2), pod={"hostIPC": True}),
            hpa(pods(RUNNING, 120)),
        ],
        [
            pod(container=args("--max-num-seqs=64", "--data-parallel-size=2", gpus=2), pod={"hostIPC": True}),
            hpa(pods(RUNNING, 100)),
        ],
    ),
    (
        "hpa-unreachable",
        "running",
        [pod(container=args("--max-num-seqs", "64")), keda(f'sum({RUNNING}{{namespace="a"}})', "60")],
        [pod(container=args("--max-num-seqs", "64")), keda(f"sum({RUNNING}) + sum({WAITING})", "60")],
    ),
    (
        "hpa-unreachable",
        "running",
        [pod(container=args("--max-num-seqs", "64")), keda(f"avg({RUNNING})", "60", how="Value")],
        [pod(container=args("--max-num-seqs", "64")), keda(f"avg(2 * {RUNNING})", "60", how="Value")],
    ),
    ("hpa-unreachable", "cache", [ENGINE, hpa(pods(CACHE, "0.95"))], [ENGINE, hpa(pods(CACHE, "900m"))]),
    (
        "hpa-unreachable",
        "cache",
        [ENGINE, keda(f"avg({CACHE})", "0.95", how="Value")],
        [
            pod(container=args("--data-parallel-size=2", gpus=2), pod={"hostIPC": True}),
            keda(f"sum({CACHE})", "0.95"),
        ],
    ),
    ("hpa-unreachable", "percent", [ENGINE, hpa(pods(CACHE, "80"))], [ENGINE, hpa(pods(WAITING, "80"))]),
    (
        "hpa-figure",
        "value",
        [ENGINE, hpa(external(f"{GMP}|{RUNNING}|gauge", "Value"))],
        [ENGINE, hpa(external(f"{GMP}|{RUNNING}|gauge"))],
    ),
    (
        "hpa-figure",
        "value",
        [ENGINE, hpa(external(TOTAL, "Value"))],
        [ENGINE, hpa(external(TOTAL, "Value", selector={"matchLabels": {"reducer": "REDUCE_MEAN"}}))],
    ),
    (
        "hpa-figure",
        "value",
        [ENGINE, keda(f"sum({WAITING}) or vector(0)", how="Value")],
        [ENGINE, keda(f"sum({WAITING}) / count({WAITING})", how="Value")],
    ),
    (
        "hpa-figure",
        "value",
        [ENGINE, hpa(external("queue", "Value")), rules("queue")],
        [
            ENGINE,
            hpa(external("queue", "Value")),
            rules("queue", query="avg(<<.Series>>{<<.LabelMatchers>>})"),
        ],
    ),
    (
        "hpa-figure",
        "average",
        [ENGINE, keda(f"avg({WAITING})")],
        [ENGINE, keda(f"avg({WAITING})", how="Value")],
    ),
    (
        "hpa-figure",
        "average",
        [ENGINE, keda(f"ceil(max({WAITING}))")],
        [ENGINE, keda("max(gateway_requests)")],
    ),
    ("keda-query", "", [ENGINE, keda(WAITING)], [ENGINE, keda(WAITING, maxReplicaCount=1)]),
    (
        "keda-query",
        "",
        [ENGINE, keda(f"sum by (pod) ({WAITING})")],
        [ENGINE, keda(f'{WAITING}{{pod="v-0"}}')],
    ),
    (
        "keda-query",
        "",
        [ENGINE, keda("rate(vllm:prompt_tokens_total[1m])")],
        [ENGINE, keda("gateway_requests")],
    ),
]


@pytest.mark.parametrize(("rule", "case", "wrong", "right"), CASES, ids=ids(CASES))
def test_a_variant_is_found_where_it_is_and_nowhere_else(
    rule: str, case: str, wrong: list[Body], right: list[Body]
) -> None:
    check(rule, case, wrong, right)
