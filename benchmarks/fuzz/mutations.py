"""Mutations: of a tree of values, of the text it is written as, and of bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

Tree = Any
Path = tuple[Any, ...]

# stands in a tree for a text that is written into the file as it is
RAW = "rawtext"
_DIGITS = "9" * 420
RAWS = (
    "",
    "~",
    "null",
    "true",
    "yes",
    "no",
    "on",
    ".inf",
    "-.inf",
    ".nan",
    "NaN",
    "Infinity",
    "1e999",
    "-1e999",
    "1e-999",
    _DIGITS,
    f"-{_DIGITS}",
    f"0.{_DIGITS}",
    f"1e{_DIGITS}",
    "0x1F",
    "0o17",
    "017",
    "1_000",
    "12:30:45",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "!!int 3",
    "!!binary aGk=",
    "!!python/none x",
    "!other x",
    "&a [*a]",
    "*nowhere",
    "<<",
    "[[[[[[[[",
    "{a: {a: {a: {a: 1}}}}",
    "{}",
    "[]",
    "[1, 2",
    "'",
    '"',
    '"\\0"',
    '"\\x1b[2J"',
    '"\\ud800"',
    "|",
    ">",
    "@",
    "`",
    "%",
    "- - - - -",
    "? : ?",
    "---",
    "...",
    "\t",
    "\x00",
    "\x1b",
    "\ufeff",
    "\u2028",
    "ä",
    "🙂",
    "{{ .Values.x }}",
    "${HOME}",
    "$(id)",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    3,
    5,
    95,
    2**31,
    2**63,
    2**64,
    -(2**63),
    10**9,
    10**18,
    0.0,
    -0.0,
    0.5,
    1.5,
    -2.5,
    1e300,
    1e-300,
    "",
    " ",
    "x",
    "0",
    "-1",
    "1e9",
    "10%",
    "1..5",
    "5..1",
    "0..0",
    "3GiB",
    "-3GiB",
    "3 parsecs",
    "1h30m",
    "-5s",
    "0s",
    "50ms",
    "auto",
    "l4:4",
    "l4:-1",
    "l4:999999999999",
    "env:X",
    "file:/x",
    "secret:a/b",
    "hf://a/b",
    "gs://b/p",
    "demo:x",
    "~nobody/x",
    "a\nb",
    "a\x00b",
    "\x1b[31m",
    "\u202eabc",
    "é" * 40,
    "x" * 5000,
    "127.0.0.1",
    "[::1]",
    "::",
    "0.0.0.0",
    "300.1.2.3",
    "localhost",
    "a..b",
    "../../etc/passwd",
    "/dev/zero",
    "-x",
    "--help",
    "{}",
    "[]",
    "[1",
    '{"a":',
    '{"a":1}',
    [],
    {},
    [[]],
    [{}],
    {"": None},
    {"a": []},
    [None],
    [1, "a", None, {}],
    {"x": {"y": {"z": 1}}},
    ["x"] * 50,
)


def mutate_tree(tree: Tree, chance: random.Random, keys: Sequence[str]) -> Tree:
    """The tree with one to four changes; the same tree is not kept."""
    out = json.loads(json.dumps(tree, default=str))
    for _ in range(chance.choice((1, 1, 1, 2, 2, 4))):
        places = spots(out)
        if not places:
            return _value(chance)
        holder, key = chance.choice(places)
        chance.choice(_CHANGES)(holder, key, chance, keys)
    return out


def spots(tree: Tree) -> list[tuple[Any, Any]]:
    """Where a value stands: what holds it, and under which key."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting and len(found) < 3000:
        here = waiting.pop()
        inside = here.items() if isinstance(here, dict) else enumerate(here) if isinstance(here, list) else ()
        for key, value in inside:
            found.append((here, key))
            if isinstance(value, dict | list):
                waiting.append(value)
    return found


def _value(chance: random.Random) -> Any:
    pick = chance.random()
    if pick < 0.45:
        return json.loads(json.dumps(chance.choice(VALUES)))
    if pick < 0.8:
        return f"{RAW}{chance.randrange(len(RAWS))}{RAW}"
    if pick < 0.9:
        return chance.randint(-(10**6), 10**6) * 10.0 ** chance.randint(-6, 6)
    return "".join(
        chr(chance.choice((chance.randint(0, 127), chance.randint(0, 0xD7FF))))
        for _ in range(chance.randint(0, 30))
    )


