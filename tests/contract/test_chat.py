"""`stoker chat`: one shot, piped, in a terminal, against a fleet and against any endpoint."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from tests.conftest import Stoker

from stoker.engine.openai import SseReader
from stoker.errors import EnvironmentFailed, UsageError
from stoker.fleet.target import Endpoint
from stoker.ui.chat import Conversation, parse_params, repl


@pytest.fixture
def fleet(stoker: Stoker) -> Stoker:
    up = stoker("up", "-d", "-f", stoker.spec())
    assert up.code == 0, up.err
    return stoker


def test_one_shot_piped_and_both(fleet: Stoker) -> None:
    shot = fleet("chat", "one two three", "-p", "max_tokens=4", stdin="")
    assert (shot.code, len(shot.out.split())) == (0, 4), shot.err
    assert fleet("chat", "--stats", stdin="one two three").out.count("tokens/s") == 1
    assert fleet("chat", "Sum up:", stdin="a text").code == 0


def test_nothing_to_ask_is_a_mistake(fleet: Stoker) -> None:
    ran = fleet("chat", stdin="")
    assert (ran.code, ran.out) == (2, "")
    assert 'stoker chat "Hello!"' in ran.err


def test_any_endpoint_by_url_with_and_without_v1(fleet: Stoker) -> None:
    for url in (fleet.url, f"{fleet.url}/v1", f"{fleet.url}/v1/"):
        assert fleet("chat", "--url", url, "Hi", stdin="").code == 0
    bare = fleet("chat", "--url", "127.0.0.1:9", "Hi", stdin="")
    assert (bare.code, "is no address" in bare.err) == (2, True)
    gone = fleet("chat", "--url", "http://127.0.0.1:9", "--model", "m", "Hi", stdin="")
    assert gone.code == 1
    assert "does not answer" in gone.err
    unknown = fleet("chat", "--url", fleet.url, "--model", "other", "Hi", stdin="")
    assert unknown.code == 2
    assert "404" in unknown.err


def test_a_locked_endpoint_asks_for_its_key(stoker: Stoker) -> None:
    stoker.env["FLEET_KEY"] = "sesame"
    stoker(
        "up",
        "-d",
        "-f",
        stoker.spec(endpoint={"port": stoker.port, "page": False, "api_key": "env:FLEET_KEY"}),
    )
    assert stoker("chat", "Hi", stdin="").code == 0  # the fleet's own key is known here
    locked = stoker("chat", "--url", stoker.url, "--model", "model", "Hi", stdin="")
    assert locked.code == 2
    assert "--key env:NAME" in locked.err
    assert stoker("chat", "--url", stoker.url, "--key", "env:FLEET_KEY", "Hi", stdin="").code == 0


def test_in_a_terminal(fleet: Stoker) -> None:
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "stoker", "chat"],
        stdin=side,
        stdout=side,
        stderr=side,
        env={**fleet.env, "TERM": "xterm"},
    )
    os.close(side)

    def until(text: str) -> str:
        seen, deadline = "", time.monotonic() + 20
        while text not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([main], [], [], 0.1)[0]:
                seen += os.read(main, 4096).decode()
        return seen

    until(">>> ")
    for line, answer in (
        ("/help", "/system TEXT"),
        ("/system Be brief.", "system: Be brief."),
        ("/params max_tokens=3", "max_tokens=3"),
        ("/params speed=9", "known: temperature"),
        ("/nonsense", "unknown command"),
        ("one two three", "\n"),
        ("/stats", "3 tokens"),
    ):
        os.write(main, f"{line}\n".encode())
        assert answer in until(">>> ")
    os.write(main, b"/bye\n")
    assert process.wait(30) == 0
    os.close(main)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_kill_ends_a_conversation_where_ctrl_c_only_ends_an_answer(
    fleet: Stoker, number: signal.Signals
) -> None:
    main, side = pty.openpty()
    # a runner that was begun by nohup hands its own way with SIGHUP down: here it is a terminal's
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); from stoker.cli.main import main; "
            "main(['chat'])",
        ],
        stdin=side,
        stdout=side,
        stderr=side,
        env={**fleet.env, "TERM": "xterm"},
    )
    os.close(side)
    try:
        seen = ""
        while ">>> " not in seen:
            seen += os.read(main, 4096).decode()
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    finally:
        process.kill()
        process.wait()
        os.close(main)


class Script:
    """Lines that a person types."""

    def __init__(self, *lines: str) -> None:
        self._lines: Iterator[str] = iter(lines)
        self.said = ""

    def read(self, prompt: str) -> str:
        try:
            return next(self._lines)
        except StopIteration:
            raise EOFError from None

    def write(self, text: str) -> None:
        self.said += text


def test_the_conversation_is_kept_and_forgotten(fleet: Stoker) -> None:
    talk = Conversation(Endpoint(fleet.url, "model", None), params={"max_tokens": 2})
    script = Script("a b c", "d e f", "")
    repl(talk, script.read, script.write)
    assert [message["role"] for message in talk.history] == ["user", "assistant"] * 2
    repl(talk, Script("/reset").read, script.write)
    assert talk.history == []


def test_a_model_without_a_template_is_asked_for_completions(stoker: Stoker) -> None:
    stoker("up", "-d", "-f", stoker.spec(simulate={"faults": {"no_chat_template": True}}))
    shot = stoker("chat", "one two three", "-p", "max_tokens=4", stdin="")
    assert (shot.code, len(shot.out.split())) == (0, 4), shot.err


def test_a_failed_answer_leaves_no_half_turn(fleet: Stoker) -> None:
    talk = Conversation(Endpoint("http://127.0.0.1:9", "model", None))
    with pytest.raises(EnvironmentFailed):
        list(talk.ask("Hi"))
    assert talk.history == []


def test_params_are_numbers_by_name() -> None:
    assert parse_params("temperature=0.2 top_k=5") == {"temperature": 0.2, "top_k": 5}
    for bad in ("top_k=x", "warmth=1", "seed"):
        with pytest.raises(UsageError):
            parse_params(bad)


def test_events_may_come_in_any_pieces() -> None:
    reader, text = SseReader(), b'data: {"a": 1}\r\n\r\ndata: [DONE]\n\n'
    events = [event for at in range(len(text)) for event in reader.feed(text[at : at + 1])]
    assert [event.done for event in events] == [False, True]
