"""Words for tokens: every word of a prompt is one token, and an answer repeats words."""

import hashlib
from collections.abc import Iterable
from typing import Any

VOCABULARY = 49152  # as many as the demo model's tokenizer has


class Vocabulary:
    """Numbers for words, given out as they are first seen, so that /detokenize can undo /tokenize."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._words: list[str] = []

    def id(self, word: str) -> int:
        """The word's number; when all are given out, one that a word has already."""
        known = self._ids.get(word)
        if known is not None:
            return known
        if len(self._words) >= VOCABULARY:
            return int.from_bytes(hashlib.sha256(word.encode("utf-8", "replace")).digest()[:4]) % VOCABULARY
        self._ids[word] = len(self._words)
        self._words.append(word)
        return self._ids[word]

    def word(self, number: int) -> str:
        """The word of that number; `word7` for a 7 that was never given out, nothing beyond the
        vocabulary."""
        if number >= VOCABULARY:
            return ""
        return self._words[number] if 0 <= number < len(self._words) else f"word{number}"

    def read(self, prompt: str | Iterable[int]) -> tuple[str, ...]:
        """The words of a prompt, which is a text or numbers."""
        return (
            tuple(prompt.split())
            if isinstance(prompt, str)
            else tuple(self.word(number) for number in prompt)
        )


def content_text(content: Any) -> str:
    """The text of a message's `content`: a text, or parts of which images and sounds count for nothing."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (
        part if isinstance(part, str) else part.get("text")
        for part in content
        if isinstance(part, str | dict)
    )
    return " ".join(part for part in parts if isinstance(part, str))


def embedding(words: tuple[str, ...], size: int = 16) -> list[float]:
    """A vector of length one that depends on the words only."""
    digest = hashlib.sha512(" ".join(words).encode("utf-8", "replace")).digest()
    raw = [byte - 127.5 for byte in digest[:size]]
    norm = sum(value * value for value in raw) ** 0.5
    return [value / norm for value in raw]
