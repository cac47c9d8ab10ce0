"""Whatever stands in a field of a scaler, or of what is beside it, `stoker lint` says it plainly."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.scalers import BUDGET, ENGINE, LWS, agent, group, hpa, keda, quota, rules, vertical

from stoker.advise.lint import lint

VALUES: list[Any] = [None, 3, True, "x", [3], {}, [{"a": [1]}], 10**30]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from paths(one, (*path, key))


def put(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The body with another value at a place."""
    if not path:
        return value
    if isinstance(body, dict):
        return {key: put(one, path[1:], value) if key == path[0] else one for key, one in body.items()}
    return [put(one, path[1:], value) if key == path[0] else one for key, one in enumerate(body)]


UP = {
    "scaleUp": {
        "selectPolicy": "Min",
        "tolerance": "0.1",
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}],
    }
}
OBJECTS: dict[str, Any] = {
    "hpa": hpa(behavior=UP | {"scaleDown": {"stabilizationWindowSeconds": 30}}, minReplicas=1),
    "keda": keda(fallback={"failureThreshold": 3, "replicas": 9}, cooldownPeriod=3, idleReplicaCount=0),
    "agent": agent(),
    "quota": quota(gpu=2, pods="3"),
    "vertical": vertical(
        updatePolicy={"updateMode": "Auto"},
        resourcePolicy={"containerPolicies": [{"mode": "Off", "controlledResources": ["cpu"]}]},
    ),
    "rules": rules("vllm_queue", default=True),
    "engine": ENGINE,
    "group": group(),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_whatever_stands_in_a_field_is_said_plainly(name: str) -> None:
    """No traceback, and of a scaler no word of Python's."""
    beside = [one for key, one in OBJECTS.items() if key != name]
    beside += [hpa(**LWS, name="w"), BUDGET]
    texts = "---\n".join(json.dumps(one) + "\n" for one in beside)
    for path, value in itertools.product(paths(OBJECTS[name]), VALUES):
        body = put(OBJECTS[name], path, value)
        found = lint({"m.yaml": json.dumps(body) + "\n", "beside.yaml": texts})
        for one in found:
            said = f"{name} {path} {value!r}: {one}"
            assert one.at.split(":")[0] in ("m.yaml", "beside.yaml"), said
            scaler = one.what.startswith(("HorizontalPodAutoscaler", "ScaledObject", "AutoscalingMetric"))
            assert not scaler or not any(
                word in one.why for word in ("object", "NoneType", "'dict'", "attribute")
            ), said
