"""HTML out of values: everything is escaped but what this module has made itself."""

from html import escape
from typing import Any

from stoker.bounds import CONTROL

_VOID = frozenset({"meta", "link", "br"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: object, **attributes: Any) -> Html:
    """An element. `class_` is written `class`, `data_at` `data-at`; None leaves an attribute, or a child,
    out; True writes an attribute with its own name, so that the page is well-formed XML too."""
    written = "".join(
        f' {key}="{escape(key if value is True else clean(str(value)))}"'
        for key, value in ((_name(key), value) for key, value in attributes.items())
        if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{written}/>")
    return Html(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children: object) -> Html:
    """Children one after another; text among them is escaped, None left out."""
    return Html("".join(_child(one) for one in children if one is not None))


def clean(text: str) -> str:
    """Text of others without characters that no page may hold."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.encode("utf-8", "replace").decode("utf-8"))


def _child(value: object) -> str:
    if isinstance(value, Html):
        return value
    if isinstance(value, list | tuple):
        return joined(*value)
    return escape(clean(str(value)), quote=False)


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def table(
    head: list[object],
    rows: list[list[object]],
    right: frozenset[int],
    groups: tuple[tuple[str, int], ...] = (),
    **attributes: Any,
) -> Html:
    """A table; `right` columns are numbers. The first cell of a row names it. groups: what stands above the
    head, each over so many columns."""

    def cells(row: list[object], kind: str) -> list[Html]:
        return [
            tag(
                "th" if n == 0 or kind == "th" else "td",
                one,
                class_="num" if n in right else None,
                scope="col" if kind == "th" else "row" if n == 0 else None,
            )
            for n, one in enumerate(row)
        ]

    above = tag("tr", [_group(*one) for one in groups]) if groups else None
    body = [tag("tr", cells(row, "td")) for row in rows]
    return tag(
        "div",
        tag("table", tag("thead", above, tag("tr", cells(head, "th"))), tag("tbody", body), **attributes),
        class_="scroll",
        tabindex="0",
    )


def _group(title: str, columns: int) -> Html:
    return tag("th", title, colspan=columns, scope="colgroup", class_="group" if title else None)
