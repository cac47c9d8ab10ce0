"""What a config class makes of a config.json that leaves fields out: found by making configs and looking."""

import inspect
import itertools
import random
import re
from collections.abc import Iterator
from typing import Any

from shape_tracing.build import told

LAYERS = (
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "depth",
    "encoder_layers",
    "decoder_layers",
)
SCALAR = (int, float, bool, str)


def described(config: Any, path: str, keys: set[str]) -> dict[str, Any]:
    """Defaults, other names and rules of the fields `keys` of a config's class; and what the part has where a
    file leaves it out whole."""
    cls = type(config)
    probe = _Probe(cls, path)
    out: dict[str, Any] = {"defaults": {}, "rules": {}, "nulls": {}, "map": {}}
    out["map"] = {
        a: r for a, r in {**probe.former(), **cls.attribute_map}.items() if r in keys or _feeds(probe, r)
    }
    pending, done = set(keys), set()
    while pending:
        key = pending.pop()
        done.add(key)
        for name, rule, table in probe.found(key):
            out[table][name] = rule
            pending |= {k for k in _asked(rule) if k not in done}
    more = {"layers": probe.layers(), "absent": absent(config, probe) if path else {}}
    return {name: table for name, table in {**out, **more}.items() if table}


def partial(whole: Any, path: str, part: Any) -> dict[str, Any]:
    """What the whole's class puts into a part of which a file says next to nothing."""
    if "." in path:
        return {}
    try:
        made = type(whole)(**{path: {"model_type": part.model_type}})
        own = getattr(made, path)
        found = absent(own, _Probe(type(own), path))
    except Exception:
        return {}
    return {key: value for key, value in found.items() if key != "model_type"}


def inherited(whole: Any, base: dict[str, Any], path: str, keys: set[str]) -> dict[str, Any]:
    """Fields of a part that the whole's class sets from a field of its own."""
    if "." in path:
        return {}
    out = {}
    probe = _Probe(type(whole), "")
    part = getattr(whole, path)
    for key in keys:
        value = getattr(part, key, None)
        for name, own in probe.numbers.items():
            if not isinstance(value, int) or isinstance(value, bool) or value != own or own < 16:
                continue
            made = probe.make({**base, name: own * 2})
            if made is not None and getattr(getattr(made, path), key, None) == own * 2:
                out[key] = ["attr", "", name]
    return out


def absent(config: Any, probe: "_Probe") -> dict[str, Any]:
    """What a part is where the file leaves it out: how the whole's default differs from the part's own."""
    own = {key: probe.get(config, key) for key in probe.fields if _structural(key)}
    own = {key: value for key, value in own.items() if isinstance(value, (*SCALAR, list))}
    differs = any(value != probe.get(probe.base, key) for key, value in own.items())
    return {"model_type": config.model_type, **(own if differs else {})}


def _feeds(probe: "_Probe", key: str) -> bool:
    return key in probe.numbers


def _asked(rule: Any) -> set[str]:
    if isinstance(rule, dict):
        return set().union(*(_asked(one) for one in rule.values()))
    if not isinstance(rule, list):
        return set()
    if len(rule) == 3 and rule[0] == "attr":
        return {rule[2]}
    return set().union(*(_asked(one) for one in rule)) if rule else set()


def has(config: Any, key: str) -> bool:
    """Whether a config has a field at all."""
    try:
        return key in config.__dict__ or hasattr(config, key)
    except Exception:
        return True


