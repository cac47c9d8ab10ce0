"""The fleet's keys in a cluster: a Secret of what `env:` and `file:` name, and the endpoint's key read back."""

import base64

from stoker.errors import Mistake
from stoker.planner.plan import Plan
from stoker.render.manifests import choose
from stoker.spec.nouns import KeyRef
from stoker.system import keys
from stoker.targets.kubernetes.client import Api, Object


def objects(plan: Plan) -> list[Object]:
    """The Secret with what `env:` and `file:` name; nothing where the cluster holds it all."""
    endpoint, token = plan.spec.endpoint.api_key, plan.spec.model.token
    found = {"api-key": (endpoint, "endpoint.api_key"), "hub-token": (token, "model.token")}
    data = {
        name: _encoded(ref, field) for name, (ref, field) in found.items() if ref and ref.kind != "secret"
    }
    if not data:
        return []
    meta = choose(plan).meta(f"{plan.spec.name}-keys")
    return [{"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "data": data}]


def key(api: Api, namespace: str, ref: KeyRef) -> str:
    """The endpoint's key, wherever it is kept. Raises: Mistake, where it is not there."""
    if ref.kind != "secret":
        return keys.read(ref, "endpoint.api_key")
    name, _, inner = ref.where.partition("/")
    found = api.get("Secret", namespace, name)
    data = (found or {}).get("data", {}).get(inner or "api-key")
    if data is None:
        raise Mistake(
            f"the secret {ref.where} is not in {namespace}", why="endpoint.api_key says that the endpoint's key is kept there",
            fix=f"kubectl -n {namespace} create secret generic {name} --from-file={inner or 'api-key'}=FILE", rule="kube-secret",
        )  # fmt: skip
    return base64.b64decode(data).decode()


def _encoded(ref: KeyRef, field: str) -> str:
    return base64.b64encode(keys.read(ref, field).encode()).decode()
