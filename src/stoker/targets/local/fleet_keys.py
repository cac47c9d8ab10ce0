"""The keys of a fleet on this machine: its engines' own, and the one that its clients must send."""

import hashlib
from dataclasses import replace

from stoker.errors import UsageError
from stoker.fleet.process import Process, Wanted
from stoker.planner.plan import Plan
from stoker.spec import dump
from stoker.system import keys
from stoker.system.files import read_secret, write_secret
from stoker.targets.local.folder import Folder

ASKING = ("gateway", "page")  # roles that ask for the endpoint's key
KEY_ID = "STOKER_KEY_ID"


def write_keys(folder: Folder, plan: Plan, now: Wanted | None) -> None:
    """Writes both into the private folder. Raises: OSError; UsageError, where the key is not known."""
    keys.new_key(folder.engine_key)
    if plan.spec.endpoint.api_key is None:
        return
    key = _endpoint_key(folder, plan, now)
    if key != read_secret(folder.endpoint_key):
        write_secret(folder.endpoint_key, key)


def _endpoint_key(folder: Folder, plan: Plan, now: Wanted | None) -> str:
    """The key that the spec names; the one that the fleet has, where this shell does not know it."""
    assert plan.spec.endpoint.api_key is not None
    try:
        return keys.read(plan.spec.endpoint.api_key, "endpoint.api_key")
    except UsageError:
        named = dump(plan.spec)["endpoint"]["api_key"]
        same = now is not None and now.spec.get("endpoint", {}).get("api_key") == named
        if same and (kept := read_secret(folder.endpoint_key)) is not None:
            return kept
        raise


def keyed(all_of: tuple[Process, ...], plan: Plan, now: Wanted | None) -> tuple[Process, ...]:
    """Who asks for the endpoint's key is another process once that is another key."""
    ref = plan.spec.endpoint.api_key
    if ref is None:
        return all_of
    before = {one.key: one.env.get(KEY_ID, "") for one in now.processes} if now else {}
    try:
        mark = hashlib.sha256(keys.read(ref, "endpoint.api_key").encode()).hexdigest()[:12]
    except UsageError:  # not known here: as it was
        mark = ""
    return tuple(
        replace(one, env={**one.env, KEY_ID: mark or before.get(one.key, "")}) if one.role in ASKING else one
        for one in all_of
    )
