"""YAML as people write manifests: block style, plain words where they are safe, blocks for text of several
lines.

PyYAML's dumper takes most of the time of a render (2.2 of 3.8 ms a fleet); these values are plain, so that a
page does. A property test reads everything back with PyYAML.
"""

import json
import re
from functools import lru_cache
from typing import Any

# Words that are read back as the same text: nothing that YAML 1.1 takes for a number, a boolean, null, a date
# or syntax.
_PLAIN = re.compile(r"[A-Za-z/$(][A-Za-z0-9_./$()@+=,-]*(?::[A-Za-z0-9_./$()@+=,-]+)*")
_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"])
_BLOCK = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff\u2028\u2029\t\r]*")


def write(value: dict[str, Any]) -> str:
    """The text of a table of plain values."""
    lines: list[str] = []
    _table(value, "", "", lines)
    return "\n".join(lines) + "\n"


def _table(value: dict[str, Any], lead: str, indent: str, lines: list[str]) -> None:
    """lead stands before the first key, in place of the indent: a list's dash."""
    deeper = indent + "  "
    for key, inner in value.items():
        head = f"{lead}{_word(key)}:"
        lead = indent
        if isinstance(inner, str):
            if "\n" in inner and _is_block(inner):
                lines.append(f"{head} |")
                lines += [f"{deeper}{line}" if line else "" for line in inner[:-1].split("\n")]
            else:
                lines.append(f"{head} {_word(inner)}")
        elif not inner or not isinstance(inner, dict | list):
            lines.append(f"{head} {_scalar(inner)}")
        else:
            lines.append(head)
            _inside(inner, deeper, lines)


def _inside(value: dict[str, Any] | list[Any], indent: str, lines: list[str]) -> None:
    if isinstance(value, dict):
        _table(value, indent, indent, lines)
        return
    for one in value:
        if isinstance(one, str):
            lines.append(f"{indent}- {_word(one)}")
        elif not one or not isinstance(one, dict | list):
            lines.append(f"{indent}- {_scalar(one)}")
        elif isinstance(one, dict):
            _table(one, f"{indent}- ", indent + "  ", lines)
        else:
            lines.append(f"{indent}-")
            _inside(one, indent + "  ", lines)


def _is_block(text: str) -> bool:
    """Whether a literal block gives the text back: it ends in one line break, and its first line starts with
    a word."""
    return (
        text.count("\n") > 1
        and text[-1] == "\n"
        and text[-2:] != "\n\n"
        and text[0] not in " \n"
        and _BLOCK.fullmatch(text) is not None
    )


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _word(value)
    if type(value) is int:
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    text = json.dumps(value)
    return text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text


@lru_cache(4096)
def _word(value: str) -> str:
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    simple = value.isascii() and value.isprintable() and "'" not in value
    return f"'{value}'" if simple else _quoted(value)


def _quoted(value: str) -> str:
    """In double quotes: JSON's escapes, and YAML's for whatever does not print."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in text)
