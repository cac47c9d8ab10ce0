"""The browser tier: headless Chromium, the page's own process, and a fake endpoint behind it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import stoker
from tests.browser.fake_endpoint import FakeEndpoint, Orders
from tests.conftest import free_port

if TYPE_CHECKING:
    from selenium.webdriver.chromium.webdriver import ChromiumDriver as WebDriver

SHOTS = Path(__file__).parent / "screenshots"
CHROMIUM, CHROMEDRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
MODEL = "SmolLM2-135M-Instruct"
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --lang=en"
)
# Runs inside the page's process before anything else: writes down every address it looks up or connects to.
WATCH = """
import os, sys
def seen(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        address = args[1] if event == "socket.connect" else args[0]
        with open(os.environ["WATCH_FILE"], "a") as file:
            file.write(repr(address) + "\\n")
sys.addaudithook(seen)
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks this folder's tests; skips them, saying why, where something they need is not there."""
    missing = [path for path in (CHROMIUM, CHROMEDRIVER) if not shutil.which(path)]
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if missing:
                reason = f"no {' and no '.join(missing)}: apt-get install chromium chromium-driver"
                item.add_marker(pytest.mark.skip(reason=reason))


@dataclass
class Page:
    """The web app's process."""

    url: str
    process: "subprocess.Popen[str]"
    watched: Path

    def health(self) -> dict[str, Any]:
        """What `/health` says."""
        with urllib.request.urlopen(f"{self.url}/health", timeout=5) as response:
            value: dict[str, Any] = json.load(response)
        return value

    def wait(self, state: str) -> None:
        """Until the page answers and its chat is in that state."""
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            try:
                if (now := self.health())["chat"] == state:
                    return
                assert now["chat"] != "failed", now
            except OSError:
                assert self.process.poll() is None, self.process.communicate()[1]
            time.sleep(0.05)
        raise AssertionError(f"the page did not become {state}")

    def hosts(self) -> set[str]:
        """The hosts that the process itself spoke to or looked up."""
        lines = self.watched.read_text().splitlines() if self.watched.exists() else []
        addresses = [eval(line) for line in lines]
        return {address[0] if isinstance(address, tuple) else str(address) for address in addresses}


@pytest.fixture(scope="session")
def start_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Page]]:
    """Starts pages; at the end each must go soon after SIGTERM, saying nothing."""
    pages: list[Page] = []

    def start(endpoint: str, *more: str) -> Page:
        folder = tmp_path_factory.mktemp("page")
        (folder / "sitecustomize.py").write_text(WATCH)
        path = os.pathsep.join([str(folder), str(Path(stoker.__file__).parents[1])])
        port = free_port()
        argv = ["--endpoint", endpoint, "--model", MODEL, "--port", str(port), *more]
        process = subprocess.Popen(
            [sys.executable, "-m", "stoker.ui.console", *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "WATCH_FILE": str(folder / "seen")},
        )
        pages.append(Page(f"http://127.0.0.1:{port}", process, folder / "seen"))
        return pages[-1]

    yield start
    for page in pages:
        page.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        try:
            out, err = page.process.communicate(timeout=30)
        finally:
            page.process.kill()
        assert time.monotonic() - begun < 20
        assert (page.process.returncode, out, err) == (0, "", "")


@pytest.fixture(scope="session")
def fake_server() -> Iterator[FakeEndpoint]:
    """One fake endpoint for all tests."""
    server = FakeEndpoint()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def fake(fake_server: FakeEndpoint) -> Orders:
    """The fake's orders, new for each test."""
    fake_server.orders = Orders()
    return fake_server.orders


@pytest.fixture(scope="session")
def page(start_page: Callable[..., Page], fake_server: FakeEndpoint) -> Page:
    """The page in front of the fake endpoint, its chat loaded."""
    started = start_page(fake_server.url)
    started.wait("ready")
    return started


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["WebDriver"]:
    """Headless Chromium."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    SHOTS.mkdir(exist_ok=True)
    yield driver
    driver.quit()
