"""What to write instead of a value that is none: the range or the choices, and a line that is taken."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from stoker.catalog.values import between, is_number
from stoker.catalog.vllm import Option
from stoker.spec.models import SpecFile
from stoker.spec.nodes import Path
from stoker.units import Bytes, Seconds

EVERY_FIELD = "`stoker init --schema` prints what each field takes"
# values of fields whose default is none, or none that says how one is written
EXAMPLES: Mapping[str, str] = {
    "name": "shop",
    "model": "hf://org/repo",
    "model.source": "hf://org/repo",
    "model.revision": "main",
    "model.served_name": "my-model",
    "model.token": '"env:HF_TOKEN"',
    "model.adapters": "{my-adapter: hf://org/adapter}",
    "hardware": "l4:1",
    "hardware.gpu": "l4",
    "hardware.count": "1",
    "hardware.machine": "g2-standard-8",
    "hardware.price": "2.5",
    "strategy": "single-gpu",
    "engine": "{max-model-len: 8192}",
    "scaling": "{metrics: {queue-depth: 5}}",
    "scaling.metrics": "{queue-depth: 5}",
    "scaling.behavior": "{scaleDown: {stabilizationWindowSeconds: 300}}",
    "scaling.behavior.scaleUp": "{stabilizationWindowSeconds: 0}",
    "scaling.behavior.scaleDown": "{stabilizationWindowSeconds: 300}",
    "slo": "{ttft: 1s}",
    "slo.ttft": "1s",
    "slo.itl": "50ms",
    "endpoint": "{port: 8000}",
    "endpoint.api_key": '"env:STOKER_KEY"',
    "endpoint.cors": '["https://app.example.com"]',
    "endpoint.page_port": "8001",
    "memory": "3GiB",
    "kubernetes": "{namespace: default}",
    "kubernetes.context": "my-cluster",
    "kubernetes.weights": "disk",
    "kubernetes.disk": "{size: 200GiB}",
    "kubernetes.disk.type": "pd-ssd",
    "kubernetes.disk.size": "200GiB",
    "kubernetes.disk.zones": "[us-central1-a]",
    "kubernetes.disk.storage_class": "premium-rwo",
    "kubernetes.disk.snapshot_class": "my-snapshots",
    "kubernetes.disk.copy_class": "premium-rwo",
    "kubernetes.metrics": "prometheus",
    "kubernetes.keda": "{server: http://prometheus-operated.monitoring:9090}",
    "kubernetes.keda.server": "http://prometheus-operated.monitoring:9090",
    "kubernetes.keda.fallback": "2",
    "kubernetes.monitoring": "{namespace: monitoring}",
    "kubernetes.monitoring.labels": "{release: kube-prometheus-stack}",
    "kubernetes.service_account": "my-account",
    "kubernetes.capacity": "[on-demand, spot]",
    "kubernetes.compute_class": "my-class",
    "kubernetes.priority_class": "my-priority",
    "kubernetes.node_selector": "{pool: gpus}",
    "kubernetes.tolerations": "[{key: pool, operator: Exists}]",
    "kubernetes.labels": "{team: search}",
    "kubernetes.annotations": '{owner: "search"}',
    "kubernetes.image": "registry.example.com/stoker:1.0",
    "kubernetes.gateway": "{class_name: gke-l7-rilb}",
    "kubernetes.gateway.host": "models.example.com",
    "kubernetes.gateway.tls_secret": "my-certificate",
    "kubernetes.gateway.proxies": "[10.129.0.0/23]",
    "kubernetes.project": "my-project",
    "kubernetes.clients": "{team: search}",
}
RULES = {
    "type": "Pods",
    "value": "4",
    "periodSeconds": "60",
    "stabilizationWindowSeconds": "300",
    "selectPolicy": "Max",
    "policies": "[{type: Pods, value: 4, periodSeconds: 60}]",
    "tolerance": "0.1",
}


# what no range of pydantic's and no words to choose from say
TAKES: Mapping[str, str] = {
    "name": "lower-case letters, digits and dashes, 40 at most",
    "replicas": "a whole number from 0 to 1,000, or a range such as 1..5",
    "memory": "a size from 1MiB, with its unit",
    "endpoint.max_body": "a size from 1KiB to 16GiB",
    "endpoint.queue_timeout": "a duration from 0 to a year",
    "drain_timeout": "a duration from 0 to a year",
    "stall_timeout": "a duration from 0 to a year",
    "slo.ttft": "a duration above 0",
    "slo.itl": "a duration above 0",
    "kubernetes.disk.size": "a size of 1GiB or more",
    "scaling.sync_period": "a duration from a second to an hour",
    "kubernetes.keda.polling": "a duration from 0 to a year",
    "kubernetes.keda.cooldown": "a duration from 0 to a year",
}


def fix_of(path: Path) -> str:
    """What may stand at a path of the file, and below it what the field is for."""
    dotted, info = _field(path)
    if info is None:
        return EVERY_FIELD
    name, value, takes = dotted.rpartition(".")[2], example(dotted, info), TAKES.get(dotted) or _takes(info)
    leave = "" if info.is_required() else ", or leave it out"
    text = f"{takes}: write `{name}: {value}`{leave}" if takes else f"write `{name}: {value}`{leave}"
    return f"{text}\n{info.description}" if info.description else text


def example(dotted: str, info: FieldInfo) -> str:
    """A value that a field takes, as the file has it: its default where that says enough."""
    if dotted in EXAMPLES:
        return EXAMPLES[dotted]
    name = dotted.rpartition(".")[2]
    return RULES[name] if dotted.startswith("scaling.behavior.") and name in RULES else written(info.default)


def written(value: Any) -> str:
    """A value in the file's own units."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Bytes):
        return str(value).replace(" ", "").replace(".0", "")
    return str(value) if isinstance(value, Seconds) or not isinstance(value, float) else f"{value:g}"


