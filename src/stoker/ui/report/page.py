"""The report as one file that needs nothing else: style and script are in it, and nothing is asked of any
host."""

from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files

from stoker import __version__
from stoker.traffic.sound import LATEST
from stoker.ui.report.html import Html, joined, tag

MEASURES = "docs/reference/measures.md"
SOURCE = "https://github.com/stoker-ai/stoker/blob/main/"


def page(title: str, pill: tuple[str, str], where: str, *sections: Html | None) -> str:
    """A whole page. pill: a word and its colour (good, warn, bad, dim); where: what it is about, short."""
    style = _static("console/static/console.css") + _static("report/static/report.css")
    script = _static("report/static/report.js")
    body = tag(
        "body",
        tag(
            "header",
            tag("h1", title),
            tag("span", pill[0], class_=f"pill {pill[1]}"),
            tag("span", where, class_="where"),
            tag("div", tag("button", "Theme", id="theme", type="button"), class_="right"),
        ),
        tag("main", *sections, _footer()),
        tag("script", Html(script)),
    )
    return f"<!doctype html>\n{tag('html', _head(title, style, script), body, lang='en')}\n"


def _head(title: str, style: str, script: str) -> Html:
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", Html(style)),
    )


def _footer() -> Html:
    return tag(
        "footer",
        f"stoker {__version__}. What each figure means: ",
        tag("a", MEASURES, href=SOURCE + MEASURES),
        class_="dim",
    )


def _static(name: str) -> str:
    return files("stoker.ui").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    """By which a page's policy knows the one script, or style, that may be in it."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def section(title: str, *children: object, **attributes: str) -> Html:
    """A card with its headline."""
    return tag("section", tag("h2", title), joined(*children), **attributes)


def when(epoch: float | None) -> str:
    """A moment as this machine's clock shows it."""
    if epoch is None or not 0 <= epoch <= LATEST:
        return ""
    return datetime.fromtimestamp(epoch, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
