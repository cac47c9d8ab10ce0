"""How much of a text from outside is taken: its length, depth, parts and numbers, before anything is built of
it.

The limits are far beyond any file that people or programs write for people: a Grafana dashboard of 5 MB, a
list of a thousand objects and the header of a model with 100,000 tensors pass.
"""

import json
import math
import re
from typing import Any

from stoker.units import Bytes

TEXT = Bytes(8 * 1024**2)
DEPTH = 100
NODES = 400_000
DIGITS = 64

# a JSON string, with or without its end: it always matches, so that nothing is read twice, and keeps no way
# back
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.S)
_BRACKET = re.compile(r"[\[\]{}]")
# what no file needs and a terminal obeys: control characters but tab and the ends of lines
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")


class TooMuch(ValueError):
    """A text goes beyond a limit. `line` and `column` count from one; 0 where it is no matter of a place.

    what is the headline behind the text's name.
    """

    def __init__(
        self, why: str, fix: str, line: int = 0, column: int = 0, what: str = "is too much to read"
    ) -> None:
        super().__init__(why)
        self.why, self.fix, self.line, self.column, self.what = why, fix, line, column, what


def check_length(text: str, most: int = TEXT) -> None:
    """Raises: TooMuch, for a longer text, or one with half of a surrogate pair, which no file can hold."""
    if len(text) > most:
        raise too_long(len(text), most)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line, column = place(text, error.start)
        raise TooMuch("it is no Unicode text", "save it as UTF-8 text", line, column) from None


def too_long(size: int, most: int) -> TooMuch:
    """Of a file that has more bytes than are read."""
    return TooMuch(f"it has {size:,} bytes, at most {most:,} are read", "is it the file that was meant?")


def too_deep(line: int = 0, column: int = 0) -> TooMuch:
    """Of parts that stand in one another."""
    return TooMuch(f"more than {DEPTH} levels stand in one another", "a flatter file", line, column)


def too_many(most: int, line: int = 0, column: int = 0) -> TooMuch:
    """Of values, aliases written out."""
    return TooMuch(f"it holds more than {most:,} values", "several smaller files", line, column)


def place(text: str, index: int) -> tuple[int, int]:
    """Line and column of a position in a text, counted from one."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def read_json(text: str, *, most: int = TEXT, nodes: int = NODES) -> Any:
    """The value of a JSON text. Raises: ValueError, in words; TooMuch, before anything is built of it."""
    check_length(text, most)
    _check_structure(text, nodes)
    value = json.loads(text, parse_int=_whole)
    if "\\ud" in text or "\\uD" in text:
        _check_pairs(value)
    return value


def _check_structure(text: str, most: int) -> None:
    """Counts brackets and commas outside of strings: what the parser would recurse into, and build."""
    bare = _STRING.sub(lambda found: " " * len(found[0]), text) if '"' in text else text
    openings = bare.count("[") + bare.count("{")
    if openings + bare.count(",") >= most:
        raise too_many(most)
    depth = 0
    for found in _BRACKET.finditer(bare) if openings > DEPTH else ():
        depth += 1 if found[0] in "[{" else -1
        if depth > DEPTH:
            raise too_deep(*place(text, found.start()))


def _whole(digits: str) -> int:
    check_digits(digits)
    return int(digits)


def check_digits(number: str, line: int = 0, column: int = 0) -> None:
    """Raises: TooMuch, for a number that is longer than any quantity."""
    if len(number) > DIGITS:
        raise TooMuch(f"a number has {len(number):,} digits", "quote it, if it is text", line, column)


def _check_pairs(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise TooMuch("a text in it holds half of a surrogate pair", "save it as UTF-8 text") from None


def shown(value: Any, most: int = 60) -> str:
    """A value as an error names it: cut, and without what a terminal would obey."""
    text = repr(value if not isinstance(value, str) else value[: most + 1])
    return text if len(text) <= most else f"{text[: most - 3]}..."


def finite(value: float) -> bool:
    """Whether a number is one that can be counted with: no infinity, not NaN, and within a float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
