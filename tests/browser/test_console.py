"""The console in headless Chromium, against a live fleet with simulated engines: what moves, what is shown,
what is kept."""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx2
import pytest

pytest.importorskip("selenium")
pytest.importorskip("uvicorn", reason="the page's extra is not installed")

from selenium.webdriver.chromium.webdriver import ChromiumDriver as WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import SHOTS
from tests.conftest import Stoker, free_port

KEY = "the-fleets-own-key"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stoker]:
    """Two replicas with some traffic."""
    stoker = Stoker(tmp_path_factory.mktemp("console"))
    stoker.env["K"] = KEY
    page = free_port()
    ran = stoker(
        "up",
        "-d",
        "-f",
        stoker.spec(
            replicas=2, endpoint={"port": stoker.port, "page": True, "page_port": page, "api_key": "env:K"}
        ),
    )
    assert ran.code == 0, ran.err
    stoker.page = f"http://127.0.0.1:{page}"  # type: ignore[attr-defined]
    done = Event()
    threads = [Thread(target=traffic, args=(stoker.url, done), daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    yield stoker
    done.set()
    for thread in threads:
        thread.join(10)
    stoker("down", "--all", "--now")
    for process in stoker.processes():
        process.kill()


def traffic(url: str, done: Event) -> None:
    body = {
        "model": "model",
        "max_tokens": 30,
        "stream": True,
        "messages": [{"role": "user", "content": "hello " * 40}],
    }
    while not done.is_set():
        try:
            with httpx2.stream(
                "POST",
                f"{url}/v1/chat/completions",
                json=body,
                headers={"Authorization": f"Bearer {KEY}"},
                timeout=10,
            ) as answer:
                for _ in answer.iter_bytes():
                    pass
        except httpx2.HTTPError:
            time.sleep(0.2)


class Console:
    """The page's parts, by what a visitor sees."""

    def __init__(self, browser: WebDriver, url: str) -> None:
        self.browser, self.url = browser, url
        self.look(1300, 1250, "light")
        browser.get(url)
        self.until(lambda: self.tile("ready") not in ("–", ""))

    def look(self, width: int, height: int, theme: str) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def text(self, css: str) -> str:
        return str(
            self.browser.execute_script("return document.querySelector(arguments[0]).textContent", css)
        )

    def tile(self, name: str) -> str:
        return self.text(f'[data-tile="{name}"] b')

    def rows(self) -> list[str]:
        # in one go: the table is written anew every second
        script = "return [...document.querySelectorAll('#replicas tbody tr')].map(row => row.innerText)"
        return [str(one) for one in self.browser.execute_script(script)]

    def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.text("body")
            time.sleep(0.05)

    def errors(self) -> list[str]:
        return [one["message"] for one in self.browser.get_log("browser") if one["level"] == "SEVERE"]

    def keys(self, keys: str) -> None:
        self.browser.find_element(By.TAG_NAME, "body").send_keys(keys)


@pytest.fixture
def console(browser: WebDriver, fleet: Stoker) -> Iterator[Console]:
    browser.get("about:blank")  # what the page before it says as its server ends is not ours
    browser.get_log("browser")
    browser.execute_cdp_cmd("Network.clearBrowserCache", {})
    yield Console(browser, fleet.page)  # type: ignore[attr-defined]
    browser.execute_script("sessionStorage.clear(); localStorage.clear()")


def ask(stoker: Any, path: str, key: str | None = None, body: Any = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = httpx2.request(
        "POST" if body is not None else "GET", f"{stoker.page}/api/{path}", headers=headers, json=body
    )
    return answer.status_code, answer.json()


def test_the_page_is_small_and_painted_soon(console: Console) -> None:
    script = (
        "const of = kind => performance.getEntriesByType(kind);"
        "return [...of('resource'), ...of('navigation')].filter(e => /static|\\/$/.test(e.name))"
        ".reduce((sum, e) => sum + e.transferSize, 0)"
    )
    size = console.browser.execute_script(script)
    assert 60_000 < size < 150_000
    paints = console.browser.execute_script(
        "return performance.getEntriesByType('paint').map(e => e.startTime)"
    )
    assert paints
    names = console.browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert {name.split("/")[2] for name in names} == {console.url.split("/")[2]}, "no other host is asked"
    assert console.errors() == []


def test_charts_move_with_the_traffic(console: Console) -> None:
    console.until(lambda: console.tile("out") not in ("–", "0"))
    assert console.tile("ready") == "2 / 2"
    assert console.text("#pill") == "2 of 2 ready"
    assert len(console.browser.find_elements(By.CSS_SELECTOR, ".chart canvas")) == 8
    last = "return page.charts[1].plot.data[0].length"
    before = console.browser.execute_script(last)
    console.until(lambda: console.browser.execute_script(last) > before)
    values = console.browser.execute_script("return page.charts[1].plot.data[1].filter(v => v > 0).length")
    assert values > 0, "tokens a second are drawn"
    times = console.browser.execute_script("return page.charts[2].plot.data[3].filter(v => v > 0).length")
    assert times > 0, "so is the time to the first token"
    assert console.errors() == []


def test_a_killed_replica_shows_within_two_seconds_and_its_story_is_told(
    console: Console, fleet: Stoker
) -> None:
    waits: list[float] = []
    for _ in range(5):  # the machine may be taken away for a second: once in time is enough
        console.until(lambda: console.text("#pill") == "2 of 2 ready", 30)
        told = console.text("#events").count("restarted")
        os.kill(fleet.state()["replicas"][1]["ranks"][0]["pid"], signal.SIGKILL)
        killed = time.monotonic()
        console.until(lambda: console.text("#pill") != "2 of 2 ready", 10)
        waits.append(time.monotonic() - killed)
        console.until(lambda told=told: console.text("#events").count("restarted") > told)  # type: ignore[misc]
        if waits[-1] < 2.0:
            break
    assert min(waits) < 2.0
    console.until(lambda: console.text("#pill") == "2 of 2 ready", 30)
    assert int(console.rows()[1].split()[-2]) == len(waits), "its restarts are counted"
    assert console.errors() == []


def test_a_log_is_read_and_keys_lead_there(console: Console) -> None:
    console.until(lambda: len(console.rows()) >= 2)
    console.keys(Keys.ARROW_DOWN)
    console.keys(Keys.ENTER)
    console.until(lambda: len(console.text("#log pre").splitlines()) > 2)
    assert console.text("#logname") == "Log of 2"
    console.browser.find_element(By.CSS_SELECTOR, "#log [data-close]").click()
    console.keys("2")
    console.until(
        lambda: (
            console.browser.find_element(By.CSS_SELECTOR, "[data-range='900']").get_attribute("aria-pressed")
            == "true"
        )
    )
    console.keys("f")
    console.until(lambda: len(console.browser.find_elements(By.CSS_SELECTOR, ".chart")) == 7)
    assert console.browser.execute_script("return document.getElementById('whose').value") == "2"
    assert console.errors() == []


def test_only_the_key_unlocks_what_changes_the_fleet(console: Console, fleet: Stoker) -> None:
    console.until(lambda: console.browser.find_element(By.ID, "unlock").is_displayed())
    assert not console.browser.find_element(By.ID, "acts").is_displayed()
    console.browser.find_element(By.ID, "unlock").click()
    console.browser.find_element(By.ID, "key").send_keys("wrong", Keys.ENTER)
    console.until(lambda: console.text("#wrong") == "not the key")
    box = console.browser.find_element(By.ID, "key")
    box.clear()
    box.send_keys(KEY, Keys.ENTER)
    console.until(lambda: console.browser.find_element(By.ID, "acts").is_displayed())
    console.browser.find_element(By.ID, "more").click()
    console.until(lambda: console.tile("ready") == "3 / 3", 30)
    assert "scaled from 2 to 3 replicas" in console.text("#events")
    console.until(
        lambda: console.browser.find_element(By.ID, "less").is_enabled() and not ask(fleet, "now")[1]["busy"],
        20,
    )
    console.browser.find_element(By.ID, "less").click()
    console.until(lambda: console.tile("ready") == "2 / 2", 30)
    assert console.errors() == []


def test_without_the_key_nothing_can_be_changed(fleet: Stoker) -> None:
    for key in (None, "", "wrong", KEY[:-1]):
        assert ask(fleet, "scale", key, {"replicas": 0})[0] == 403
        assert ask(fleet, "restart", key, {})[0] == 403
    bodies: list[Any] = [{}, {"replicas": -1}, {"replicas": "many"}, [], {"replicas": 10**9}]
    for body in bodies:
        assert ask(fleet, "scale", KEY, body)[0] == 400
    assert fleet.state()["wanted"] == 2
    assert ask(fleet, "log?name=../../etc/passwd")[0] == 404
    assert ask(fleet, "history?since=soon")[0] == 400
    assert ask(fleet, "history?since=99999999&replica=nobody") == (
        200,
        {**ask(fleet, "history")[1], "replica": "nobody", "rows": []},
    )


def test_pictures_in_both_themes_and_at_phone_width(console: Console) -> None:
    console.until(lambda: console.tile("ttft") != "–")
    for name, width, height, theme in (
        ("light", 1300, 1250, "light"),
        ("dark", 1300, 1250, "dark"),
        ("phone", 390, 1800, "dark"),
    ):
        console.look(width, height, theme)
        time.sleep(0.6)
        console.browser.save_screenshot(str(SHOTS / f"console-{name}.png"))
        overflow = console.browser.execute_script(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0, f"{name}: the page is wider than its window"
    assert console.errors() == []


def test_a_load_test_is_simulated_beside_what_was_measured(console: Console, tmp_path: Path) -> None:
    """On a fleet of its own: the other one's traffic is none of the test's."""
    stoker = Stoker(tmp_path)
    page = free_port()
    pace = {"base": 0.02, "prefill_token": 0.0001}
    engine = {"kind": "simulated", "max-num-seqs": 4, "simulate": {"profile": pace}}
    ends = {"port": stoker.port, "page": True, "page_port": page}
    assert stoker("up", "-d", "-f", stoker.spec(engine=engine, endpoint=ends)).code == 0
    try:
        console.browser.get(f"http://127.0.0.1:{page}")
        console.until(lambda: console.tile("ready") == "1 / 1")
        assert console.browser.find_element(By.ID, "foresee").is_displayed() is False, "no test yet"
        load = (
            "--rate",
            "5",
            "--input-len",
            "64",
            "--output-len",
            "32",
            "--duration",
            "20s",
            "--warmup",
            "0",
        )
        assert stoker("bench", *load, "--results", str(tmp_path / "run")).code in (0, 1)
        form = console.browser.find_element(By.ID, "foresee")
        console.until(form.is_displayed)
        console.browser.find_element(By.ID, "play").click()
        console.until(lambda: console.browser.find_elements(By.CSS_SELECTOR, "#foreseen table"), 60)
        console.browser.find_element(By.ID, "sets").send_keys("replicas=2 engine.max-num-seqs=8", Keys.ENTER)
        console.until(
            lambda: len(console.browser.find_elements(By.CSS_SELECTOR, "#foreseen th button")) == 2, 60
        )
        rows_of = "[...document.querySelectorAll('#foreseen tbody tr')]"
        script = f"return {rows_of}.map(row => [...row.cells].map(cell => cell.textContent))"
        rows = {row[0]: row[1:] for row in console.browser.execute_script(script)}
        assert rows["replicas"] == ["1", "1", "2"], rows
        gaps = [float(one.removesuffix(" ms")) for one in rows["ITL p50"]]
        assert gaps[1] == gaps[2] == 20
        assert 15 < gaps[0] < 60
        drawn = "return page.charts[1].plot.data[3].filter(v => v > 0).length"
        assert console.browser.execute_script(drawn) > 5, "dashed: tokens a second"
        console.browser.save_screenshot(str(SHOTS / "console-foreseen.png"))
        for field, said in (("model=/etc", "cannot be asked here"), ("replicas=many", "replicas")):
            box = console.browser.find_element(By.ID, "sets")
            box.clear()
            box.send_keys(field, Keys.ENTER)
            console.until(lambda said=said: said in console.text("#playing"), 60)  # type: ignore[misc]
        console.browser.find_element(By.ID, "clear").click()
        console.until(lambda: not console.text("#foreseen"))
        assert console.browser.execute_script(drawn) == 0
        assert [one for one in console.errors() if "api/foresee" not in one] == []
    finally:
        console.browser.get(console.url)
        stoker("down", "--now")


def test_figures_are_kept_for_post_mortems(fleet: Stoker) -> None:
    deadline = time.monotonic() + 90
    while True:  # a row is written every 15 s, and the first has no earlier one to take a rate from
        found = fleet("status", "--since", "10m", "-o", "json")
        assert found.code == 0, found.err
        if any(one["generation_tokens_rate"] for one in found.json()["points"]):
            break
        assert time.monotonic() < deadline, found.out
        time.sleep(1)
    out = fleet("status", "--since", "10m", "-o", "csv").out
    assert out.startswith("at,replica,ready,wanted,running")
    assert out.count("\n") >= 7, "two moments of a fleet and its two replicas"
    path = Path(next(fleet.home.rglob("history.sqlite")))
    assert path.stat().st_mode & 0o777 == 0o600
    out = fleet("status").out
    assert "TOKENS/S" in out
    assert " ms" in out


def test_figures_outlive_the_fleet(tmp_path: Path) -> None:
    stoker = Stoker(tmp_path)
    page = free_port()
    ran = stoker(
        "up", "-d", "-f", stoker.spec(endpoint={"port": stoker.port, "page": True, "page_port": page})
    )
    assert ran.code == 0, ran.err
    deadline = time.monotonic() + 60
    while stoker("status", "--since", "10m", "-o", "csv").out.count("\n") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    time.sleep(3)
    assert stoker("down", "--now").code == 0
    found = stoker("status", "--since", "10m", "-o", "json").json()
    assert len({one["at"] for one in found["points"]}) >= 2, "and what it did last was written as it ended"


def test_a_stream_is_server_sent_events(fleet: Stoker) -> None:
    with urllib.request.urlopen(f"{fleet.page}/api/stream", timeout=30) as answer:  # type: ignore[attr-defined]
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [answer.readline().decode() for _ in range(5)]
    assert lines[0] == "event: happened\n"
    assert lines[3] == "event: now\n"
    assert json.loads(lines[4].removeprefix("data: "))["state"]["name"] == "sim"
