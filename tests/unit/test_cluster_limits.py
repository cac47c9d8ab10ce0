"""Limits of cores: written where the file, a quota or a LimitRange asks for them, and nowhere else."""

from decimal import Decimal
from typing import Any

import pytest
from tests.golden.cases import CASES
from tests.support import manifests as made

from stoker.render.manifests import CpuLimits, Manifest, limited
from stoker.targets.kubernetes.limits import read


def containers(body: Any) -> list[dict[str, Any]]:
    """Of pods: what an AutoscalingMetric has under that name are pages to read."""
    if isinstance(body, list):
        return [found for one in body for found in containers(one)]
    if not isinstance(body, dict) or body.get("kind") == "AutoscalingMetric":
        return []
    own = [*body.get("initContainers", ()), *body.get("containers", ())] if "containers" in body else []
    return own or [found for one in body.values() for found in containers(one)]


@pytest.mark.parametrize("case", sorted(CASES))
def test_every_container_has_a_limit_where_all_need_one(case: str) -> None:
    plain = made.rendered(*CASES[case])
    found = limited(plain, CpuLimits(always=True))
    for before, after in zip(plain, found, strict=True):
        for one, other in zip(containers(before.body), containers(after.body), strict=True):
            assert "cpu" not in one["resources"]["limits"]
            assert other["resources"]["limits"]["cpu"] == one["resources"]["requests"]["cpu"]
            assert other["resources"]["limits"] | one["resources"]["limits"] == other["resources"]["limits"]
    assert limited(plain, CpuLimits()) == plain


def test_the_file_may_ask_for_it() -> None:
    text, config = CASES["tensor-parallel"]
    assert "kubernetes:" not in text, "or the two would be one key"
    asked = made.rendered(f"{text}kubernetes: {{cpu_limit: true}}\n", config)
    assert asked == limited(made.rendered(text, config), CpuLimits(always=True))


def quota(**hard: str) -> dict[str, Any]:
    return {"spec": {"hard": {key.replace("_", "."): value for key, value in hard.items()}}}


def ranged(kind: str = "Container", **limits: Any) -> dict[str, Any]:
    return {"spec": {"limits": [{"type": kind, **limits}]}}


@pytest.mark.parametrize(
    ("quotas", "ranges", "asked"),
    [
        ([], [], CpuLimits()),
        ([quota(requests_cpu="8", pods="3")], [], CpuLimits()),
        ([quota(limits_cpu="8")], [], CpuLimits(always=True)),
        ([], [ranged(default={"cpu": "500m", "memory": "1Gi"})], CpuLimits(below=Decimal("0.5"))),
        ([], [ranged(max={"cpu": "4"})], CpuLimits(below=Decimal(4))),
        ([], [ranged(max={"cpu": "4"}, default={"cpu": "2"})], CpuLimits(below=Decimal(2))),
        ([], [ranged("Pod", max={"cpu": "4"}), ranged(max={"memory": "1Ti"})], CpuLimits()),
        ([quota(limits_cpu="8")], [ranged(default={"cpu": "1"})], CpuLimits(below=Decimal(1))),
    ],
)
def test_what_the_namespace_asks(quotas: list[Any], ranges: list[Any], asked: CpuLimits) -> None:
    assert read(quotas, ranges) == asked


def test_a_default_that_is_enough_is_left() -> None:
    """Its own limit would only take cores away."""
    spec = {
        "containers": [
            {"name": "a", "resources": {"requests": {"cpu": "500m"}}},
            {"name": "b", "resources": {"requests": {"cpu": "2"}}},
        ]
    }
    job = Manifest({"kind": "Job", "metadata": {"name": "j"}, "spec": {"template": {"spec": spec}}})
    (found,) = limited([job], CpuLimits(below=Decimal(1)))
    assert [one["resources"].get("limits") for one in containers(found.body)] == [None, {"cpu": "2"}]
    assert "limits" not in spec["containers"][1]["resources"], "a value is not changed"
