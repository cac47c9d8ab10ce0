"""The house is kept small: no function of the source over 40 lines, no file of it over 300, no test or
benchmark over 400."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTION, SOURCE, OTHERS = 40, 300, 400  # lines


def long_functions(text: str, most: int) -> Iterator[str]:
    """Names of functions, with their lines, that are longer from `def` to their last line."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            if (lines := node.end_lineno - node.lineno + 1) > most:
                yield f"{node.name}: {lines}"


def files(*folders: str) -> list[Path]:
    """The Python files of the repository's folders."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_a_long_function_is_seen() -> None:
    method = "class A:\n    def one(self):\n        pass\n"
    assert list(long_functions(method, 1)) == ["one: 2"]
    assert list(long_functions(method, 2)) == []
    assert list(long_functions("async def two():\n    pass\n\n    pass\n", 3)) == ["two: 4"]


def test_no_function_of_the_source_is_long() -> None:
    found = {
        str(path.relative_to(ROOT)): long
        for path in files("src")
        if (long := list(long_functions(path.read_text(encoding="utf-8"), FUNCTION)))
    }
    assert found == {}


@pytest.mark.parametrize(("folder", "most"), [("src", SOURCE), ("tests", OTHERS), ("benchmarks", OTHERS)])
def test_no_file_is_long(folder: str, most: int) -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in files(folder)
    }
    assert {name: count for name, count in lines.items() if count > most} == {}
