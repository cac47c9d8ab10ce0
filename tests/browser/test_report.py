"""The report in headless Chromium, opened from a file: it asks nobody, nothing in it fails, and it can be
read in light and dark, on a phone and on paper."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium")

from selenium.webdriver.chromium.webdriver import ChromiumDriver as WebDriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from stoker.traffic import compare, curve, setups
from stoker.traffic.result import of_run
from stoker.ui.report import compare_page, curve_page, run_page
from tests.browser.conftest import SHOTS
from tests.support.runs import made

EVIL = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
WIDTHS = {"desktop": 1280, "phone": 390}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind, in files."""
    folder = tmp_path_factory.mktemp("reports")
    run = made(1, 20.0, 60.0, failing=0.03, text=EVIL)
    pair = of_run(run), of_run(made(2, 20.0, 60.0, ttft=0.06))
    rows, differ = compare.compare(*pair), setups.differences(*pair)
    runs = [(f"rate-{rate}", made(rate, rate, 30.0, ttft=0.01 * rate)) for rate in (2, 4, 8, 16)]
    sweep = {"capacity": {"level": 9.0, "low": 8.1, "high": 9.8, "limits": ["ttft"]}}
    made_ = {
        "run": run_page.run_page(replace(run, name=EVIL)),
        "compared": compare_page.compare_page(
            ("a", "b"), pair, rows, differ, tuple(setups.comparable(*pair))
        ),
        "sweep": curve_page.curve_page(curve.curve(runs, sweep)),
    }
    for name, text in made_.items():
        (folder / f"{name}.html").write_text(text, "utf-8")
    return {name: folder / f"{name}.html" for name in made_}


def show(browser: WebDriver, path: Path, width: int = 1280, theme: str = "light") -> None:
    """Opens a page; what was logged before is forgotten."""
    media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(path.as_uri())


def asked(browser: WebDriver) -> list[str]:
    """Everything that the page has asked for."""
    events = (json.loads(one["message"])["message"] for one in browser.get_log("performance"))
    return [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]


@pytest.mark.parametrize("name", ["run", "compared", "sweep"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_asks_nobody_and_nothing_fails(
    browser: WebDriver, pages: dict[str, Path], name: str, theme: str, width: str
) -> None:
    show(browser, pages[name], WIDTHS[width], theme)
    assert [url for url in asked(browser) if not url.startswith("data:")] == [pages[name].as_uri()]
    assert browser.get_log("browser") == []
    assert browser.title != "taken"
    wide: Any = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= WIDTHS[width]
    height: Any = browser.execute_script("return document.documentElement.scrollHeight")
    screen = {"width": WIDTHS[width], "height": height, "deviceScaleFactor": 1, "mobile": width == "phone"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.save_screenshot(str(SHOTS / f"report-{name}-{theme}-{width}.png"))


def test_every_figure_can_be_read_under_the_pointer(browser: WebDriver, pages: dict[str, Path]) -> None:
    show(browser, pages["run"])
    figure = browser.find_elements(By.TAG_NAME, "figure")[0]
    svg = figure.find_element(By.TAG_NAME, "svg")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", svg)
    ActionChains(browser).move_to_element(svg).perform()
    shown = [one.text for one in figure.find_elements(By.CSS_SELECTOR, ".legend b")]
    assert shown[0].endswith(" s")
    assert all(shown)
    cells = figure.find_elements(By.CSS_SELECTOR, "tbody tr")
    browser.execute_script("arguments[0].open = true", figure.find_element(By.TAG_NAME, "details"))
    assert any([one.text for one in row.find_elements(By.CSS_SELECTOR, "th, td")] == shown for row in cells)
    ActionChains(browser).move_to_element(browser.find_element(By.TAG_NAME, "h1")).perform()
    assert not figure.find_element(By.CSS_SELECTOR, ".at").text


def test_the_theme_can_be_chosen(browser: WebDriver, pages: dict[str, Path]) -> None:
    show(browser, pages["run"])
    color = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(color)
    browser.find_element(By.ID, "theme").click()
    dark = browser.execute_script(color)
    browser.find_element(By.ID, "theme").click()
    assert dark != light == browser.execute_script(color)


def test_text_stands_out_from_what_is_behind_it(browser: WebDriver, pages: dict[str, Path]) -> None:
    """Contrast of all text that is shown, by WCAG's formula: 4.5 to 1 at least."""
    for theme in ("light", "dark"):
        show(browser, pages["run"], theme=theme)
        assert browser.execute_script(CONTRAST) == []


CONTRAST = """
const parse = text => { const n = text.match(/[0-9.]+/g).map(Number); return n.length > 3 && n[3] === 0 ? null : n.slice(0, 3); };
const light = rgb => { const [r, g, b] = rgb.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
const behind = one => { for (; one; one = one.parentElement) { const found = parse(getComputedStyle(one).backgroundColor); if (found) return found; } return [255, 255, 255]; };
const faint = [];
for (const one of document.querySelectorAll("body *")) {
  if (![...one.childNodes].some(node => node.nodeType === 3 && node.data.trim()) || !one.getClientRects().length || one.tagName === "SCRIPT") continue;
  const style = getComputedStyle(one), color = parse(one instanceof SVGElement ? style.fill : style.color);
  const [high, low] = [light(color), light(behind(one))].sort((a, b) => b - a);
  if ((high + .05) / (low + .05) < 4.5) faint.push(`${one.tagName} ${one.className.baseVal ?? one.className} ${one.textContent.slice(0, 30)} ${((high + .05) / (low + .05)).toFixed(2)}`);
}
return [...new Set(faint)].slice(0, 10);
"""  # noqa: E501


def test_it_prints(browser: WebDriver, pages: dict[str, Path]) -> None:
    show(browser, pages["run"], theme="dark")
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    paper = base64.b64decode(printed["data"])
    assert paper.startswith(b"%PDF")
    (SHOTS / "report-run.pdf").write_bytes(paper)
