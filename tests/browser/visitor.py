"""A visitor of the chat page: what is found there, typed and seen, and what the browser asked of others."""

import json
import time
from collections.abc import Callable

from selenium.webdriver.chromium.webdriver import ChromiumDriver as WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.browser.conftest import SHOTS, Page


class Chat:
    """The chat page's parts, by what a visitor calls them."""

    def __init__(self, browser: WebDriver, page: Page) -> None:
        self.browser, self.page = browser, page
        self.size(1200, 900)
        self.theme("light")
        browser.get(f"{page.url}/chat/")
        self.until(lambda: self.find("#box textarea"), 60)

    def find(self, css: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, css)

    def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"the page shows: {self.find('body')[0].text!r}"
            time.sleep(0.05)

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def theme(self, name: str) -> None:
        media = {"features": [{"name": "prefers-color-scheme", "value": name}]}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def say(self, text: str) -> None:
        self.until(lambda: self.find("#box textarea")[0].is_enabled() and self.find("#box .submit-button"))
        box = self.find("#box textarea")[0]
        box.send_keys(text, Keys.ENTER)
        sent(box)

    def answers(self) -> list[str]:
        found: list[str] = self.browser.execute_script(
            "return [...document.querySelectorAll('#window [data-testid=bot]')].map(e => e.innerText.trim())"
        )
        return found

    def last(self) -> str:
        return self.answers()[-1] if self.answers() else ""

    def settle(self, text: str) -> None:
        self.until(lambda: text in self.last() and self.find("#box .submit-button"))

    def set(self, label: str, text: str) -> None:
        if not self.find("#settings textarea, #settings input"):
            self.find("#settings button")[0].click()
        self.until(lambda: self.find("#settings textarea, #settings input"))
        xpath = f"//label[.//span[normalize-space()='{label}']]//*[self::input or self::textarea]"
        field = self.browser.find_element(By.XPATH, xpath)
        field.clear()
        field.send_keys(text)

    def shoot(self, name: str) -> None:
        time.sleep(0.3)  # animations
        self.browser.save_screenshot(str(SHOTS / f"{name}.png"))


def sent(box: WebElement) -> None:
    """Sees to it that a message goes: Gradio takes none in the moment in which it ends the last one."""
    pressed = begun = time.monotonic()
    while box.get_property("value"):
        assert time.monotonic() - begun < 30, "the message is not taken"
        if time.monotonic() - pressed > 2:
            box.send_keys(Keys.ENTER)
            pressed = time.monotonic()
        time.sleep(0.02)


def outside(browser: WebDriver) -> set[str]:
    """Addresses off this machine that the browser asked since the last look; what the page's policy held back
    is none."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked, held = {}, set()
    for message in messages:
        params = message["params"]
        if message["method"] == "Network.requestWillBeSent":
            asked[params["requestId"]] = params["request"]["url"]
        elif message["method"] == "Network.loadingFailed" and params.get("blockedReason") == "csp":
            held.add(params["requestId"])
    here = ("http://127.0.0.1:", "data:", "blob:", "chrome:")
    return {url for request, url in asked.items() if request not in held and not url.startswith(here)}
