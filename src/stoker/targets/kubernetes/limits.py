"""What the namespace asks of the cores of every container, by its quotas and ranges of limits.

Source: https://kubernetes.io/docs/concepts/policy/limit-range/ (a maximum without a default is the default,
too) and resource-quotas: a quota on limits.cpu refuses every container without one.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from lightkube.utils.quantity import parse_quantity

from stoker.render.manifests import CpuLimits
from stoker.targets.kubernetes.client import Api

Object = dict[str, Any]


def asked(api: Api, namespace: str) -> CpuLimits:
    """As far as this user may see it."""
    return read(api.visible("ResourceQuota", namespace), api.visible("LimitRange", namespace))


def read(quotas: Iterable[Object], ranges: Iterable[Object]) -> CpuLimits:
    """What quotas and ranges ask for together."""
    counted = any("limits.cpu" in (one["spec"].get("hard") or {}) for one in quotas)
    items = [
        item for one in ranges for item in one["spec"].get("limits", ()) if item.get("type") == "Container"
    ]
    given = [
        value for item in items if (text := _default(item)) and (value := parse_quantity(text)) is not None
    ]
    least: Decimal | None = min(given, default=None)
    return CpuLimits(always=counted and least is None, below=least)


def _default(item: Object) -> str:
    found = item.get("default") or {}
    return str(found.get("cpu") or (item.get("max") or {}).get("cpu") or "")
