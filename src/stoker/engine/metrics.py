"""One metrics page out of several replicas'. What a page says is read by `samples`.

Source: Prometheus text format 0.0.4.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_LINE = re.compile(
    rb"^(?:# (HELP|TYPE) ([a-zA-Z_:][\w:]*)[^\n]*"
    rb"|([a-zA-Z_:][\w:]*)(?:\{([^\n]*)\})?([ \t]+[^\s{}]+(?:[ \t]+-?\d+)?))\r?(?=\n)",
    re.M,
)
_OWN_LABEL = re.compile(rb'(?<![\w:])replica(?==")')
_SUFFIXES = (b"", b"_bucket", b"_sum", b"_count", b"_total", b"_created")


@dataclass(slots=True)
class _Family:
    """What stands together on a page: one HELP, one TYPE, and every replica's samples."""

    heads: dict[bytes, bytes]
    samples: list[bytes]

    def lines(self) -> Iterator[bytes]:
        yield from (self.heads[word] for word in (b"HELP", b"TYPE") if word in self.heads)
        yield from self.samples


def merge(pages: Mapping[str, bytes]) -> bytes:
    """One page out of several: each sample with its `replica` label, each family once and in one piece.

    The first page's HELP and TYPE stand. A sample's own `replica` label becomes `exported_replica`, as in
    Prometheus. What is no line of the format is left out, and so is a last line without its end.
    """
    families: dict[bytes, _Family] = {}
    for replica, page in pages.items():
        _add(families, page, b'replica="%b"' % _escaped(replica))
    return b"".join(line + b"\n" for family in families.values() for line in family.lines())


def relabel(page: bytes, replica: str) -> bytes:
    """One replica's page with its label on every sample."""
    return merge({replica: page})


def _add(families: dict[bytes, _Family], page: bytes, label: bytes) -> None:
    current = b""
    for match in _LINE.finditer(page):
        word, headed, name, labels, value = match.groups()
        if word:
            current = headed
            _family(families, current).heads.setdefault(word, match[0].rstrip(b"\r"))
            continue
        if not (name.startswith(current) and name[len(current) :] in _SUFFIXES):
            current = name
        _family(families, current).samples.append(b"%b{%b}%b" % (name, _joined(label, labels), value))


def _family(families: dict[bytes, _Family], name: bytes) -> _Family:
    return families.get(name) or families.setdefault(name, _Family({}, []))


def _joined(label: bytes, labels: bytes | None) -> bytes:
    if not labels:
        return label
    return b"%b,%b" % (label, _OWN_LABEL.sub(b"exported_replica", labels) if b"replica" in labels else labels)


def _escaped(text: str) -> bytes:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").encode()