class _Probe:
    """Configs of a class, made with one field or another changed."""

    def __init__(self, cls: Any, path: str) -> None:
        self.cls, self.path = cls, path
        self.base = self.make({})
        fields = getattr(cls, "__dataclass_fields__", {})
        self.fields = {k: f.default for k, f in fields.items()}
        self.numbers: dict[str, Any] = {}
        for key in fields:
            value = self.get(self.base, key)
            if isinstance(value, int | float) and not isinstance(value, bool) and value and _structural(key):
                self.numbers[key] = value
        self.flags = [k for k in fields if isinstance(self.get(self.base, k), bool) and _structural(k)]
        self.seen: dict[str, Any] = {}
        for key, value in self.numbers.items():
            self.seen[key] = self.make({key: value * 2 if isinstance(value, int) else value + 1.0})

    def former(self) -> dict[str, str]:
        """Names that the class takes for its fields without listing them."""
        try:
            text = inspect.getsource(self.cls.__post_init__)
        except (OSError, TypeError):
            return {}
        out = {}
        for name in sorted(set(re.findall(r"""kwargs\.(?:pop|get)\(\s*["'](\w+)["']""", text))):
            one = self.make({name: 7776})
            found = [k for k in self.numbers if one is not None and self.get(one, k) == 7776]
            if len(found) == 1 and found[0] != name:
                out[name] = found[0]
        return out

    def make(self, given: dict[str, Any]) -> Any:
        try:
            return self.cls(**given)
        except Exception:
            return None

    def get(self, config: Any, key: str) -> Any:
        try:
            value = getattr(config, key)
        except Exception:
            value = getattr(config, "__dict__", {}).get(key)
        return list(value) if isinstance(value, tuple) else value

    def found(self, key: str) -> Iterator[tuple[str, Any, str]]:
        """Rows of a field: its name, its default or rule, and the table that it belongs to."""
        value = self.get(self.base, key)
        if value is None and not has(self.base, key):
            return
        if hasattr(value, "sub_configs"):
            yield key, {}, "defaults"
            return
        if value is not None and not isinstance(value, (*SCALAR, list)):
            return
        if isinstance(value, list) and not all(isinstance(x, SCALAR) for x in value):
            return
        rule = self.rule(key, {})
        if isinstance(value, list):
            rule = self.listed(key, value, rule)
        if rule is None:
            yield key, value, "defaults"
        else:
            yield key, rule, "rules"
        if self.fields.get(key) is not None or key not in self.fields:
            return
        given = self.make({key: None})
        if given is not None and self.get(given, key) is not None:
            yield key, rule if rule is not None else value, "nulls"

    def layers(self) -> dict[str, Any]:
        """What layers of a kind have of their own, out of fields that older files give for the whole
        model."""
        rows: dict[str, Any] = {}
        kind = None
        for key, name in (
            ("head_dim", "global_head_dim"),
            ("num_key_value_heads", "num_global_key_value_heads"),
        ):
            for gate in (None, "attention_k_eq_v"):
                one = self.make({name: 77, **({gate: True} if gate else {})})
                own = _overrides(one)
                of = {one.layer_types[n] for n, row in own.items() if row.get(key) == 77} if own else set()
                if len(of) == 1:
                    kind = of.pop()
                    usual = {row.get(key) for row in _overrides(self.base).values()}
                    rows[key] = [name, usual.pop() if len(usual) == 1 and not gate else None, gate]
                    break
        return {"kind": kind, "fields": rows} if rows else {}

    def rule(self, key: str, given: dict[str, Any]) -> Any:
        """How a field that is not given is made of others; None where it is of none."""
        value = self.get(self.base, key)
        changed = [k for k, one in self.seen.items() if k != key and one is not None
                   and self.get(one, key) != value]  # fmt: skip
        if not changed:
            return None
        if isinstance(value, list):
            return self.list_rule(key, value, changed)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self.number_rule(key, value, changed)
        return None

    def attr(self, key: str) -> list[Any]:
        return ["attr", self.path, key]

    def number_rule(self, key: str, value: Any, changed: list[str]) -> Any:
        probes = self.probes(changed)
        for formula, compute in self.formulas(value, changed):
            try:
                if all(compute(given) == self.get(one, key) for given, one in probes):
                    return formula
            except ArithmeticError:
                continue
        return None

    def probes(self, changed: list[str]) -> list[tuple[dict[str, Any], Any]]:
        """Configs with the fields on which one depends at other values."""
        rng = random.Random(7)
        out = [({k: self.numbers[k] for k in changed}, self.base)]
        for _ in range(24):
            given = {k: self.numbers[k] * rng.choice((1, 2, 3, 4)) for k in changed}
            one = self.make(given)
            if one is not None:
                out.append((given, one))
        return out

    def formulas(self, value: Any, changed: list[str]) -> Iterator[tuple[Any, Any]]:
        for x in changed:
            a, n = self.attr(x), self.numbers[x]
            yield a, lambda g, x=x: g[x]
            if n and value % n == 0:
                k = value // n
                yield ["*", a, k], lambda g, x=x, k=k: g[x] * k
            if value and n % value == 0:
                k = n // value
                yield ["//", a, k], lambda g, x=x, k=k: g[x] // k
            if isinstance(value, int) and isinstance(n, int) and abs(value - n) < 8:
                yield ["+", a, value - n], lambda g, x=x, k=value - n: g[x] + k
            for k in (8, 16, 32):
                yield ["//", ["+", a, k - 1], k], lambda g, x=x, k=k: -(-g[x] // k)
        for x, y in itertools.permutations(changed, 2):
            a, b = self.attr(x), self.attr(y)
            yield ["//", a, b], lambda g, x=x, y=y: g[x] // g[y]
            yield ["int", ["*", a, b]], lambda g, x=x, y=y: int(g[x] * g[y])
            yield ["+", a, b], lambda g, x=x, y=y: g[x] + g[y]
            ratio = value * self.numbers[y] / self.numbers[x]
            if ratio * 8 == int(ratio * 8):
                yield ["int", ["/", ["*", ratio, a], b]], lambda g, x=x, y=y, r=ratio: int(r * g[x] / g[y])
        for x, y, z in itertools.permutations(changed, 3):
            yield ["//", ["int", ["*", self.attr(x), self.attr(y)]], self.attr(z)], (
                lambda g, x=x, y=y, z=z: int(g[x] * g[y]) // g[z])  # fmt: skip

    def list_rule(self, key: str, value: list[Any], changed: list[str]) -> Any:
        layers = next((k for k in LAYERS if k in changed), None)
        if layers is None:
            return None
        probes = self.list_probes(key, layers, changed)
        for step in (k for k in changed if k != layers):
            if all(list(range(g[step] - 1, g[layers], g[step])) == found for g, found in probes):
                return ["range", ["-", self.attr(step), 1], self.attr(layers), self.attr(step)]
        for item, compute in self.items(value, changed, layers):
            if _gives(compute, probes, layers):
                return ["list", self.attr(layers), _written(item)]
        last = ["==", ["var", "n"], ["-", self.attr(layers), 1]]
        for item, compute in self.items(value, changed, layers):
            if _gives(compute, probes, layers, value[-1]):
                return ["list", self.attr(layers), ["if", last, value[-1], _written(item)]]
        return None

    def listed(self, key: str, value: list[Any], rule: Any) -> Any:
        """The rule of a list, where a pattern's letters or a list of layers come before it."""
        layers = self.layer_count()
        for name in ("hybrid_override_pattern", "layer_pattern", "hybrid_pattern"):
            letters = self.letters(key, name)
            if letters:
                return {"letters": name, "of": letters, "else": rule if rule is not None else value}
        for name in self.fields:
            if name == key or "list[int]" not in self.told(name) or layers is None:
                continue
            one = self.make({name: [1, 3]})
            found = self.get(one, key) if one is not None else None
            if not isinstance(found, list) or len(found) != len(value) or found == value:
                continue
            others = {x for n, x in enumerate(found) if n not in (1, 3)}
            if found[1] == found[3] and len(others) == 1 and found[1] not in others:
                item = ["if", ["in", ["var", "n"], self.attr(name)], found[1], others.pop()]
                return {"given": name, "then": ["list", self.attr(layers), item],
                        "else": rule if rule is not None else value}  # fmt: skip
        return rule

    def told(self, key: str) -> str:
        return told(self.cls, key)

    def letters(self, key: str, name: str) -> dict[str, Any]:
        """What each letter of a pattern stands for."""
        out: dict[str, Any] = {}
        for letter in "M*-EAS":
            one = self.make({name: letter * 2, **({"num_hidden_layers": 2} if self.layer_count() else {})})
            found = self.get(one, key) if one is not None else None
            if isinstance(found, list) and len(found) == 2 and found[0] == found[1]:
                out[letter] = found[0]
        return out if len(set(out.values())) > 1 else {}

    def layer_count(self) -> str | None:
        return next((k for k in LAYERS if k in self.numbers), None)

    def list_probes(
        self, key: str, layers: str, changed: list[str]
    ) -> list[tuple[dict[str, Any], list[Any]]]:
        out = []
        count = self.numbers[layers]
        others = [k for k in changed if k != layers and isinstance(self.numbers[k], int)]
        for given in (
            {},
            {layers: count * 2},
            {layers: count + 1},
            *({k: self.numbers[k] + 1} for k in others),
        ):
            one = self.make(given)
            found = self.get(one, key) if one is not None else None
            if isinstance(found, list):
                out.append(({k: given.get(k, value) for k, value in self.numbers.items()}, found))
        return out

    def items(self, value: list[Any], changed: list[str], layers: str) -> Iterator[tuple[Any, Any]]:
        plain = list(dict.fromkeys(value))
        own = [_Field(k, self.path) for k in changed if self.numbers[k] in plain and k != layers]
        kinds = [*own, *plain]
        for one in kinds:
            yield one, lambda n, g, one=one: one
        # those that are bound to another field: no config has them changed alone
        held = [k for k, one in self.seen.items() if one is None and k not in changed]
        tests = list(self.tests([k for k in (*changed, *held) if k != layers]))
        for one, two in itertools.permutations([*kinds, *_absent(kinds)], 2):
            for condition, holds in tests:
                yield ["if", condition, one, two], _either(holds, one, two)

    def tests(self, others: list[str]) -> Iterator[tuple[Any, Any]]:
        """Conditions of a layer's index by which lists are made: every so many, the first ones."""
        var = ["var", "n"]
        for p in range(2, 17):
            for o in range(p):
                yield ["==", ["%", ["+", var, o], p], 0], lambda n, g, p=p, o=o: (n + o) % p == 0
        for x, y in itertools.permutations(others, 2):
            yield ["==", ["%", var, self.attr(x)], self.attr(y)], lambda n, g, x=x, y=y: n % g[x] == g[y]
        for k in range(1, 9):
            yield ["<", var, k], lambda n, g, k=k: n < k
        for x in others:
            yield ["<", var, self.attr(x)], lambda n, g, x=x: n < g[x]
            for o in range(8):
                yield (
                    ["==", ["%", ["+", var, o], self.attr(x)], 0],
                    lambda n, g, o=o, x=x: (n + o) % g[x] == 0,
                )


def _either(holds: Any, one: Any, two: Any) -> Any:
    return lambda n, given: one if holds(n, given) else two


def _overrides(config: Any) -> dict[int, dict[str, Any]]:
    spec = getattr(config, "__dict__", {}).get("_heterogeneity_spec")
    return spec.per_layer_overrides if spec is not None else {}


class _Field(str):
    """A list's item that is another field's value."""

    def __new__(cls, key: str, path: str) -> "_Field":
        found = str.__new__(cls, key)
        found.path = path
        return found

    path: str


def _gives(compute: Any, probes: list[Any], layers: str, last: Any = None) -> bool:
    """Whether a rule gives every list that was seen; `last`: what the last item is in any case."""
    for given, found in probes:
        made = [_label(compute(n, given), given) for n in range(given[layers])]
        if last is not None and made:
            made[-1] = last
        if made != found:
            return False
    return True


def _label(found: Any, given: dict[str, Any]) -> Any:
    return given[found] if isinstance(found, _Field) else found


def _written(item: Any) -> Any:
    if isinstance(item, _Field):
        return ["attr", item.path, str(item)]
    return [_written(one) for one in item] if isinstance(item, list) else item


def _absent(kinds: list[Any]) -> list[Any]:
    known = ["full_attention", "sliding_attention", "linear_attention", "dense", "sparse", True, False, 1, 0]
    return [k for k in known if k not in kinds and kinds and isinstance(kinds[0], type(k))][:3]


def _structural(key: str) -> bool:
    return not any(w in key for w in ("token", "dropout", "eps", "initializer", "theta", "rope", "_coef",
                                      "layerdrop", "scaling", "scale", "softcap", "multiplier", "chunk",
                                      "use_cache", "output_", "return_", "is_encoder"))  # fmt: skip
