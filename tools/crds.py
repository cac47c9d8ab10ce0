"""Makes strict JSON schemas of custom resource definitions: `python tools/crds.py FOLDER NAME.yaml ...`.

Writes tests/data/crds/KIND.json: the stored version's schema, without descriptions, unknown fields forbidden
as a real API server forbids them under strict validation. Defaults and CEL rules are kept beside it
(`default`, `x-kubernetes-validations`), but those about what an object was before.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

RULES = "x-kubernetes-validations"
OUT = Path(__file__).resolve().parent.parent / "tests/data/crds"
KEPT = {
    "type",
    "properties",
    "items",
    "required",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "additionalProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "format",
    "default",
}


def strict(schema: Any) -> Any:
    """A schema of OpenAPI v3 as JSON Schema."""
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            out[key] = {name: strict(inner) for name, inner in value.items()}
        elif key in ("anyOf", "oneOf", "allOf"):
            out[key] = [strict(inner) for inner in value]
        elif key == "default":
            out[key] = value
        elif key in KEPT:
            out[key] = strict(value)
    rules = [one for one in schema.get(RULES, ()) if "oldSelf" not in one["rule"]]
    if rules:
        out[RULES] = [{"rule": one["rule"], "message": one.get("message", one["rule"])} for one in rules]
    if schema.get("x-kubernetes-int-or-string"):
        out.pop("anyOf", None)
        out["type"] = ["integer", "string"]
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in out
    if "properties" in out and not open_ended:
        out["additionalProperties"] = False
    return out


def main(folder: Path, names: list[str]) -> None:
    """Writes one file a kind."""
    for name in names:
        definition = yaml.load((folder / name).read_text(), Loader=yaml.CSafeLoader)
        spec = definition["spec"]
        version = next(v for v in spec["versions"] if v["storage"])
        schema = strict(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}
        made = {
            "apiVersion": f"{spec['group']}/{version['name']}",
            "kind": spec["names"]["kind"],
            "schema": schema,
        }
        (OUT / f"{made['kind']}.json").write_text(
            json.dumps(made, sort_keys=True, separators=(",", ":")) + "\n"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
