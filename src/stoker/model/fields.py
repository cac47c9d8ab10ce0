"""The fields of a config.json as its class has them: under their own names, with the class's defaults where
the file leaves one out, and with what the class makes of others."""

import re
from collections.abc import Mapping
from typing import Any

from stoker.catalog import shapes
from stoker.model.expressions import Unfit, value

# What transformers calls the kinds of layers today, by what older files call them.
_LAYERS = {
    "mamba": "linear_attention",
    "attention": "full_attention",
    "deepseek_sparse_attention": "indexed_attention",
    "qwen_sparse_attention": "indexed_attention",
}
_TYPES = ("layer_types", "mtp_layer_types")
# What every model says of itself: a class's default stands for no model's.
_OWN = (
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "hidden_size",
    "n_embd",
    "d_model",
    "vocab_size",
)
_LAYER = re.compile(r"[0-9]{1,5}")  # transformers writes them with leading zeros
DEPTH = 12  # fields that are made of one another


class Fields:
    """`configs` are the classes by path, as the catalog has them: defaults, other names, and rules."""

    def __init__(self, config: Mapping[str, Any], configs: Mapping[str, Any]) -> None:
        self.config, self.configs = config, configs
        self.known: dict[tuple[str, str], Any] = {}
        self.depth = 0

    def part(self, path: str) -> Mapping[str, Any]:
        """The table at a path. A decoder's fields may stand at the top instead; a part that is left out is
        as its class has it."""
        found: Any = self.config
        for name in path.split(".") if path else ():
            inner = found.get(name) if isinstance(found, Mapping) else None
            if not isinstance(inner, Mapping):
                flat = name in ("text_config", "llm_config") and "vocab_size" in self.config
                return self.config if flat else self.configs.get(path, {}).get("absent", {})
            found = inner
        some = self.configs.get(path, {}).get("partial")
        return {**some, **found} if some else found if isinstance(found, Mapping) else {}

    def completed(self) -> dict[str, Any]:
        """The decoder's fields that config.json leaves out, by their own names and by those that others use;
        nothing where this model has no decoder."""
        texts = [path for path in self.configs if path.endswith("text_config")]
        path = min(texts, key=len, default="")
        spec, table, out = self.configs.get(path, {}), self.part(path), {}
        names = {name: name for kind in ("defaults", "rules") for name in spec.get(kind, {})}
        for name, key in {**names, **spec.get("map", {})}.items():
            said = (
                path or key not in _OWN or any(table.get(one) is not None for one in self._names(path, key))
            )
            if said and table.get(name) is None:
                try:
                    out[name] = self.field(path, key)
                except Unfit:
                    continue
        return out if "vocab_size" in {*names, *table} else {}

    def field(self, path: str, key: str, layer: int | None = None) -> Any:
        """A field of the part at `path`, or what one layer has in its place."""
        if layer is not None and (own := self._layers(path).get(layer)) and key in own:
            return own[key]
        if (path, key) not in self.known:
            self.depth += 1
            if self.depth > DEPTH:
                raise Unfit(f"{key} is made of itself")
            try:
                self.known[path, key] = self._read(path, key)
            finally:
                self.depth -= 1
        return self.known[path, key]

    def has(self, path: str, key: str) -> bool:
        """Whether config.json or its class has a field."""
        try:
            return self.field(path, key) is not None
        except Unfit:
            return False

    def _layers(self, path: str) -> Mapping[int, Any]:
        if (path, "per_layer_config") not in self.known:
            given = self.part(path).get("per_layer_config")
            rule = self.configs.get(path, {}).get("layers")
            found = given if isinstance(given, Mapping) else self._ruled(path, rule) if rule else {}
            self.known[path, "per_layer_config"] = {
                int(n): one
                for n, one in found.items()
                if isinstance(one, Mapping) and _LAYER.fullmatch(str(n))
            }
        layers: Mapping[int, Any] = self.known[path, "per_layer_config"]
        return layers

    def _ruled(self, path: str, rule: Mapping[str, Any]) -> dict[str, Any]:
        """What layers of a kind have of their own, as files of before 5.0 say it for the whole model."""
        text = self.part(path)
        own = {
            key: text.get(name, default)
            for key, (name, default, gate) in rule["fields"].items()
            if (gate is None or text.get(gate)) and text.get(name, default) is not None
        }
        types = self.field(path, "layer_types") or []
        return {str(n): own for n, kind in enumerate(types) if kind == rule["kind"]} if own else {}

    def _other(self, path: str) -> "Fields | None":
        """A part of another class than the blueprint was read with, by its model_type."""
        usual = self.configs.get(path, {}).get("absent", {}).get("model_type")
        given = self.part(path).get("model_type") if path else None
        if not usual or given == usual or not isinstance(given, str):
            return None
        plan = shapes.blueprint(shapes.of_type(given) or "")
        return Fields(self.part(path), plan["configs"]) if plan else None

    def _read(self, path: str, key: str) -> Any:
        if (other := self._other(path)) is not None and other.has("", key):
            return other.field("", key)
        table, spec = self.part(path), self.configs.get(path, {})
        if key in spec.get("inherited", {}):
            return self._made(spec["inherited"][key], path)
        for name in self._names(path, key):
            if table.get(name) is not None and not (table[name] == "auto" and key in spec.get("rules", {})):
                return _today(key, table[name])
        if key in table and key in spec.get("nulls", {}):
            return self._made(spec["nulls"][key], path)
        if key in spec.get("rules", {}):
            return self._made(spec["rules"][key], path)
        if key in spec.get("defaults", {}):
            return None if key in table else spec["defaults"][key]
        if key in table:
            return None
        raise Unfit(f"{key} is missing")

    def _before(self, rule: Mapping[str, Any], path: str) -> Any:
        given = self.part(path).get(rule.get("letters") or rule["given"])
        if "letters" in rule and isinstance(given, str):
            return [rule["of"][letter] for letter in given[:4096] if letter in rule["of"]]
        if "given" in rule and isinstance(given, list):
            return self._made(rule["then"], path)
        found = rule["else"]
        plain = isinstance(found, list) and found[:1] != ["list"]
        return found if plain else self._made(found, path)

    def _names(self, path: str, key: str) -> tuple[str, ...]:
        names = self.configs.get(path, {}).get("map", {})
        return (key, *(name for name, real in names.items() if real == key))

    def _made(self, rule: Any, path: str) -> Any:
        """A rule: a formula; a list's items, `["list", count, item]`; or what goes before one: a pattern of
        letters, a list of layers."""
        if isinstance(rule, Mapping):
            return self._before(rule, path)
        if isinstance(rule, list) and rule and not isinstance(rule[0], str):
            return rule
        if isinstance(rule, list) and rule[:1] == ["list"]:
            count = int(value(rule[1], self, {}))
            if not 0 <= count <= 4096:
                raise Unfit(f"{count:,} layers")
            return [_item(rule[2], self, n) for n in range(count)]
        return value(rule, self, {})


def _item(rule: Any, source: "Fields", index: int) -> Any:
    """`["if", condition, one, other]`, or a constant."""
    while isinstance(rule, list) and rule[:1] == ["if"]:
        rule = rule[2] if value(rule[1], source, {"n": index}) else rule[3]
    return value(rule, source, {})


def _today(key: str, found: Any) -> Any:
    if key in _TYPES and isinstance(found, list):
        return [_LAYERS.get(one, one) if isinstance(one, str) else one for one in found]
    return found
