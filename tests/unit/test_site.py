"""What the site's own check finds: links that lead nowhere, and what would be fetched from another host."""

from pathlib import Path

import pytest
import site_pages

GOOD = '<a href="b.html#there">b</a><a href="https://example.com/">out</a><img src="p.png">'
OTHER = '<h1 id="there">b</h1><a href="a.html">back</a>'


def made(folder: Path, text: str) -> Path:
    (folder / "a.html").write_text(text)
    (folder / "b.html").write_text(OTHER)
    (folder / "p.png").write_bytes(b"")
    return folder


def test_links_that_lead_somewhere_are_no_problem(tmp_path: Path) -> None:
    assert site_pages.problems(made(tmp_path, GOOD)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<a href="c.html">c</a>', "a.html links to c.html"),
        ('<a href="b.html#nowhere">b</a>', "a.html links to b.html#nowhere"),
        ('<a href="#nowhere">b</a>', "a.html links to #nowhere"),
        ('<img src="q.png">', "a.html links to q.png"),
        ('<script src="https://cdn.example/x.js"></script>', "a.html loads https://cdn.example/x.js"),
        ('<link href="//fonts.example/f.css">', "a.html loads //fonts.example/f.css"),
    ],
)
def test_what_leads_nowhere_or_is_fetched_is_named(text: str, said: str, tmp_path: Path) -> None:
    assert site_pages.problems(made(tmp_path, text)) == [said]
