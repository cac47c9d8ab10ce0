"""A chat's turn: what is asked of the endpoint, and how its answers and failures are read and shown."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from stoker.engine.openai import DONE_EVENT, sse
from stoker.errors import UsageError
from stoker.findings import Finding
from stoker.ui.console.conversation import (
    NO_TEMPLATE,
    SamplingParams,
    Talk,
    Turn,
    chat_body,
    completions_body,
    lacks_template,
    shown,
)
from stoker.ui.console.endpoint_client import Endpoint

TEMPLATE_ERROR = (
    "As of transformers v4.44, default chat template is no longer allowed, so you must provide "
    "a chat template"
)


def chunk(text: str, finish: str | None = None, **delta: str) -> bytes:
    return sse({"choices": [{"delta": {"content": text, **delta}, "finish_reason": finish}]})


class Bytes(httpx2.AsyncByteStream):
    """A stream in the given portions; an exception in it is raised. `closed` tells whether it was left
    early."""

    def __init__(self, *portions: bytes | Exception) -> None:
        self.portions, self.closed = portions, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for portion in self.portions:
            if isinstance(portion, Exception):
                raise portion
            yield portion

    async def aclose(self) -> None:
        self.closed = True


Answer = Callable[[httpx2.Request], httpx2.Response]
HI = Turn("hi")
PLAIN = SamplingParams()


def answered(answer: Answer, talk: Talk = (HI,), sampling: SamplingParams = PLAIN) -> list[Turn]:
    async def ask() -> list[Turn]:
        endpoint = Endpoint("http://e", "m", "k", transport=httpx2.MockTransport(answer))
        return [turn async for turn in endpoint.answer(talk, sampling)]

    return asyncio.run(ask())


def streamed(*portions: bytes | Exception) -> Answer:
    return lambda _: httpx2.Response(200, stream=Bytes(*portions))


def refused(status: int, body: Any, headers: dict[str, str] | None = None) -> Answer:
    return lambda _: httpx2.Response(status, json=body, headers=headers)


def test_a_turn_grows_with_the_stream() -> None:
    whole = chunk("one ") + chunk("two") + chunk("", "stop") + DONE_EVENT
    turns = answered(streamed(whole[:20], whole[20:70], whole[70:]))
    assert [turn.said for turn in turns] == ["one ", "one two", "one two", "one two"]
    assert turns[-1].failed is None


def test_the_key_and_the_body_are_sent() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return streamed(DONE_EVENT)(request)

    answered(answer, (Turn("hi"),), SamplingParams("Be brief.", temperature=0.0, top_k=1))
    assert seen[0].url == "http://e/v1/chat/completions"
    assert seen[0].headers["authorization"] == "Bearer k"
    assert json.loads(seen[0].content) == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "stream": True,
        "temperature": 0.0,
        "top_k": 1,
    }


def test_leaving_early_closes_the_stream() -> None:
    stream = Bytes(chunk("one "), chunk("two "), chunk("three "))

    async def ask() -> None:
        transport = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=stream))
        turns = Endpoint("http://e", "m", transport=transport).answer((Turn("hi"),), SamplingParams())
        await anext(turns)
        await turns.aclose()

    asyncio.run(ask())
    assert stream.closed


@pytest.mark.parametrize(
    ("answer", "what", "why", "fix"),
    [
        (
            refused(503, {"error": {"message": "no replica is ready"}}, {"retry-after": "7"}),
            "The endpoint is not ready (503)",
            "no replica is ready",
            "Try again in 7 s.",
        ),
        (
            refused(401, {"error": "Unauthorized"}),
            "The endpoint wants another key (401)",
            "Unauthorized",
            "Start this page with the endpoint's key (--key-file).",
        ),
        (
            refused(400, {"error": {"message": "This model's maximum context length is 8192 tokens."}}),
            "The conversation is too long for this model (400)",
            "This model's maximum context length is 8192 tokens.",
            "Clear it, or lower max_tokens.",
        ),
        (
            refused(400, {"error": {"message": "top_p must be in (0, 1]"}}),
            "The endpoint answered 400",
            "top_p must be in (0, 1]",
            "",
        ),
        (
            lambda _: httpx2.Response(500, text="<html>oops</html>"),
            "The endpoint answered 500",
            "Internal Server Error",
            "Try again in a moment.",
        ),
        (
            lambda _: httpx2.Response(404, json={"detail": "Not Found"}),
            "The endpoint answered 404",
            "Not Found",
            "",
        ),
        (
            streamed(httpx2.ConnectError("refused")),
            "Nobody answers at http://e",
            "refused",
            "Is the fleet up? See `stoker status`.",
        ),
        (
            streamed(httpx2.ReadTimeout("")),
            "http://e went silent",
            "ReadTimeout",
            "Try again, or see `stoker status`.",
        ),
        (
            streamed(b"data: [1]\n\n"),
            "The page failed to read the answer",
            "ValueError: a stream event is a JSON object, not '[1]'",
            "",
        ),
    ],
)
def test_a_failure_is_said_in_words(answer: Answer, what: str, why: str, fix: str) -> None:
    [turn] = answered(answer)
    assert turn.failed == Finding(what, why, fix)
    assert turn.said == ""


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (sse({"error": {"message": "the replica was lost"}}) + DONE_EVENT, "the replica was lost"),
        (b"", "The connection ended before the answer did."),
        (httpx2.RemoteProtocolError("peer closed"), "peer closed"),
    ],
)
def test_a_stream_that_breaks_off_keeps_what_came(end: bytes | Exception, why: str) -> None:
    turn = answered(streamed(chunk("half an "), end))[-1]
    assert turn.said == "half an "
    assert turn.failed == Finding("The answer broke off", why, "Ask again.")


def test_without_a_template_the_text_goes_to_completions_and_it_says_so_once() -> None:
    prompts: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/v1/chat/completions":
            return httpx2.Response(400, json={"error": {"message": TEMPLATE_ERROR}})
        prompts.append(json.loads(request.content)["prompt"])
        text = sse({"choices": [{"text": " Hello.", "finish_reason": "stop"}]})
        return streamed(text, DONE_EVENT)(request)

    first = answered(answer)[-1]
    assert (first.said, first.note) == ("Hello.", NO_TEMPLATE)
    second = answered(answer, (first, Turn("more")))[-1]
    assert (second.said, second.note) == ("Hello.", "")
    assert prompts == ["User: hi\nAssistant:", "User: hi\nAssistant: Hello.\nUser: more\nAssistant:"]


def test_thinking_is_kept_apart() -> None:
    turn = answered(
        streamed(chunk("", reasoning="Hm. "), chunk("", reasoning_content="So."), chunk("Yes."), DONE_EVENT)
    )[-1]
    assert (turn.thought, turn.said) == ("Hm. So.", "Yes.")
    assert [part.get("metadata") for part in shown((turn,))] == [
        None,
        {"title": "Thinking", "status": "done"},
        None,
    ]


def test_an_answer_cut_at_the_limit_says_so() -> None:
    turn = answered(streamed(chunk("one", "length"), DONE_EVENT), sampling=SamplingParams(max_tokens=1))[-1]
    assert turn.note == "Cut off at max_tokens (1)."


def test_only_answered_turns_are_sent_again() -> None:
    talk = (
        Turn("a", said="A"),
        Turn("b", failed=Finding("x")),
        Turn("c", thought="hm", said="C", note="n"),
        Turn("d"),
    )
    sent = chat_body("m", talk, SamplingParams())["messages"]
    assert [message["content"] for message in sent] == ["a", "A", "c", "C", "d"]
    assert [message["role"] for message in sent] == ["user", "assistant"] * 2 + ["user"]


def test_a_completions_prompt_begins_with_the_system_prompt() -> None:
    body = completions_body("m", (Turn("hi"),), SamplingParams("Be brief."))
    assert body["prompt"] == "Be brief.\nUser: hi\nAssistant:"
    assert body["stop"] == ["\nUser:"]


def test_a_failure_is_shown_behind_what_came() -> None:
    talk = (Turn("hi", said="half", failed=Finding("It broke", "<b>why</b>", "Ask again.")),)
    contents = [message["content"] for message in shown(talk)]
    assert contents == ["hi", "half", "⚠️ **It broke**\n\n&lt;b>why&lt;/b>\n\nAsk again."]


def test_typed_parameters_are_read() -> None:
    assert SamplingParams.parse("s", "0,5", " ", "1.0", "64") == SamplingParams("s", 0.5, None, 1, 64)
    assert SamplingParams.parse("", "", "", "", "").sampling() == {}


@pytest.mark.parametrize(
    ("typed", "what"), [(("warm", ""), "temperature is 'warm'"), (("", "1.5"), "top_k is '1.5'")]
)
def test_a_parameter_that_is_no_number_is_named(typed: tuple[str, str], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        SamplingParams.parse("", typed[0], "", typed[1], "")


def test_only_a_missing_template_leads_to_completions() -> None:
    assert lacks_template(400, TEMPLATE_ERROR)
    assert not lacks_template(400, "max_tokens is too large")
    assert not lacks_template(500, TEMPLATE_ERROR)
