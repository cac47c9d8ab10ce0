"""The web page as a visitor sees it: typed into, watched, stopped and failed at, in headless Chromium."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("selenium")
pytest.importorskip("gradio_client", reason="the page's extra is not installed")

from selenium.webdriver.chromium.webdriver import ChromiumDriver as WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import MODEL, SHOTS, Page
from tests.browser.fake_endpoint import FakeEndpoint, Orders
from tests.browser.visitor import Chat, outside, sent

ANSWER = "one two three four five six seven eight nine ten"


@pytest.fixture
def chat(browser: WebDriver, page: Page, fake: Orders) -> Chat:
    """The chat, freshly opened."""
    return Chat(browser, page)


@pytest.fixture(autouse=True)
def quiet_browser(browser: WebDriver) -> Iterator[None]:
    """Nothing in these tests may make the browser complain or speak to another host."""
    browser.get_log("browser")
    browser.get_log("performance")
    yield
    said = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not said
    assert outside(browser) == set()


def test_an_answer_is_seen_to_grow(chat: Chat, fake: Orders) -> None:
    fake.every = 0.4
    chat.say("Count to ten")
    chat.until(lambda: chat.last().startswith("one"), 30)
    lengths = set()
    while chat.last() != ANSWER:
        lengths.add(len(chat.last()))
        time.sleep(0.05)
    assert len(lengths) > 4
    chat.settle("ten")
    assert chat.find("#box textarea")[0].get_attribute("value") == ""
    chat.shoot("chat-light")


def test_the_conversation_is_kept(chat: Chat, fake: Orders) -> None:
    chat.say("First")
    chat.settle("ten")
    fake.words = ["again"]
    chat.say("Second")
    chat.settle("again")
    sent = fake.bodies[-1]["messages"]
    assert [(m["role"], m["content"].strip()) for m in sent] == [
        ("user", "First"),
        ("assistant", ANSWER),
        ("user", "Second"),
    ]
    assert chat.answers() == [ANSWER, "again"]


def test_retry_undo_and_clear(chat: Chat, fake: Orders) -> None:
    chat.say("First")
    chat.settle("ten")
    fake.words = ["better"]
    chat.find("#window [aria-label=Retry]")[0].click()
    chat.settle("better")
    assert [m["content"] for m in fake.bodies[-1]["messages"]] == ["First"]
    chat.find("#window [aria-label=Undo]")[0].click()
    chat.until(lambda: chat.answers() == [])
    chat.until(lambda: chat.find("#box textarea")[0].get_attribute("value") == "First")
    box = chat.find("#box textarea")[0]
    box.send_keys(Keys.ENTER)
    sent(box)
    chat.settle("better")
    chat.find("#window [aria-label=Clear]")[0].click()
    chat.until(lambda: chat.answers() == [])
    chat.say("Anew")
    chat.settle("better")
    assert [m["content"] for m in fake.bodies[-1]["messages"]] == ["Anew"]


@pytest.mark.parametrize("every", [0.02, 0.1, 60.0], ids=["fast", "slow", "silent"])
def test_stop_cancels_the_request(chat: Chat, fake: Orders, every: float) -> None:
    fake.words, fake.every = ["word"] * 2000, every
    chat.say("Never stop")
    chat.until(lambda: "word" in chat.last())
    if every == 0.1:
        chat.shoot("chat-streaming")
    pressed = time.monotonic()
    chat.find("#box .stop-button")[0].click()
    chat.until(lambda: fake.left, 10)
    assert fake.left[0] - pressed < 20
    chat.settle("Stopped.")
    fake.words, fake.every = ["fine"], 0
    chat.say("Go on")
    chat.settle("fine")
    assert [m["role"] for m in fake.bodies[-1]["messages"]] == ["user", "assistant", "user"]
    assert "\n".join(chat.answers()).count("Stopped.") == 1


@pytest.mark.parametrize("every", [0.1, 60.0], ids=["slow", "silent"])
def test_leaving_the_page_cancels_the_request(chat: Chat, fake: Orders, every: float) -> None:
    fake.words, fake.every = ["word"] * 200, every
    chat.say("Never stop")
    chat.until(lambda: "word" in chat.last())
    chat.browser.get("about:blank")
    chat.until(lambda: fake.left, 10)
    chat.browser.get_log("browser")  # Gradio's script remarks on its own end


def test_clearing_a_growing_answer_stops_it(chat: Chat, fake: Orders) -> None:
    fake.words, fake.every = ["word"] * 200, 0.1
    chat.say("Never stop")
    chat.until(lambda: "word word" in chat.last())
    chat.find("#window [aria-label=Clear]")[0].click()
    chat.until(lambda: fake.left, 10)
    chat.until(lambda: chat.answers() == [] and chat.find("#box .submit-button"))
    fake.words, fake.every = ["fine"], 0
    chat.say("Anew")
    chat.settle("fine")
    assert [m["content"] for m in fake.bodies[-1]["messages"]] == ["Anew"]


def test_a_refusal_is_a_message(chat: Chat, fake: Orders) -> None:
    fake.refuse = (503, "no replica is ready", {"retry-after": "5"})
    chat.say("Hello?")
    chat.settle("no replica is ready")
    assert "Try again in 5 s." in chat.last()
    chat.shoot("chat-refused")
    fake.refuse = None
    chat.say("Hello again")
    chat.settle("ten")
    assert [m["content"] for m in fake.bodies[-1]["messages"]] == ["Hello again"]


def test_a_stream_that_breaks_off_says_so(chat: Chat, fake: Orders) -> None:
    fake.cut_after = 3
    chat.say("Hello?")
    chat.settle("The answer broke off")
    assert "one two three" in "\n".join(chat.answers())
    assert "Traceback" not in chat.find("body")[0].text


def test_parameters_and_system_prompt_reach_the_request(chat: Chat, fake: Orders) -> None:
    chat.say("Plain")
    chat.settle("ten")
    assert set(fake.bodies[-1]) == {"model", "messages", "stream", "max_tokens"}
    for label, text in {"temperature": "0.3", "top_p": "0.9", "top_k": "7", "max_tokens": "12"}.items():
        chat.set(label, text)
    chat.set("System prompt", "Be brief.")
    chat.shoot("chat-settings")
    chat.say("With wishes")
    chat.until(lambda: len(fake.asked) == 2)
    chat.settle("ten")
    body = fake.bodies[-1]
    assert {n: body[n] for n in ("model", "stream", "temperature", "top_p", "top_k", "max_tokens")} == {
        "model": MODEL,
        "stream": True,
        "temperature": 0.3,
        "top_p": 0.9,
        "top_k": 7,
        "max_tokens": 12,
    }
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    chat.set("temperature", "warm")
    chat.say("Odd")
    chat.settle("temperature is 'warm', which is no number")


def test_a_model_without_a_template_is_asked_in_plain_text(chat: Chat, fake: Orders) -> None:
    fake.template = False
    chat.say("Hello")
    chat.settle("no chat template")
    chat.say("More")
    chat.until(lambda: len(fake.asked) == 4)
    chat.settle("ten")
    assert [path for path, _, _ in fake.asked][1::2] == ["/v1/completions"] * 2
    assert fake.bodies[-1]["prompt"] == f"User: Hello\nAssistant: {ANSWER} \nUser: More\nAssistant:"
    assert "\n".join(chat.answers()).count("no chat template") == 1


def test_what_a_model_writes_fetches_nothing(chat: Chat, fake: Orders) -> None:
    fake.words = ["![x](https://example.com/x.png)", "<script>document.title='taken'</script>", "done"]
    chat.say("Draw")
    chat.settle("done")
    said: list[str] = []

    def complaints() -> list[str]:
        return [one["message"] for one in chat.browser.get_log("browser") if one["level"] == "SEVERE"]

    def seen() -> bool:
        said.extend(complaints())
        return bool(said)

    chat.until(seen)
    time.sleep(1)
    seen()
    assert chat.browser.title == f"{MODEL} · chat"
    assert all("example.com" in text and "Content Security Policy" in text for text in said)


def test_page_and_server_speak_to_this_machine_alone(chat: Chat, page: Page, fake: Orders) -> None:
    chat.say("Hello")
    chat.settle("ten")
    urls = chat.browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert len(urls) > 5
    assert [url for url in urls if not url.startswith(page.url)] == []
    assert page.hosts() <= {"127.0.0.1"}


@pytest.mark.parametrize(
    ("name", "width", "height", "theme"),
    [
        ("phone", 390, 844, "light"),
        ("dark", 1200, 900, "dark"),
        ("phone-dark", 390, 844, "dark"),
    ],
)
def test_it_fits_a_phone_and_the_dark(
    chat: Chat, fake: Orders, name: str, width: int, height: int, theme: str
) -> None:
    chat.size(width, height)
    chat.theme(theme)
    chat.browser.get(f"{chat.page.url}/")
    chat.until(lambda: "1 of 1" in chat.find("#pill")[0].text and "ready" in chat.find("#door")[0].text)
    chat.shoot(f"start-{name}")
    assert chat.browser.execute_script("return document.documentElement.scrollWidth") <= width
    chat.find("#chat")[0].click()
    chat.until(lambda: chat.find("#box textarea"))
    chat.say("Count to ten, please, and say it in words")
    chat.settle("ten")
    fake.words = [
        "A",
        "list:\n\n1. first\n2. second\n\n```python\nprint('hello, this is a rather long line')\n```",
    ]
    chat.say("And a list")
    chat.settle("rather long")
    chat.shoot(f"chat-{name}")
    assert chat.browser.execute_script("return document.documentElement.scrollWidth") <= width
    dark = chat.browser.execute_script("return document.body.classList.contains('dark')")
    assert dark == (theme == "dark")


def test_the_start_page_tells_and_copies(chat: Chat, fake: Orders) -> None:
    chat.browser.get(f"{chat.page.url}/")
    chat.until(lambda: "1 of 1 ready" in chat.find("#pill")[0].text)
    assert f'"model": "{MODEL}"' in chat.find("#curl")[0].text
    chat.shoot("start-light")
    chat.find("#copy")[0].click()
    chat.until(lambda: chat.find("#copy")[0].text == "Copied")
    fake.healthy = False
    chat.until(lambda: "no replica is ready" in chat.find("#replicas")[0].text)


def test_with_a_key_the_page_is_locked(
    browser: WebDriver,
    start_page: Callable[..., Page],
    fake_server: FakeEndpoint,
    fake: Orders,
    tmp_path: Path,
) -> None:
    fake.healthy = False
    key_file = tmp_path / "endpoint.key"
    key_file.write_text("a-secret-key\n")
    locked = start_page(fake_server.url, "--key-file", str(key_file))
    locked.wait("starting")
    browser.get(locked.url)
    browser.find_element(By.CSS_SELECTOR, "#chat").click()
    assert "starting" in browser.find_element(By.TAG_NAME, "body").text
    browser.save_screenshot(str(SHOTS / "chat-starting.png"))
    fake.healthy = True  # the page opens by itself once the chat is loaded
    deadline = time.monotonic() + 240
    while not browser.find_elements(By.CSS_SELECTOR, "input[type=password]"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    browser.save_screenshot(str(SHOTS / "chat-login.png"))
    name, password = browser.find_elements(
        By.CSS_SELECTOR, "form input, form textarea, .form input, .form textarea"
    )
    name.send_keys("me")
    password.send_keys("wrong", Keys.ENTER)
    deadline = time.monotonic() + 30
    while "ncorrect" not in browser.find_element(By.TAG_NAME, "body").text:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    browser.get_log("browser")  # the browser remarks on the 400 that a wrong password is
    name.send_keys("me")
    password.send_keys("a-secret-key", Keys.ENTER)
    while not browser.find_elements(By.CSS_SELECTOR, "#box textarea"):
        assert time.monotonic() < deadline + 10
        time.sleep(0.1)
    browser.find_element(By.CSS_SELECTOR, "#box textarea").send_keys("Hello", Keys.ENTER)
    while not fake.asked:
        assert time.monotonic() < deadline + 20
        time.sleep(0.1)
    while not browser.find_elements(By.CSS_SELECTOR, "#box .submit-button"):
        assert time.monotonic() < deadline + 20
        time.sleep(0.1)
    assert fake.asked[-1][2] == "Bearer a-secret-key"
    assert "a-secret-key" not in browser.page_source
    for path in ("/chat/config", "/chat/gradio_api/info", "/chat/gradio_api/queue/data?session_hash=x"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(locked.url + path)
    fake.words, fake.every = ["word"] * 200, 0.1  # its stream is still running when the page is stopped
    box = browser.find_element(By.CSS_SELECTOR, "#box textarea")
    asked = 0.0
    while len(fake.asked) < 2:  # Gradio may also empty the box as it ends the last answer, and send nothing
        assert time.monotonic() < deadline + 50
        if not box.get_property("value") and time.monotonic() - asked > 8:
            box.send_keys("Go on", Keys.ENTER)
            sent(box)
            asked = time.monotonic()
        time.sleep(0.1)
