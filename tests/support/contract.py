"""Requests whose answers are the same from the simulated engine and from real vLLM, and how answers are
compared.

Served: one model by the name `demo` with a context of 160 tokens. Content varies from engine to engine,
shapes do not: `shape` keeps what must be equal and replaces the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LEN = 160
CHAT, TEXT, RESPONSES, MESSAGES = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
)
USER = [{"role": "user", "content": "one two three"}]
ASK = {"model": "demo", "messages": USER, "max_tokens": 3, "temperature": 0, "ignore_eos": True}
IDS = [19, 20, 21, 22, 23]  # a prompt in token numbers has as many tokens for every engine
WRITE = {"model": "demo", "prompt": IDS, "max_tokens": 3, "temperature": 0, "ignore_eos": True}
EOS = {"ignore_eos": False, "max_tokens": 20, "min_tokens": 3, "logit_bias": {"2": 100}}  # 3 tokens, then EOS
STREAM = {"stream": True}
USAGE = {"stream": True, "stream_options": {"include_usage": True}}
ALWAYS = {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
TWO = {"n": 2, "temperature": 1.0, "seed": 7}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


@dataclass(frozen=True, slots=True)
class Case:
    """One request. body: JSON, or raw bytes. `whole`: the whole body of the answer is the same, not its shape
    alone."""

    name: str
    path: str
    body: Any = None
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False


def _chat(name: str, **more: Any) -> Case:
    return Case(f"chat {name}", CHAT, {**ASK, **more})


def _text(name: str, **more: Any) -> Case:
    return Case(f"completion {name}", TEXT, {**WRITE, **more})


LOGPROBS = {"logprobs": True, "top_logprobs": 2}

SERVED = (
    _chat("by length"),
    _chat("by length, streamed", **STREAM),
    _chat("by its end", **EOS),
    _chat("by its end, streamed", **EOS, **STREAM),
    _chat("with usage at the end", **USAGE),
    _chat("with usage in every chunk", **ALWAYS),
    _chat("by its end with usage in every chunk", **EOS, **ALWAYS),
    _chat("of two answers", **TWO),
    _chat("of two answers, streamed", **TWO, **STREAM),
    _chat("of two answers with usage in every chunk", **TWO, **ALWAYS),
    _chat("of two answers by their end, streamed", **{**TWO, **EOS}, **STREAM),
    _chat("with logprobs", **LOGPROBS),
    _chat("with logprobs, streamed", **LOGPROBS, **STREAM),
    _chat("with logprobs of the chosen alone", logprobs=True, **STREAM),
    _chat("by its end with logprobs, streamed", **EOS, **LOGPROBS, **STREAM),
    _chat("of one token", max_tokens=1, **STREAM),
    _chat("with its limit by the newer name", max_completion_tokens=2, **STREAM),
    _chat("with numbers in quotes and whole floats", max_tokens="3", top_k=1.0, n=1.0, seed=1.0),
    _chat("with a field that nobody knows", unknown_field=1),
    _chat("without a model", model=None),
    _chat("in parts", messages=[{"role": "user", "content": [{"type": "text", "text": "one two"}]}]),
    _chat(
        "of several roles",
        messages=[
            {"role": "system", "content": "be brief"},
            *USER,
            {"role": "assistant", "content": "four"},
            *USER,
        ],
    ),
    _chat("with token numbers", return_token_ids=True),
    _chat("with token numbers, streamed", return_token_ids=True, **STREAM),
    _chat("longer than the context", max_tokens=LEN, min_tokens=0, stream=False),
    _chat("without a limit", max_tokens=None, ignore_eos=False, min_tokens=3, logit_bias={"2": 100}),
    _chat("of a tool that must not be called", tools=[TOOL], tool_choice="none"),
    _chat("of text", response_format={"type": "text"}),
    _chat("of a role that nobody has", messages=[{"role": "king", "content": "hi"}]),
    _chat("with a priority", priority=1),
    _text("by length"),
    _text("by length, streamed", **STREAM),
    _text("by its end", **EOS),
    _text("by its end, streamed", **EOS, **STREAM),
    _text("with usage at the end", **USAGE),
    _text("with usage in every chunk", **ALWAYS),
    _text("of two answers", **TWO),
    _text("of two answers, streamed", **TWO, **ALWAYS),
    _text("of two prompts", prompt=[IDS, IDS[:2]]),
    _text("of two prompts, streamed", prompt=[IDS, IDS[:2]], **USAGE),
    _text("with logprobs", logprobs=2),
    _text("with logprobs, streamed", logprobs=2, **STREAM),
    _text("with no likely tokens beside the chosen", logprobs=0),
    _text("with echo", echo=True),
    _text("with echo, streamed", echo=True, **STREAM),
    _text("with echo and logprobs", echo=True, logprobs=1),
    _text("of nothing but echo", echo=True, max_tokens=0),
    _text("of the default length", max_tokens=None),
    _text("longer than the context", max_tokens=LEN),
    _text("of a text", prompt="one two three"),
    _text("with a seed", seed=3, temperature=1),
    Case("tokenize", "/tokenize", {"model": "demo", "prompt": "one two one"}),
    Case("tokenize with texts", "/tokenize", {"prompt": "one two one", "return_token_strs": True}),
    Case("tokenize a chat", "/tokenize", {"messages": USER}),
    Case("detokenize", "/detokenize", {"tokens": IDS}),
    Case("models", "/v1/models", method="GET"),
    Case("version", "/version", method="GET", whole=True),
    Case("health", "/health", method="GET", whole=True),
    Case("ping", "/ping", method="GET", whole=True),
    Case("ping by post", "/ping", {}, whole=True),
    Case("load", "/load", method="GET", whole=True),
    Case("events of the cache", "/kv_event_sources", method="GET", whole=True),
    Case(
        "response", RESPONSES, {"model": "demo", "input": "one two", "max_output_tokens": 3, "temperature": 0}
    ),
    Case(
        "response, streamed",
        RESPONSES,
        {"model": "demo", "input": "one two", "max_output_tokens": 3, "temperature": 0, **STREAM},
    ),
    Case("message", MESSAGES, {"model": "demo", "messages": USER, "max_tokens": 3}),
    Case("message, streamed", MESSAGES, {"model": "demo", "messages": USER, "max_tokens": 3, **STREAM}),
    Case("tokens of a message", "/v1/messages/count_tokens", {"model": "demo", "messages": USER}),
)


def no_chat(name: str, **more: Any) -> Case:
    """A chat that is refused."""
    return Case(f"chat with {name}", CHAT, {**ASK, **more}, whole=True)


def no_text(name: str, **more: Any) -> Case:
    """A completion that is refused."""
    return Case(f"completion with {name}", TEXT, {**WRITE, **more}, whole=True)


def raw(name: str, data: bytes, kind: str = "application/json", path: str = CHAT) -> Case:
    """A body byte by byte."""
    return Case(name, path, data, headers={"content-type": kind}, whole=True)


def _nowhere(method: str, path: str) -> Case:
    return Case(f"{method} {path}", path, {} if method == "POST" else None, method, whole=True)


REFUSED = (
    no_chat("two answers at temperature 0", n=2),
    no_chat("temperature 3", temperature=3),
    no_chat("temperature -1", temperature=-1),
    no_chat("a temperature that is a list", temperature=[]),
    no_chat("a temperature that is a word", temperature="warm"),
    no_chat("no messages at all", messages=[]),
    Case("chat without messages", CHAT, {"model": "demo"}, whole=True),
    no_chat("messages that are a text", messages="hi"),
    no_chat("a message that is a text", messages=["hi"]),
    no_chat("a message without a role", messages=[{"content": "hi"}]),
    no_chat("content that is a number", messages=[{"role": "user", "content": 1}]),
    no_chat(
        "an image",
        messages=[
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
            }
        ],
    ),
    no_chat("max_tokens -1", max_tokens=-1),
    no_chat("max_tokens 0", max_tokens=0),
    no_chat("max_tokens beyond the model's length", max_tokens=LEN + 1),
    no_chat("max_completion_tokens beyond the model's length", max_completion_tokens=LEN + 1),
    no_chat("max_tokens that is a word", max_tokens="many"),
    no_chat("half a token", max_tokens=1.5),
    no_chat("top_p 0", top_p=0),
    no_chat("top_p 1.5", top_p=1.5),
    no_chat("top_k -2", top_k=-2),
    no_chat("half a top_k", top_k=1.5),
    no_chat("min_p 2", min_p=2),
    no_chat("too many logprobs", logprobs=True, top_logprobs=21),
    no_chat("top_logprobs -2", logprobs=True, top_logprobs=-2),
    no_chat("top_logprobs without logprobs", top_logprobs=2),
    no_chat("logprobs that is a number", logprobs=5),
    no_chat("stream options without a stream", stream_options={"include_usage": True}),
    no_chat("a stream that is a word", stream="perhaps"),
    no_chat("another model", model="nobody"),
    no_chat("n 0", n=0),
    no_chat("n -1", n=-1),
    no_chat("n that is a word", n="two"),
    no_chat("a billion answers", n=10**9, temperature=1),
    no_chat("min_tokens above max_tokens", min_tokens=4),
    no_chat("min_tokens -1", min_tokens=-1),
    no_chat("presence_penalty 3", presence_penalty=3),
    no_chat("frequency_penalty -3", frequency_penalty=-3),
    no_chat("repetition_penalty 0", repetition_penalty=0),
    no_chat("an empty stop", stop=""),
    no_chat("an empty stop in a list", stop=["a", ""]),
    no_chat("stops that are numbers", stop=[1]),
    no_chat("a stop that is a number", stop=1),
    no_chat("a seed that is too large", seed=2**63),
    no_chat("a seed that is a word", seed="x"),
    no_chat("a tool choice without tools", tool_choice="auto"),
    no_chat("no tools in tools", tools=[]),
    no_chat("tools that this engine cannot choose", tools=[TOOL]),
    no_chat("a tool choice that nobody knows", tools=[TOOL], tool_choice="perhaps"),
    no_chat("a format that nobody knows", response_format={"type": "xml"}),
    no_chat("a format without its schema", response_format={"type": "json_schema"}),
    no_chat("bias for a token that is none", logit_bias={"x": 1}),
    no_chat("bias for a token beyond the vocabulary", logit_bias={"999999": 1}),
    no_chat("both ways to go on", add_generation_prompt=True, continue_final_message=True),
    no_chat("a prompt beyond the context", messages=[{"role": "user", "content": "one " * 600}]),
    no_chat("prompt_logprobs in a stream", prompt_logprobs=1, stream=True),
    no_chat("a template of its own", chat_template="{{ messages }}"),
    no_chat("an adapter's name that is a number", model=5),
    no_text("a prompt as long as the context", prompt=[19] * LEN),
    no_text("a prompt longer than the context", prompt=[19] * (LEN + 1)),
    no_text("a prompt longer than the context in a stream", prompt=[19] * (LEN + 1), stream=True),
    no_text("no prompt", prompt=None),
    no_text("an empty prompt", prompt=""),
    no_text("an empty list of prompts", prompt=[]),
    no_text("a prompt that is an object", prompt={}),
    no_text("a prompt that is a number", prompt=3),
    no_text("an empty prompt in a list", prompt=[[]]),
    no_text("a negative token", prompt=[-1]),
    no_text("a token beyond the vocabulary", prompt=[999999]),
    no_text("mixed prompts", prompt=["a", 3]),
    no_text("too many logprobs", logprobs=21),
    no_text("logprobs -2", logprobs=-2),
    no_text("logprobs that are true", logprobs="x"),
    no_text("max_tokens 0", max_tokens=0),
    no_text("max_tokens -1", max_tokens=-1),
    no_text("max_tokens beyond the model's length", max_tokens=LEN + 1),
    no_text("two answers at temperature 0", n=2),
    no_text("temperature 3", temperature=3),
    no_text("another model", model="nobody"),
    no_text("stream options without a stream", stream_options={"include_usage": True}),
    no_text("a suffix", suffix="x"),
    no_text("top_p 2", top_p=2),
    no_text("n 0", n=0),
    no_text("an echo that is a word", echo="x"),
    raw("malformed JSON", b'{"model": '),
    raw("JSON with a trailing comma", b'{"model": "demo",}'),
    raw("no body", b""),
    raw("a list for a body", b"[]"),
    raw("a text for a body", b'"hi"'),
    raw("null for a body", b"null"),
    raw(
        "a number that is none",
        b'{"model": "demo", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
    ),
    raw("a body of another type", b"{}", "text/plain"),
    raw("a body without a type", b"{}", ""),
    raw("a body that is no UTF-8", b'{"model": "\xff"}'),
    Case("response without input", RESPONSES, {"model": "demo"}, whole=True),
    Case(
        "response after one that is not kept",
        RESPONSES,
        {"model": "demo", "input": "a", "previous_response_id": "resp_x"},
        whole=True,
    ),
    Case("response of another model", RESPONSES, {"model": "nobody", "input": "a"}, whole=True),
    Case("response that is not kept", f"{RESPONSES}/resp_x", method="GET", whole=True),
    Case("message without a limit", MESSAGES, {"model": "demo", "messages": USER}, whole=True),
    Case(
        "message of another model",
        MESSAGES,
        {"model": "nobody", "messages": USER, "max_tokens": 3},
        whole=True,
    ),
    Case("message of no messages", MESSAGES, {"model": "demo", "messages": [], "max_tokens": 3}, whole=True),
    Case("message without messages", MESSAGES, {"model": "demo", "max_tokens": 3}, whole=True),
    Case("tokenize nothing", "/tokenize", {}, whole=True),
    Case("tokenize for another model", "/tokenize", {"model": "nobody", "prompt": "x"}, whole=True),
    Case("tokenize a number", "/tokenize", {"prompt": 3}, whole=True),
    Case("detokenize nothing", "/detokenize", {}, whole=True),
    Case("detokenize a text", "/detokenize", {"tokens": "x"}, whole=True),
    Case("detokenize for another model", "/detokenize", {"model": "nobody", "tokens": [1]}, whole=True),
    *(
        _nowhere("POST", path)
        for path in (
            "/v1/embeddings",
            "/v1/rerank",
            "/rerank",
            "/v1/score",
            "/score",
            "/pooling",
            "/classify",
            "/v1/audio/transcriptions",
            "/v1/images/generations",
            "/nothing",
            "/v1",
            "/sleep",
            "/wake_up",
            "/v1/load_lora_adapter",
            "/v1/unload_lora_adapter",
            "/reset_prefix_cache",
            "/collective_rpc",
            "/pause",
            "/resume",
            "/start_profile",
            "/update_weights",
            "/abort_requests",
            "/health",
            "/metrics",
            "/v1/models",
            "/version",
            "/load",
            "/inference/v1/generate",
            "/v2/embed",
        )
    ),
    *(
        _nowhere("GET", path)
        for path in (
            "/",
            "/nothing",
            CHAT,
            TEXT,
            RESPONSES,
            MESSAGES,
            "/tokenize",
            "/v1/embeddings",
            "/is_sleeping",
            "/server_info",
            "/v1/models/demo",
            "/v1/models/",
            "/is_paused",
            "/favicon.ico",
            "/invocations",
        )
    ),
    *(_nowhere("DELETE", path) for path in ("/v1/models", CHAT, "/health")),
    *(_nowhere("PUT", path) for path in (CHAT, "/metrics")),
    *(_nowhere("HEAD", path) for path in ("/health", "/v1/models")),
    *(_nowhere("OPTIONS", path) for path in ("/health", CHAT)),
)
