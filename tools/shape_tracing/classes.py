"""What a config class makes of a config.json that leaves fields out: found by making configs and looking."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

SCALAR = (int, float, bool, str)


def described(config: Any, path: str, keys: set[str]) -> dict[str, Any]:
    """Defaults, other names and rules of the fields `keys` of a config's class."""
    cls = type(config)
    probe = _Probe(cls, path)
    out: dict[str, Any] = {"defaults": {}, "rules": {}, "nulls": {}, "map": {}}
    out["map"] = {a: r for a, r in cls.attribute_map.items() if r in keys or _feeds(probe, r)}
    pending, done = set(keys), set()
    while pending:
        key = pending.pop()
        done.add(key)
        for name, rule, table in probe.found(key):
            out[table][name] = rule
            pending |= {k for k in _asked(rule) if k not in done}
    return {name: table for name, table in out.items() if table}


def _feeds(probe: "_Probe", key: str) -> bool:
    return key in probe.numbers


def _asked(rule: Any) -> set[str]:
    if not isinstance(rule, list):
        return set()
    if len(rule) == 3 and rule[0] == "attr":
        return {rule[2]}
    return set().union(*(_asked(one) for one in rule)) if rule else set()


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

    def make(self, given: dict[str, Any]) -> Any:
        try:
            return self.cls(**given)
        except Exception:
            return None

    def get(self, config: Any, key: str) -> Any:
        try:
            value = getattr(config, key)
        except Exception:
            return None
        return list(value) if isinstance(value, tuple) else value

    def found(self, key: str) -> Iterator[tuple[str, Any, str]]:
        """Rows of a field: its name, its default or rule, and the table that it belongs to."""
        value = self.get(self.base, key)
        if value is not None and not isinstance(value, (*SCALAR, list)):
            return
        if isinstance(value, list) and not all(isinstance(x, SCALAR) for x in value):
            return
        rule = self.rule(key, {})
        if rule is None:
            yield key, value, "defaults"
        else:
            yield key, rule, "rules"
        if self.fields.get(key) is not None or key not in self.fields:
            return
        given = self.make({key: None})
        if given is not None and self.get(given, key) is not None:
            yield key, rule if rule is not None else value, "nulls"

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
            for k in (8, 16, 32):
                yield ["//", ["+", a, k - 1], k], lambda g, x=x, k=k: -(-g[x] // k)
        for x, y in itertools.permutations(changed, 2):
            a, b = self.attr(x), self.attr(y)
            yield ["//", a, b], lambda g, x=x, y=y: g[x] // g[y]
            yield ["int", ["*", a, b]], lambda g, x=x, y=y: int(g[x] * g[y])
            yield ["+", a, b], lambda g, x=x, y=y: g[x] + g[y]
        for x, y, z in itertools.permutations(changed, 3):
            yield ["//", ["int", ["*", self.attr(x), self.attr(y)]], self.attr(z)], (
                lambda g, x=x, y=y, z=z: int(g[x] * g[y]) // g[z])  # fmt: skip

    def list_rule(self, key: str, value: list[Any], changed: list[str]) -> Any:
        layers = next((k for k in ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "depth",
                                   "encoder_layers", "decoder_layers") if k in changed), None)  # fmt: skip
        if layers is None:
            return None
        probes = self.list_probes(key, layers, changed)
        for item, compute in self.items(value, changed, layers):
            if all(
                [_label(compute(n, given), given) for n in range(given[layers])] == found
                for given, found in probes
            ):
                return ["list", self.attr(layers), _written(item)]
        return None

    def list_probes(self, key: str, layers: str, changed: list[str]) -> list[tuple[dict[str, Any], list[Any]]]:
        out = []
        count = self.numbers[layers]
        others = [k for k in changed if k != layers and isinstance(self.numbers[k], int)]
        for given in ({}, {layers: count * 2}, {layers: count + 1}, *({k: self.numbers[k] + 1} for k in others)):
            one = self.make(given)
            found = self.get(one, key) if one is not None else None
            if isinstance(found, list):
                out.append(({k: given.get(k, self.numbers[k]) for k in changed}, found))
        return out

    def items(self, value: list[Any], changed: list[str], layers: str) -> Iterator[tuple[Any, Any]]:
        plain = list(dict.fromkeys(value))
        own = [_Field(k, self.path) for k in changed if self.numbers[k] in plain and k != layers]
        kinds = [*own, *plain]
        for one in kinds:
            yield one, lambda n, g, one=one: one
        others = [k for k in changed if k != layers]
        for one, two in itertools.permutations([*kinds, *_absent(kinds)], 2):
            var = ["var", "n"]
            for p in range(2, 17):
                for o in range(p):
                    yield (["if", ["==", ["%", ["+", var, o], p], 0], one, two],
                           lambda n, g, p=p, o=o, one=one, two=two: one if (n + o) % p == 0 else two)  # fmt: skip
            for x, y in itertools.permutations(others, 2):
                yield (["if", ["==", ["%", var, self.attr(x)], self.attr(y)], one, two],
                       lambda n, g, x=x, y=y, one=one, two=two: one if n % g[x] == g[y] else two)  # fmt: skip
            for k in range(1, 9):
                yield ["if", ["<", var, k], one, two], lambda n, g, k=k, one=one, two=two: one if n < k else two
            for key in others:
                a = self.attr(key)
                yield ["if", ["<", var, a], one, two], (
                    lambda n, g, key=key, one=one, two=two: one if n < g[key] else two)  # fmt: skip
                for o in range(0, 8):
                    yield (["if", ["==", ["%", ["+", var, o], a], 0], one, two],
                           lambda n, g, o=o, key=key, one=one, two=two: one if (n + o) % g[key] == 0 else two)  # fmt: skip


class _Field(str):
    """A list's item that is another field's value."""

    def __new__(cls, key: str, path: str) -> "_Field":
        found = str.__new__(cls, key)
        found.path = path
        return found

    path: str


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
