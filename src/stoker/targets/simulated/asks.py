"""What a request asks for: the bodies of the four generating routes, read into one noun."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stoker.targets.simulated import fields
from stoker.targets.simulated.refusals import bad_request, invalid, missing
from stoker.targets.simulated.words import Vocabulary, content_text

Words = tuple[str, ...]
_MOST_ANSWERS = 16384  # vLLM's VLLM_MAX_N_SEQUENCES


@dataclass(frozen=True, slots=True)
class Prompt:
    """The words that are read, and those that the answer repeats (a chat's last user message)."""

    words: Words
    repeated: Words


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `max_tokens` is None where the request sets no limit; `n` answers for each prompt.

    logprobs: how many likely tokens are told beside each one; None where none are asked for.
    """

    prompts: tuple[Prompt, ...]
    max_tokens: int | None
    min_tokens: int = 0
    ignore_eos: bool = False
    n: int = 1
    stop: tuple[str, ...] = ()
    keep_stop: bool = False
    stream: bool = False
    include_usage: bool = False
    echo: bool = False
    logprobs: int | None = None

    @property
    def prompt_tokens(self) -> int:
        """Words of all prompts."""
        return sum(len(prompt.words) for prompt in self.prompts)


def chat(body: Mapping[str, Any], vocabulary: Vocabulary) -> Ask:
    """Reads the body of /v1/chat/completions. Raises: Refused (400)."""
    prompt = _conversation(body)
    limit = fields.whole(body, "max_completion_tokens", 1)
    limit = fields.whole(body, "max_tokens", 1) if limit is None else limit
    wanted = (fields.whole(body, "top_logprobs") or 0) if fields.flag(body, "logprobs") else None
    return _ask(body, (prompt,), limit, wanted)


def completion(body: Mapping[str, Any], vocabulary: Vocabulary) -> Ask:
    """Reads the body of /v1/completions: 16 tokens unless it says otherwise. Raises: Refused (400)."""
    prompts = tuple(Prompt(words, words) for words in many(body, "prompt", vocabulary))
    limit = fields.whole(body, "max_tokens", 1)
    logprobs = fields.whole(body, "logprobs")
    return _ask(body, prompts, 16 if "max_tokens" not in body else limit, logprobs)


def response(body: Mapping[str, Any], vocabulary: Vocabulary) -> Ask:
    """Reads the body of /v1/responses. Raises: Refused (400)."""
    if "input" not in body:
        raise missing("input", body)
    given = body["input"]
    messages = [{"role": "user", "content": given}] if isinstance(given, str) else given
    prompt = _conversation({"messages": messages}, content_text(body.get("instructions")))
    return _ask({**body, "n": 1}, (prompt,), fields.whole(body, "max_output_tokens", 1))


def message(body: Mapping[str, Any], vocabulary: Vocabulary) -> Ask:
    """Reads the body of /v1/messages. Raises: Refused (400)."""
    prompt = _conversation(body, content_text(body.get("system")))
    if "max_tokens" not in body:
        raise missing("max_tokens", body)
    limit = fields.whole(body, "max_tokens", 1)
    return _ask({**body, "n": 1, "stop": body.get("stop_sequences")}, (prompt,), limit)


def many(body: Mapping[str, Any], name: str, vocabulary: Vocabulary) -> list[Words]:
    """One prompt or several, each a text or token numbers. Raises: Refused (400)."""
    given = body.get(name)
    if given is None:
        raise missing(name, body)
    single = isinstance(given, str) or (isinstance(given, list) and bool(given) and isinstance(given[0], int))
    prompts = [given] if single else given
    if not isinstance(prompts, list) or not prompts or not all(_readable(prompt) for prompt in prompts):
        raise invalid("string_type", name, "Input should be a valid string", given)
    return [vocabulary.read(prompt) for prompt in prompts]


def conversation_words(body: Mapping[str, Any]) -> Words:
    """All words of a body's `messages`. Raises: Refused (400)."""
    return _conversation(body, content_text(body.get("system"))).words


def _readable(prompt: Any) -> bool:
    if isinstance(prompt, str):
        return True
    return isinstance(prompt, list) and all(isinstance(token, int) and token >= 0 for token in prompt)


def _conversation(body: Mapping[str, Any], before: str = "") -> Prompt:
    messages = body.get("messages")
    if messages is None:
        raise missing("messages", body)
    if not isinstance(messages, list):
        raise invalid("list_type", "messages", "Input should be a valid list", messages)
    words = list(before.split())
    last: Words = ()
    for item in messages:
        if not isinstance(item, dict):
            raise invalid("dict_type", "messages", "Input should be a valid dictionary", item)
        spoken = tuple(content_text(item.get("content")).split())
        words += spoken
        last = spoken if item.get("role", "user") == "user" else last
    return Prompt(tuple(words), last)


def _ask(
    body: Mapping[str, Any], prompts: tuple[Prompt, ...], limit: int | None, logprobs: int | None = None
) -> Ask:
    fields.sampling(body)
    least = fields.whole(body, "min_tokens", 0) or 0
    if limit is not None and least > limit:
        raise bad_request(
            f"min_tokens must be less than or equal to max_tokens={limit}, got {least}.", "min_tokens"
        )
    return Ask(
        prompts=prompts,
        max_tokens=limit,
        min_tokens=least,
        ignore_eos=fields.flag(body, "ignore_eos"),
        n=_count(body),
        stop=fields.texts(body, "stop"),
        keep_stop=fields.flag(body, "include_stop_str_in_output"),
        stream=fields.flag(body, "stream"),
        include_usage=_include_usage(body),
        echo=fields.flag(body, "echo"),
        logprobs=logprobs,
    )


def _count(body: Mapping[str, Any]) -> int:
    count = fields.whole(body, "n", 1) or 1
    if count > _MOST_ANSWERS:
        raise bad_request(f"n must be at most {_MOST_ANSWERS}, got {count}.", "n")
    return count


def _include_usage(body: Mapping[str, Any]) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not fields.flag(body, "stream"):
        raise bad_request("Stream options can only be defined when `stream=True`.", "stream_options")
    return isinstance(options, dict) and fields.flag(options, "include_usage")
