"""The spec that a running fleet was started from, as its files keep it: read again, and held against another
one."""

import json
from collections.abc import Iterable
from typing import Any

from stoker.errors import StateBroken, StokerError
from stoker.spec import dump, load
from stoker.spec.nouns import ServeSpec
from stoker.targets.local.steps import read_back


def load_stored(raw: dict[str, Any], sets: Iterable[str] = ()) -> ServeSpec:
    """The spec that a fleet was started from, with `path=value` over it. Raises: StateBroken, SpecError."""
    try:
        text = json.dumps(_as_file(raw))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise StateBroken(
            "the running fleet's spec cannot be read",
            why=f"{type(error).__name__}: {error}",
            at="wanted.json",
            fix="`stoker up -y -f FILE` leads it to a file's spec",
            rule="state-broken",
        ) from None
    return load(text, "<the running fleet>", sets)


def _as_file(raw: dict[str, Any]) -> dict[str, Any]:
    """`spec.dump`'s values in the file's own shape."""
    out: dict[str, Any] = {k: v for k, v in raw.items() if v is not None}
    engine = dict(out["engine"])
    out["engine"] = {**engine.pop("options"), **{k: v for k, v in engine.items() if v}}
    for table in ("hardware", "slo", "model", "endpoint"):
        out[table] = {k: v for k, v in out[table].items() if v is not None}
    cluster = {k: v for k, v in out.get("kubernetes", {}).items() if v is not None}
    disk = {k: v for k, v in cluster.pop("disk", {}).items() if v is not None}
    if gateway := cluster.pop("gateway", None):
        cluster["gateway"] = {k: v for k, v in gateway.items() if v is not None}
    if handle := disk.pop("handle", None):
        cluster["weights"] = {"disk": handle}
    out["kubernetes"] = {**cluster, "disk": disk}
    if not out["hardware"]:
        del out["hardware"]
    return out


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """What differs between two trees of plain values, as `path: old -> new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(k for k in new if k not in old)]
        return [d for k in keys for d in differences(old.get(k), new.get(k), f"{path}.{k}" if path else k)]
    return [] if old == new else [f"{path}: {old} -> {new}"]


def as_dumped_now(spec: Any) -> Any:
    """A running fleet's spec with every field of this Stoker: one that an older one did not know has its
    default."""
    try:
        return read_back(dump(load_stored(dict(spec))))
    except StokerError:  # of a release that meant something else by it
        return read_back(spec)
