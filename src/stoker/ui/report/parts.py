"""Parts that reports have in common: tiles, findings, latencies, environment, what figures mean."""

from collections.abc import Iterable, Mapping, Sequence

from stoker.findings import Finding
from stoker.traffic.run import Environment
from stoker.traffic.setups import flat
from stoker.ui.report.html import Html, table, tag
from stoker.ui.report.page import section

_KINDS = {"error": "bad", "warning": "warn", "note": "dim"}
DEFINED = (
    ("Time to first token (ttft)", "first token received - moment the request was due"),
    ("Inter-token latency (itl)", "time between tokens that follow each other, of all answers; 0 between "
     "tokens that came in one event"),
    ("Time per output token (tpot)", "(last token - first token) / (tokens - 1), of each answer"),
    ("End to end (e2e)", "end of the answer - moment the request was due"),
    ("From sent", "the same, from the moment the request left"),
    ("Dispatch lag", "moment sent - moment due: the load generator's own delay"),
    ("Output tokens/s", "tokens of all answers that came within the window / its seconds"),
    ("Goodput", "requests that kept every objective / seconds of the window; a failed request keeps none"),
    ("Quantiles", "interpolated between neighbours (Hyndman and Fan, type 7)"),
    ("Window", "requests that were due after the warm-up and before the last was sent"),
)  # fmt: skip


def tiles(found: Iterable[tuple[str, str, str] | None]) -> Html:
    """The figures that matter most, large: each with what it is, and something more below it."""
    shown = [one for one in found if one is not None]
    made = [
        tag("div", tag("b", value), tag("span", name), tag("span", more or None), class_="tile")
        for value, name, more in shown
    ]
    return tag("div", made, class_="tiles")


def finding(one: Finding) -> Html:
    """What, why and the fix."""
    return tag(
        "li",
        tag("strong", one.what, class_=_KINDS[one.severity]),
        tag("div", one.why) if one.why else None,
        tag("div", tag("span", "fix ", class_="dim"), one.fix) if one.fix else None,
    )


def findings(found: Sequence[Finding]) -> Html | None:
    """All of them; None without any."""
    return tag("ul", [finding(one) for one in found], class_="findings") if found else None


def facts(title: str, known: Mapping[str, str]) -> Html | None:
    """Names and what they are, as a list; None without any."""
    pairs = [(tag("dt", name), tag("dd", text)) for name, text in known.items() if text]
    return section(title, tag("dl", pairs)) if pairs else None


def environment(known: Environment, more: Mapping[str, str]) -> Html | None:
    """Where and with what it was measured."""
    cores = f"{known.cores} cores" if known.cores else ""
    return facts(
        "Environment",
        {
            **more,
            "engine": known.engine,
            "load generator": ", ".join(one for one in (known.machine, cores) if one),
            "versions": ", ".join(
                f"{name} {text}"
                for name, text in (("stoker", known.stoker), ("Python", known.python))
                if text
            ),
            "price": "" if known.price is None else f"${known.price:.2f} an hour",
        },
    )


def spec(known: Environment) -> Html | None:
    """The fleet's spec, to open; None where it is not known."""
    rows: list[list[object]] = [[name, text] for name, text in flat(known.spec)]
    if not rows:
        return None
    opened = tag(
        "details", tag("summary", "what was asked for"), table(["field", "value"], rows, frozenset())
    )
    return section("The fleet's spec", opened)


def definitions() -> Html:
    """What each figure means, short."""
    pairs = [(tag("dt", name), tag("dd", text)) for name, text in DEFINED]
    return section("What the figures mean", tag("dl", pairs))
