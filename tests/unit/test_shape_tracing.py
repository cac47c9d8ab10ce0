"""The reader of model classes: what a class does is followed through conditions and loops, and many makings
become one program. The classes here are toys under a name that is followed."""

import sys
from typing import Any

import pytest
from shape_tracing import symbols, tree
from shape_tracing.symbols import expr, sym
from shape_tracing.tracer import NAMES, Tracer

FILE = "/x/transformers/models/toy/modeling_toy.py"


def traced(code: str, forced: dict[Any, bool] | None = None, **fields: Any) -> list[Any]:
    """The cleaned stream of a toy's `make(config, weight)`."""
    tracer = Tracer(forced or {})
    names: dict[int, str] = {}

    def weight(name: str, *sizes: Any) -> None:
        names[len(names)] = name
        tracer.note(("p", len(names) - 1, tuple(expr(size) for size in sizes)))

    space: dict[str, Any] = dict(NAMES)
    exec(compile(code, FILE, "exec"), space)
    config = {key: sym(value, ("attr", "", key)) for key, value in fields.items()}
    tracer.active = True
    sys.setprofile(tracer.profile)
    try:
        space["make"](config, weight)
    finally:
        sys.setprofile(None)
        tracer.active = False
        symbols.TRACER = None
    found: list[Any] = tree.cleaned(tracer.stream, names, tree.holders(tracer.stream, names))
    return found


def attr(key: str) -> Any:
    return ("attr", "", key)


def test_a_size_remembers_how_it_was_made() -> None:
    code = "def make(c, weight):\n    weight('a.w', c['heads'] * c['size'], int(c['width'] * 1.5), 7)\n"
    program = tree.merged([traced(code, heads=4, size=8, width=16)])
    sizes = [("*", attr("heads"), attr("size")), ("int", ("*", attr("width"), 1.5)), 7]
    assert program == [["p", "a.w", sizes]]


BIAS = """
def linear(c, weight):
    weight('q.w', c['width'])
    if c['bias']:
        weight('q.b', c['width'])

def make(c, weight):
    linear(c, weight)
    weight('last', 1)
"""


def test_a_condition_seen_both_ways_is_a_branch_of_its_own() -> None:
    both = [traced(BIAS, bias=False, width=8), traced(BIAS, {attr("bias"): True}, bias=False, width=8)]
    assert tree.merged(both) == [
        ["p", "q.w", [attr("width")]],
        ["b", attr("bias"), [["p", "q.b", [attr("width")]]], []],
        ["p", "last", [1]],
    ]


def test_a_condition_seen_one_way_is_said_to_be_so() -> None:
    program = tree.merged([traced(BIAS, bias=False, width=8)])
    assert ["a", attr("bias"), False] in program
    assert list(tree.open_ends(program)) == [((attr("bias"), True),)]


def test_a_condition_that_changes_nothing_is_left_out() -> None:
    code = "def make(c, weight):\n    c['fast'] and None\n    weight('a.w', 1)\n"
    both = [traced(code, fast=False), traced(code, {attr("fast"): True}, fast=False)]
    assert tree.merged(both) == [["p", "a.w", [1]]]


LAYERS = """
def make(c, weight):
    for n in range(c['layers']):
        if c['types'][n] == 'conv':
            weight(f'layers.{n}.conv.w', 3)
        elif c['types'][n] == 'attention':
            weight(f'layers.{n}.attn.w', c['width'])
        if n >= c['first']:
            weight(f'layers.{n}.experts.w', c['experts'])
"""


def test_layers_are_one_loop_with_conditions_of_its_index() -> None:
    program = tree.merged([
        traced(LAYERS, layers=4, types=["conv", "attention"] * 2, first=2, width=8, experts=2)
    ])  # fmt: skip
    assert len(program) == 1
    loop = program[0]
    assert loop[:3] == ["l", attr("layers"), "i0"]
    first = loop[3][0]
    assert first[:2] == ["b", ("==", ("item", attr("types"), ("var", "i0")), "conv")]
    experts = [
        "b",
        (">=", ("var", "i0"), attr("first")),
        [["p", "layers.*.experts.w", [attr("experts")]]],
        [],
    ]
    assert first[2] == [["p", "layers.*.conv.w", [3]], experts]
    assert first[3][1:] == [["p", "layers.*.attn.w", [attr("width")]], experts]


def test_a_long_loop_is_made_in_part() -> None:
    code = "def make(c, weight):\n    for n in range(c['layers']):\n        weight(f'layers.{n}.w', 2)\n"
    stream = traced(code, layers=500)
    loop = stream[0][2][0]
    assert len(loop[3]) < 10
    assert tree.merged([stream]) == [["l", attr("layers"), "i0", [["p", "layers.*.w", [2]]]]]


def test_two_lists_in_step_are_one_loop() -> None:
    code = "def make(c, weight):\n    for a, b in zip(c['x'], c['y']):\n        weight('u.w', a, b)\n"
    program = tree.merged([traced(code, x=[1, 2, 3], y=[4, 5, 6])])
    var = ("var", "i0")
    assert program == [
        ["l", ("len", attr("x")), "i0", [["p", "u.w", [("item", attr("x"), var), ("item", attr("y"), var)]]]]
    ]


def test_makings_that_differ_without_a_reason_are_not_joined() -> None:
    one = traced("def make(c, weight):\n    weight('a.w', 1)\n")
    two = traced("def make(c, weight):\n    weight('a.w', 2)\n")
    with pytest.raises(tree.Apart):
        tree.merged([one, two])