def _put(holder: Any, key: Any, chance: random.Random, keys: Sequence[str]) -> None:
    holder[key] = _value(chance)


def _drop(holder: Any, key: Any, chance: random.Random, keys: Sequence[str]) -> None:
    del holder[key]


def _rename(holder: Any, key: Any, chance: random.Random, keys: Sequence[str]) -> None:
    value = holder[key]
    if isinstance(holder, dict):
        del holder[key]
        holder[chance.choice(keys)] = value
    else:
        holder.insert(chance.randint(0, len(holder)), value)


def _add(holder: Any, key: Any, chance: random.Random, keys: Sequence[str]) -> None:
    if isinstance(holder, dict):
        holder[chance.choice(keys)] = _value(chance)
    else:
        holder.append(_value(chance))


def _wrap(holder: Any, key: Any, chance: random.Random, keys: Sequence[str]) -> None:
    value = holder[key]
    for _ in range(chance.choice((1, 1, 3, 20, 120))):
        value = [value] if chance.random() < 0.5 else {chance.choice(keys): value}
    holder[key] = value


def _number(holder: Any, key: Any, chance: random.Random, keys: Sequence[str]) -> None:
    value = holder[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        holder[key] = _value(chance)
        return
    holder[key] = chance.choice(
        (-value, value * 10**9, value + 1, value - 1, value / 3, str(value), [value], value == 1, 0)
    )


_CHANGES: tuple[Callable[[Any, Any, random.Random, Sequence[str]], None], ...] = (
    _put,
    _put,
    _put,
    _drop,
    _rename,
    _add,
    _add,
    _wrap,
    _number,
    _number,
)


def raw(text: str) -> str:
    """The written tree with its raw texts in place: unquoted."""
    parts = text.split(RAW)
    for index in range(1, len(parts) - 1, 2):
        if parts[index].isdigit():
            parts[index] = RAWS[int(parts[index])]
            parts[index - 1] = parts[index - 1].removesuffix('"').removesuffix("'")
            parts[index + 1] = parts[index + 1].removeprefix('"').removeprefix("'")
    return "".join(parts)


def mutate_bytes(text: bytes, chance: random.Random, other: bytes) -> bytes:
    """Bytes flipped, cut, doubled, exchanged with those of another file, or with what trips a parser put
    in."""
    out = bytearray(text)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randint(0, len(out))
        length = chance.choice((1, 1, 2, 8, 64))
        match chance.randrange(7):
            case 0:
                out[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del out[at : at + length]
            case 2:
                out[at:at] = out[at : at + length] * chance.choice((1, 2, 50))
            case 3:
                start = chance.randint(0, len(other))
                out[at : at + length] = other[start : start + length * 4]
            case 4:
                out[at:at] = chance.choice(RAWS).encode("utf-8", "surrogatepass")
            case 5:
                out[at:at] = chance.choice(
                    (b"[", b"{", b"- ", b"? ", b"&a ", b"*a ", b"'", b'"', b"\\", b": ", b"\n")
                ) * chance.choice((1, 3, 150))
            case _:
                del out[at:]
    return bytes(out)


def large(chance: random.Random) -> bytes:
    """Just beyond a limit, or just within: levels, values, aliases that multiply, digits, length."""
    levels, values = chance.choice((99, 100, 101, 130)), chance.choice((19_000, 21_000, 149_000, 151_000))
    aliases = "\n".join(
        f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 8)}]" for n in range(1, chance.choice((5, 6, 7)))
    )
    texts = (
        "a: " + "[" * levels + "]" * levels,
        "- " * levels + "x",
        '{"panels": ' + '{"a":' * levels + "1" + "}" * (levels + 1),
        "kind: List\nitems: [" + "{}," * values + "]",
        "kind: List\nitems:\n"
        + "- {kind: Service, spec: {selector: {a: b}}}\n- {kind: Pod}\n" * chance.choice((590, 610)),
        '{"panels": [' + "1," * values + "1]}",
        f"k0: &k0 [x, x]\n{aliases}",
        "a: " + "9" * chance.choice((64, 65, 5000)),
        "model: '" + "x" * chance.choice((4096, 4097, 10**6)) + "'",
        "\n" * chance.choice((10**5, 10**6)),
        "# " + "x" * (8 * 1024**2 - chance.choice((0, 1, 2, 3))),
    )
    return chance.choice(texts).encode()
