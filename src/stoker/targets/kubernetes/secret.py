"""The fleet's keys in a cluster: a Secret of what `env:` and `file:` name, and the endpoint's key read
back."""

import base64
import secrets

from stoker.errors import UsageError
from stoker.planner.plan import Plan
from stoker.render.manifests import choose
from stoker.spec.nouns import KeyRef
from stoker.system import keys
from stoker.targets.kubernetes.client import Api, Object

KEY_ID = "stoker/key-id"


def objects(plan: Plan) -> list[Object]:
    """The Secret with what `env:` and `file:` name; nothing where the cluster holds it all."""
    data = {name: _encoded(ref, field) for name, (ref, field) in _refs(plan).items()}
    if not data:
        return []
    meta = choose(plan).meta(f"{plan.spec.name}-keys")
    return [{"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "data": data}]


def needed(plan: Plan) -> bool:
    """Whether the plan's pods have keys out of a Secret that Stoker makes."""
    return bool(_refs(plan))


def _refs(plan: Plan) -> dict[str, tuple[KeyRef, str]]:
    """Each entry of that Secret: its reference, and the field that has it."""
    endpoint, token = plan.spec.endpoint.api_key, plan.spec.model.token
    found = {"api-key": (endpoint, "endpoint.api_key"), "hub-token": (token, "model.token")}
    return {name: (ref, field) for name, (ref, field) in found.items() if ref and ref.kind != "secret"}


def identified(api: Api, body: Object) -> Object:
    """The Secret with an id that is another one once it holds something else: pods that carry it are replaced
    with it.

    The id is chance, not a digest: who may read pods alone learns nothing of a key by it.
    """
    meta = body["metadata"]
    live = api.get("Secret", meta["namespace"], meta["name"])
    same = live is not None and live.get("data") == body["data"]
    known = key_id(live) if same else secrets.token_hex(6)
    return {**body, "metadata": {**meta, "annotations": {KEY_ID: known}}} if known else body


def key_id(body: Object | None) -> str:
    """The id of what a Secret, or a pod's template, goes by; empty where it has none."""
    return str(((body or {}).get("metadata", {}).get("annotations") or {}).get(KEY_ID, ""))


def key(api: Api, namespace: str, ref: KeyRef, kept: str = "") -> str:
    """The endpoint's key, wherever it is kept. Raises: UsageError, where it is not there.

    kept: the fleet's own Secret, where the spec came out of the cluster: what it says of this machine's files
    and environment is then not followed.
    """
    if ref.kind != "secret" and not kept:
        return keys.read(ref, "endpoint.api_key")
    name, _, inner = ref.where.partition("/") if ref.kind == "secret" else (kept, "", "api-key")
    found = api.get("Secret", namespace, name)
    data = (found or {}).get("data", {}).get(inner or "api-key")
    if data is None:
        raise UsageError(
            f"the secret {name} with the key is not in {namespace}",
            why="endpoint.api_key says that the endpoint's key is kept there",
            fix=f"kubectl -n {namespace} create secret generic {name} --from-file={inner or 'api-key'}=FILE",
            rule="kube-secret",
        )
    return base64.b64decode(data).decode()


def _encoded(ref: KeyRef, field: str) -> str:
    return base64.b64encode(keys.read(ref, field).encode()).decode()
