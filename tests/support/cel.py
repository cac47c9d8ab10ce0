"""The CEL rules of a definition, evaluated as an API server does: over the object with its schema's
defaults."""

from typing import Any

import cel

RULES = "x-kubernetes-validations"
RESERVED = {
    "namespace",
    "in",
    "as",
    "import",
    "package",
    "function",
    "var",
    "const",
    "loop",
    "if",
    "else",
    "for",
}


def broken(schema: Any, value: Any, path: str = "") -> list[str]:
    """Each rule that the value does not keep, or that cannot be evaluated over it, with where."""
    value = defaulted(schema, value)
    return _broken(schema, value, path)


def defaulted(schema: Any, value: Any) -> Any:
    """The value with the schema's defaults for what it leaves out."""
    if isinstance(value, dict):
        known = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        missing = {
            name: one["default"] for name, one in known.items() if "default" in one and name not in value
        }
        return {
            name: defaulted(known.get(name) or (rest if isinstance(rest, dict) else {}), one)
            for name, one in {**value, **missing}.items()
        }
    if isinstance(value, list):
        return [defaulted(schema.get("items", {}), one) for one in value]
    return value


def _broken(schema: Any, value: Any, path: str) -> list[str]:
    out = []
    for one in schema.get(RULES, ()):
        try:
            kept = cel.evaluate(one["rule"], {"self": _escaped(value)})
        except Exception as error:  # such as a field that is not there
            kept, one = False, {"message": f"{one['message']} ({error})"}
        if kept is not True:
            out.append(f"{path}: {one['message']}")
    if isinstance(value, dict):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties")
        for name, inner in value.items():
            below = known.get(name) or (rest if isinstance(rest, dict) else {})
            out += _broken(below, inner, f"{path}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            out += _broken(schema.get("items", {}), inner, f"{path}[{number}]")
    return out


def _escaped(value: Any) -> Any:
    """CEL's reserved words are written `__so__` in rules."""
    if isinstance(value, dict):
        return {f"__{key}__" if key in RESERVED else key: _escaped(one) for key, one in value.items()}
    return [_escaped(one) for one in value] if isinstance(value, list) else value
