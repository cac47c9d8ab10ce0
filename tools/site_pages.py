"""Makes the pages a site, `build/site`, with search and without the network: `make site`; checks its links.

Sphinx, MyST and Furo, pinned and hashed in locks/site.txt, stand in an environment of their own,
`.venv-site`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import sources
from installer import LOCKS, ROOT, VENV

LOCK = LOCKS / "site.txt"
PLACE = ROOT / ".venv-site"
STAMP = PLACE / "stoker-site.txt"
SITE = ROOT / "build" / "site"
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src"}  # what a browser fetches by itself


class Page(HTMLParser):
    """What a page links to, what it loads, and the places in it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in LOADED and given.get(LOADED[tag]):
            self.loads.append(given[LOADED[tag]])


def problems(site: Path) -> list[str]:
    """Links of a site that lead nowhere, and what its pages would fetch from another host."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    out = []
    for path, page in pages.items():
        here = path.relative_to(site)
        out += [f"{here} loads {url}" for url in page.loads if urlsplit(url).netloc]
        out += [
            f"{here} links to {url}" for url in (*page.links, *page.loads) if not _there(path, url, pages)
        ]
    return out


def _there(path: Path, url: str, pages: dict[Path, Page]) -> bool:
    """Whether a link of a page leads to a file, and to a place in it."""
    parts = urlsplit(url)
    if parts.scheme or parts.netloc:
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return False
    return not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].ids


def ready() -> None:
    """The environment, as the lock says; nothing is done where it is there."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if STAMP.exists() and STAMP.read_text() == digest:
        return
    venv.create(str(PLACE), clear=True, symlinks=True)
    listing = subprocess.run(
        [str(VENV / "bin" / "python"), "-m", "pip", "config", "list"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    settings = sources.pip_settings(listing.stdout)
    argv = [str(VENV / "bin" / "uv"), "pip", "sync", "--quiet", "--python", str(PLACE / "bin" / "python")]
    argv += [*sources.uv_flags(settings), "--require-hashes", "--only-binary", ":all:", str(LOCK)]
    subprocess.run(argv, env=_environment(settings), check=True)
    STAMP.write_text(digest)


def _environment(settings: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **sources.system_certificates(), **sources.uv_environment(settings)}


def main() -> int:
    """Builds and checks."""
    ready()
    argv = [
        str(PLACE / "bin" / "python"),
        "-m",
        "sphinx",
        "--fail-on-warning",
        "--keep-going",
        "-q",
        "-b",
        "html",
    ]
    if code := subprocess.call([*argv, "-d", str(SITE.parent / "doctrees"), str(ROOT / "docs"), str(SITE)]):
        return code
    wrong = problems(SITE)
    print("\n".join(wrong) or f"  ok    site        {SITE.relative_to(ROOT)}/index.html")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
