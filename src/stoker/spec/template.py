"""The commented file that `stoker init` writes, and the JSON Schema and reference page of the spec."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from stoker.spec.models import SpecFile

EXAMPLE = """\
# yaml-language-server: $schema=./stoker.schema.json
# One fleet. Everything but `model` has a default; `stoker plan` says what comes of it.

model: {model}

# name: {name}                     # made from the model unless set
# replicas: 1                     # or a range, with `scaling`: 1..5
# hardware: l4                    # on a cluster; on this machine it is what is here

# engine:                         # vLLM's own options, by their own names
#   version: 0.32.0
#   max-model-len: 8K             # 8K is 8192, 8k is 8000

# endpoint:
#   port: 8000
#   host: 127.0.0.1               # anything else needs a key
#   api_key: "env:STOKER_KEY"     # a reference: env:NAME, file:PATH or secret:NAME/KEY
#   hold: 30s                     # how long a request waits while no replica is ready

# drain_timeout: 5m               # how long a leaving replica may finish its requests
"""


def example(model: str, name: str) -> str:
    """The commented file for a model."""
    return EXAMPLE.replace("{model}", model).replace("{name}", name)


def schema() -> dict[str, Any]:
    """The JSON Schema of the file, for editors."""
    out = SpecFile.model_json_schema()
    out["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    out["title"] = "stoker.yaml"
    for field, definition in (("model", "ModelFile"), ("hardware", "HardwareFile")):
        kept = {k: v for k, v in out["properties"][field].items() if k in ("description", "default")}
        out["properties"][field] = {"anyOf": [{"type": "string"}, {"$ref": f"#/$defs/{definition}"}], **kept}
    return json.loads(json.dumps(out, default=str))  # type: ignore[no-any-return]


def reference() -> str:
    """The reference page, in Markdown: every field, its default and its meaning."""
    lines = ["# The file: stoker.yaml", "", "Generated from the models that read it; do not edit.", ""]
    lines += ["| field | default | meaning |", "|---|---|---|"]
    lines += [f"| `{path}` | {default} | {text} |" for path, default, text in _fields(SpecFile, "")]
    return "\n".join([*lines, ""])


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, info in model.model_fields.items():
        inner = next((t for t in _types(info.annotation) if t is not model), None)
        default = "required" if info.is_required() else _shown(info.get_default(call_default_factory=True))
        yield f"{prefix}{name}", default, (info.description or "").replace("|", "\\|")
        if inner is not None and prefix.count(".") < 2:
            yield from _fields(inner, f"{prefix}{name}.")


def _shown(value: Any) -> str:
    if value is None or isinstance(value, BaseModel) or value in ({}, []):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _types(annotation: Any) -> list[type[BaseModel]]:
    found = [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
    for inner in getattr(annotation, "__args__", ()):
        found += _types(inner)
    return found


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201  the reference page is made by `python -m stoker.spec.template`
