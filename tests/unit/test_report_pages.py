"""The report's page: whole, alone, true to the run, and nothing of others runs in it."""

import hashlib
import re
from base64 import b64encode
from dataclasses import replace
from functools import cache

import pytest
from tests.support.html_page import Page
from tests.support.runs import made

from stoker.findings import Finding
from stoker.fleet.points import Point
from stoker.traffic import compare, curve, limits, setups
from stoker.traffic.result import of_run
from stoker.traffic.run import Moment, Run, ServerSide
from stoker.ui.report import compare_page, curve_page, distributions, run_page
from stoker.ui.report.page import SOURCE
from stoker.ui.report.timelines import Timelines

EVIL = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x00\x1b[31m&amp;"


LATE = Finding("late", rule="bench-lag")


@cache
def run(seed: int = 0, failing: float = 0.02) -> Run:
    return made(seed, 20.0, 30.0, failing=failing)


def compared() -> str:
    a, b = of_run(run(0)), of_run(made(1, 20.0, 30.0, ttft=0.07))
    rows, differ = compare.compare(a, b), setups.differences(a, b)
    return compare_page.compare_page(("a", "b"), (a, b), rows, differ, tuple(setups.comparable(a, b)))


def swept(shift: float = 0.0) -> curve.Curve:
    runs = [(f"rate-{rate}", made(rate, rate, 20.0, ttft=0.02 * rate + shift)) for rate in (1, 2, 4, 8)]
    sweep = {"capacity": {"level": 4.2 - shift, "low": 3.9 - shift, "high": 4.4 - shift, "limits": ["ttft"]}}
    return curve.curve(runs, sweep)


PAGES = {
    "run": lambda: run_page.run_page(run()),
    "all failed": lambda: run_page.run_page(run(1, 1.0)),
    "nothing": lambda: run_page.run_page(replace(run(), records=(), timeline=())),
    "empty": lambda: run_page.run_page(made(0, 0.001, 10.0)),
    "compared": compared,
    "curve": lambda: curve_page.curve_page(swept()),
    "curves": lambda: compare_page.curves_page(("a", "b"), (swept(), swept(1.0)), ()),
    "evil": lambda: run_page.run_page(evil()),
}


def evil() -> Run:
    found = made(0, 10.0, 10.0, failing=0.3, text=EVIL)
    return replace(
        found,
        name=EVIL,
        model=EVIL,
        url=EVIL,
        workload={EVIL: EVIL},
        environment=replace(found.environment, machine=EVIL, spec={EVIL: {EVIL: EVIL}}),
        findings=(Finding(EVIL, EVIL, EVIL, EVIL),),
    )


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_well_formed_and_asks_nobody(name: str) -> None:
    text = PAGES[name]()
    page = Page(text)
    assert set(page.places()) == {"data:,", f"{SOURCE}docs/reference/measures.md"}
    style = page.root.all("style")[0].text
    assert not re.search(r"url\(|@import|expression", style)
    ids = [one.attributes["id"] for one in page.every() if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    assert not [
        one for one in page.every() if any(key.startswith("on") or key == "style" for key in one.attributes)
    ]


@pytest.mark.parametrize("name", PAGES)
def test_its_policy_knows_its_one_script_and_style_and_no_other(name: str) -> None:
    page = Page(PAGES[name]())
    policy = next(
        one.attributes["content"] or ""
        for one in page.root.all("meta")
        if one.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        (only,) = page.root.all(kind)
        digest = b64encode(hashlib.sha256(only.text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("name", PAGES)
def test_every_chart_has_a_title_axes_with_units_and_its_figures_as_a_table(name: str) -> None:
    page = Page(PAGES[name]())
    figures = page.root.all("figure")
    assert bool(figures) == (name != "nothing")
    ids = {one.attributes.get("id"): one for one in page.every()}
    for one in figures:
        (svg,) = one.all("svg")
        assert svg.attributes["role"] == "img"
        labels = [ids[label] for label in (svg.attributes["aria-labelledby"] or "").split()]
        assert [label.name for label in labels] == ["title", "desc"]
        assert all(label.said().strip() for label in labels)
        names = [text.said() for text in svg.all("text") if "name" in (text.attributes.get("class") or "")]
        assert len(names) == 2
        assert all(names)
        (details,) = one.all("details")
        (body,) = details.all("tbody")
        places = (details.all("table")[0].attributes["data-at"] or "").split()
        assert len(places) == len(body.all("tr")) > 0


def test_what_others_said_is_text_in_it() -> None:
    text = run_page.run_page(evil())
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "\x00" not in text
    assert "\x1b" not in text
    said = Page(text).root.said()
    assert said.count("<script>alert(1)</script>") >= 6
    assert "&amp;" in said  # not unescaped twice


def test_a_long_run_has_a_small_page() -> None:
    long = made(0, 50.0, 300.0, tokens=3, failing=0.1)
    text = run_page.run_page(long)
    assert len(long.records) > 14_000
    assert len(text) < 300_000
    assert max(len(one.attributes.get("d") or "") for one in Page(text).root.all("path")) < 30_000


# what it says


@pytest.mark.parametrize(
    ("change", "pill", "said"),
    [
        (lambda r: r, "objectives not kept", "No: 97"),
        (lambda r: replace(r, share=0.9), "objectives kept", "Yes: 97"),
        (lambda r: replace(r, findings=(LATE,)), "not to be believed", "No: the findings"),
        (lambda r: replace(r, summary=replace(r.summary, attainment=None, failed=0)), "measured", "None"),
        (lambda r: replace(r, interrupted=True), "objectives not kept", "It ended early"),
    ],
)  # fmt: skip
def test_the_verdict(change: object, pill: str, said: str) -> None:
    found = change(made(2, 20.0, 60.0, ttft=0.04, failing=0.02))  # type: ignore[operator]
    assert run_page.pill(found)[0] == pill
    assert said in " ".join(text for _, text in run_page.sentences(found))


def limited(**more: object) -> str:
    return limits.limited_by(replace(run(), **more))  # type: ignore[arg-type]


def told(**figures: float) -> tuple[Moment, ...]:
    return tuple(Moment(float(n), Point(0.0, **figures)) for n in range(30))  # type: ignore[arg-type]


def test_what_limited_it() -> None:
    behind = Finding("", rule="bench-saturated")
    kept = replace(run().summary, attainment=1.0)
    assert limited(findings=(LATE,)).startswith("The load generator itself")
    assert limited(findings=(behind,)).startswith("The server: it completed less")
    assert limited(findings=(behind,), timeline=told(kv_cache_usage=0.99)).startswith("The KV cache: ")
    assert limited(findings=(behind,), timeline=told(waiting=7.0)).startswith(
        "The engine's pace: 7.0 requests"
    )
    assert limited(workload={"users": "8"}, summary=kept).startswith("The users: ")
    assert limited(workload={"users": "8"}, timeline=told(waiting=3.0)).startswith("The engine's pace")
    assert limited(summary=replace(kept, attainment=0.5, broken={"itl": 3})).startswith(
        "The pace of each answer: 3"
    )
    assert limited(server=ServerSide(preemptions=0.5)).endswith("0.50 preemptions/s.")
    assert limited(summary=kept).startswith("Nothing: ")


def test_the_course_of_a_run_adds_up_to_it() -> None:
    found = run()
    charts = {one.title: one for one in Timelines(found).charts()}
    due, completed, failed = charts["Requests"].series
    counts = [sum(value or 0 for _, value in one.points) for one in (due, completed, failed)]
    answered = sum(one.ok for one in found.records)
    assert counts == [len(found.records), answered, len(found.records) - answered]
    tokens = charts["Output tokens"].series[0]
    assert sum(value or 0 for _, value in tokens.points) == sum(one.streamed for one in found.records)
    flight = charts["Requests at once"].series[0]
    assert flight.points[-1][1] == 0
    assert [(one.label, one.start, one.end) for one in charts["Requests"].spans] == [
        ("warm-up", 0.0, 3.0),
        ("cool-down", 30.0, charts["Requests"].x.high),
    ]
    assert charts["KV cache"].series[0].points[5][1] == 0.3


def test_histograms_hold_every_observation_or_say_how_many_they_leave_out() -> None:
    values = distributions.observed(run())
    charts = {one.title: one for one in distributions.histograms(values)}
    for title, name in (
        ("Time to first token", "ttft"),
        ("Inter-token latency", "itl"),
        ("Dispatch lag", "lag"),
    ):
        if title not in charts:  # all the same
            continue
        held = sum(value or 0 for _, value in charts[title].series[0].points)
        left = re.search(r"([\d,]+) of", charts[title].says)
        assert held + (int(left[1].replace(",", "")) if left else 0) == len(values[name])
    assert "Prompt length" not in charts  # 100 tokens each


def test_percentiles_are_the_runs_own() -> None:
    chart = distributions.cumulative(distributions.observed(run()), run().objectives)
    assert chart is not None
    row = next(one for one in chart.rows if one[0] == 0.5)
    found = run().summary
    assert row[1:] == pytest.approx((found.ttft.p50, found.itl.p50, found.tpot.p50, found.e2e.p50))
    assert [(one.at, one.hue) for one in chart.marks] == [(0.1, "a"), (0.02, "e")]  # itl bounds the mean


# several runs


def test_a_curve_has_its_levels_in_order_and_the_capacity_in_words() -> None:
    found = swept()
    assert [one.level for one in found.levels] == [1, 2, 4, 8]
    assert curve_page.sentences(found)[0].startswith(
        "Capacity: 4.20 requests/s (at 95%: 3.90 to 4.40), with 99%"
    )
    assert "the time to the first token grew too long" in curve_page.sentences(found)[0]
    assert "rate" not in found.workload


def test_a_curve_without_a_sweep_names_the_best_level_and_takes_repeats_together() -> None:
    runs = [("a", made(1, 4.0, 20.0)), ("b", made(2, 4.0, 20.0)), ("c", made(3, 8.0, 20.0, ttft=0.5))]
    found = curve.curve(runs)
    assert found.capacity is None
    assert curve_page.sentences(found)[0].startswith("4 requests/s is the highest")
    assert [(level, len(ones)) for level, ones in curve.merged(found.levels)] == [(4.0, 2), (8.0, 1)]


def test_the_run_with_one_user_is_no_part_of_a_curve_over_rates() -> None:
    alone = replace(made(1, 2.0, 20.0), workload={"users": "1"})
    found = curve.curve([("one-user", alone), ("rate-4", made(1, 4.0, 20.0)), ("rate-8", made(1, 8.0, 20.0))])
    assert (found.axis, [one.folder for one in found.levels]) == ("rate", ["rate-4", "rate-8"])


@pytest.mark.parametrize(
    ("capacity", "level"), [(5, 5.0), ({"level": 5}, 5.0), ({"level": None}, None), ({"level": "x"}, None)]
)
def test_a_sweeps_capacity_is_read_in_any_form(capacity: object, level: float | None) -> None:
    found = curve.curve([("a", made(1, 4.0, 20.0))], {"capacity": capacity})
    assert found.capacity is not None
    assert found.capacity.level == level


@pytest.mark.parametrize("sweep", [{}, {"capacity": "x"}, {"capacity": []}, {"capacity": True}])
def test_a_sweep_without_a_capacity_has_none(sweep: dict[str, object]) -> None:
    assert curve.curve([("a", made(1, 4.0, 20.0))], sweep).capacity is None


def test_capacities_differ_where_their_intervals_do_not_meet() -> None:
    assert curve.capacities(swept(), swept()).endswith("no difference is seen.")
    assert curve.capacities(swept(), swept(1.0)).endswith("more than chance.")
    assert curve.capacities(swept(), replace(swept(), capacity=None)) == ""