def _field(path: Path) -> tuple[str, FieldInfo | None]:
    """The innermost field on a path, with its name from the top; what is in a list or a table belongs to its
    field."""
    here: type[BaseModel] | None = SpecFile
    found: list[str] = []
    info = None
    for part in path:
        if isinstance(part, int):
            continue
        below = here.model_fields.get(part) if here else None
        if below is None:
            break
        info = below
        found.append(part)
        here = next(_models(info.annotation), None)
    return ".".join(found), info


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _takes(info: FieldInfo) -> str:
    """The choices or the range of a field; empty where its example says it."""
    choices = _choices(info.annotation)
    if choices:
        return f"one of {', '.join(choices)}"
    limits = {
        name: getattr(one, name)
        for one in _marks(info)
        for name in ("ge", "gt", "le", "lt")
        if getattr(one, name, None) is not None
    }
    if not limits:
        return ""
    whole = "int" if "int" in str(info.annotation) and "float" not in str(info.annotation) else "float"
    return between(whole, limits.get("ge"), limits.get("gt"), limits.get("le"), limits.get("lt"))


def _choices(annotation: Any) -> list[str]:
    """The words of a field that takes nothing else but words, or nothing."""
    if get_origin(annotation) is Literal:
        return [str(one) for one in get_args(annotation)]
    if get_origin(annotation) in (list, dict):
        return []
    literals = [one for one in get_args(annotation) if get_origin(one) is Literal]
    return [str(word) for one in literals for word in get_args(one)]


def _marks(found: Any) -> Iterator[Any]:
    """The limits on a field, wherever its annotation has them; those within a list or a table are its
    parts'."""
    annotation = getattr(found, "annotation", found)
    inner = list(getattr(found, "metadata", ())) + list(getattr(annotation, "__metadata__", ()))
    for one in inner:
        yield from one.metadata if isinstance(one, FieldInfo) else (one,)
    if get_origin(annotation) not in (list, dict):
        for part in get_args(annotation):
            yield from _marks(part) if hasattr(part, "__metadata__") else ()


def fix_of_option(key: str, option: Option) -> str:
    """What an option of the engine takes, with its default, and below it vLLM's own words."""
    default, takes = option.default, option.takes()
    fits = default is not None and option.check(default) is None and default != ""
    line = f"{takes}: write `{key}: {_word(default)}`" if fits else f"write {takes}"
    return f"{line}, or leave it out" + (f"\n{option.help}" if option.help else "")


def _word(value: Any) -> str:
    """A scalar as YAML has it; text that would be read as something else is quoted."""
    if isinstance(value, bool) or not isinstance(value, str):
        return written(value)
    plain = value.replace("-", "").replace("_", "").replace("/", "").isalnum() and not is_number(value)
    return (
        value
        if plain and value.lower() not in ("true", "false", "yes", "no", "on", "off", "null", "none")
        else f'"{value}"'
    )
