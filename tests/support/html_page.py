"""What is in a page of HTML: elements, ids, what is linked to and loaded; and that it is well-formed."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "br"})
LOADS = frozenset({"src", "href", "action", "srcset", "data", "poster", "formaction"})


@dataclass
class Element:
    """One element, with its text and what is in it."""

    name: str
    attributes: dict[str, str | None]
    inside: list["Element"] = field(default_factory=list)
    text: str = ""

    def all(self, name: str) -> list["Element"]:
        """Those of that name in it, at any depth."""
        own = [one for one in self.inside if one.name == name]
        return own + [found for one in self.inside for found in one.all(name)]

    def said(self) -> str:
        """All text in it."""
        return self.text + "".join(one.said() for one in self.inside)


class Page(HTMLParser):
    """A page, read. Raises: AssertionError, where an element ends that was not open."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self._open = [self.root]
        self.feed(text)
        self.close()
        assert len(self._open) == 1, f"{self._open[-1].name} is never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        element = Element(tag, dict(attrs))
        self._open[-1].inside.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        ended = self._open.pop()
        assert ended.name == tag, f"{ended.name} is open where {tag} ends"

    def handle_data(self, data: str) -> None:
        self._open[-1].text += data

    def every(self) -> list[Element]:
        """Every element."""
        out, waiting = [], [self.root]
        while waiting:
            one = waiting.pop()
            out.append(one)
            waiting += one.inside
        return out

    def places(self) -> list[str]:
        """Everything that is loaded or linked to."""
        return [
            value for one in self.every() for name, value in one.attributes.items() if name in LOADS and value
        ]
