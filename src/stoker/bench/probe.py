"""Probe: what a server takes, and which words are one token for it, found out before a test by asking it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from stoker.bench.connection import trusted
from stoker.bench.job import PATHS, Abilities, Api
from stoker.engine import openai
from stoker.errors import EnvironmentFailed, UsageError
from stoker.fleet.target import Endpoint
from stoker.traffic.texts import COMMON, FIRST, Vocabulary

SECONDS = 120.0  # the first answer of an engine that has just started may be slow
PATIENCE, PAUSE = 6, 0.5  # tries while it is too busy, or not ready; seconds between them
STRANGE = 24  # words that may be no single token before counting is given up
PER_ROUND = 64  # words that one request counts


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found. engine: the server's own name and version, where it tells."""

    abilities: Abilities
    vocabulary: Vocabulary
    engine: str = ""


class Probe:
    """Asks one server. Every request is for a single token."""

    def __init__(self, endpoint: Endpoint, api: Api, params: Mapping[str, Any], verify: bool = True) -> None:
        self._endpoint, self._api, self._params = endpoint, api, params
        headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
        self._client = httpx2.Client(
            base_url=endpoint.url, headers=headers, timeout=SECONDS, verify=trusted(verify), trust_env=False
        )
        self._exact_length = True
        self._each_event = True

    def __enter__(self) -> "Probe":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def all(self, exact: bool = True) -> Probed:
        """What it takes, and the words; exact: prompts are to have an exact number of tokens.

        Raises: EnvironmentFailed, UsageError, in the server's own words.
        """
        self._abilities()
        words = self._vocabulary() if exact else Vocabulary(exact=False)
        return Probed(Abilities(self._exact_length, self._each_event), words, self._engine())

    def _abilities(self) -> None:
        """Leaves out what the server refuses, one thing after another."""
        answer = self._ask(FIRST)
        if answer.status_code in (400, 422) and self._each_event:
            self._each_event = False
            answer = self._ask(FIRST)
        if answer.status_code in (400, 422):
            self._exact_length = False
            answer = self._ask(FIRST)
        _check(answer, self._endpoint)

    def _vocabulary(self) -> Vocabulary:
        """The words that are one token each, and what the template adds. Not exact, where counts do not
        add up."""
        base = self._count(FIRST)
        words: list[str] = []
        strange = 0
        for start in range(0, len(COMMON), PER_ROUND):
            group = COMMON[start : start + PER_ROUND]
            good = self._single(group, base)
            strange += len(group) - len(good)
            words += good
            if strange > STRANGE:
                break
        if len(words) < PER_ROUND:
            return Vocabulary(overhead=base, exact=False)
        return Vocabulary(tuple(words), base)

    def _single(self, words: Sequence[str], base: int) -> list[str]:
        """Those of these words that add one token each, by halving what does not add up."""
        if self._count(" ".join([FIRST, *words])) - base == len(words):
            return list(words)
        if len(words) < 8:
            return []
        half = len(words) // 2
        return [*self._single(words[:half], base), *self._single(words[half:], base)]

    def _count(self, text: str) -> int:
        """Tokens of a prompt as the server counts them."""
        for _ in range(PATIENCE):
            answer = self._ask(text)
            _check(answer, self._endpoint)
            found = [_usage(line) for line in answer.text.splitlines() if '"usage"' in line]
            counts = [one.prompt for one in found if one is not None and one.prompt]
            if counts:
                return counts[-1]  # a stream that broke off has none: it is asked again
        raise UsageError(
            f"{self._endpoint.url} does not count tokens",
            why="its streams carry no usage, though include_usage asks for it",
            fix="a server that takes stream_options, such as vLLM",
        )

    def _ask(self, text: str) -> httpx2.Response:
        options: dict[str, Any] = {"include_usage": True}
        if self._each_event:
            options["continuous_usage_stats"] = True
        body: dict[str, Any] = {"model": self._endpoint.model, "max_tokens": 1, "stream": True}
        body |= {"stream_options": options, "temperature": 0, **self._params}
        if self._exact_length:
            body["ignore_eos"] = True
        body |= {"messages": [{"role": "user", "content": text}]} if self._api == "chat" else {"prompt": text}
        try:
            for _ in range(PATIENCE):
                answer = self._client.post(PATHS[self._api], json=body)
                if answer.status_code != 429 and answer.status_code < 500:
                    break
                time.sleep(PAUSE)
            return answer
        except httpx2.HTTPError as error:
            raise EnvironmentFailed(
                f"{self._endpoint.url} does not answer",
                why=str(error) or type(error).__name__,
                fix="is it up? `stoker status`, or check --url",
            ) from None

    def _engine(self) -> str:
        """`vLLM 0.32.0`, where the server tells."""
        try:
            answer = self._client.get("/version", timeout=5)
            return f"vLLM {answer.json()['version']}" if answer.status_code == 200 else ""
        except (httpx2.HTTPError, ValueError, KeyError, TypeError):
            return ""


def _usage(line: str) -> openai.Usage | None:
    try:
        return openai.usage(openai.SseEvent("message", line.removeprefix("data:").strip()).json())
    except ValueError:
        return None


def _check(answer: httpx2.Response, endpoint: Endpoint) -> None:
    """Raises: UsageError or EnvironmentFailed, for an answer that is none."""
    if answer.status_code == 200:
        return
    from stoker.traffic.answers import refused

    words = refused(answer.status_code, answer.content).text
    if answer.status_code in (401, 403):
        raise UsageError(f"{endpoint.url} wants another key", why=words, fix="--key env:NAME")
    if answer.status_code == 404:
        raise UsageError(f"{endpoint.url} has no model {endpoint.model!r}", why=words, fix="--model NAME")
    fix = "try again in a moment" if answer.status_code in (429, 502, 503, 504) else "see what it says"
    raise EnvironmentFailed(f"{endpoint.url} answered {answer.status_code}", why=words, fix=fix)
