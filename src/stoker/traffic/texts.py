"""Prompts of an exact number of tokens: words that are one token each, behind what a template adds.

A tokenizer that splits text at spaces counts such words one by one, so that n words are n tokens, whatever
the words. Which words are such is found out by `bench`; here they are put together.
"""

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from stoker.traffic.workload import Turn

FIRST = "Please"  # every prompt begins with it: it is counted with the template
# Short words that tokenizers of many families know as one token behind a space; a server's own are checked.
_WORDS = (
    "time year people way day man thing woman life child world school state family student group country "
    "problem hand part place case week company system program question work government number night point "
    "home water room mother area money story fact month lot right study book eye job word business issue "
    "side kind head house service friend father power hour game line end member law car city community name "
    "president team minute idea kid body information back parent face others level office door health person "
    "art war history party result change morning reason research girl guy moment air teacher force education "
    "good new first last long great little own other old big high different small large next early young "
    "important few public bad same able know make take see come think look want give use find tell ask seem "
    "feel try leave call need become mean keep let begin help talk turn start show hear play run move like "
    "live believe hold bring happen write provide sit stand lose pay meet include continue set learn lead "
    "understand watch follow stop create speak read allow add spend grow open walk win offer remember love "
    "consider appear buy wait serve die send expect build stay fall cut reach kill remain"
)
COMMON = tuple(_WORDS.split())


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words that are one token each behind a space. overhead: tokens of a prompt that holds FIRST alone, as
    the server counts them. exact: whether the server's counts bore this out."""

    words: tuple[str, ...] = COMMON
    overhead: int = 1
    exact: bool = True

    def text(self, turn: Turn, first: bool = True) -> str:
        """What the user says: as many tokens as its parts ask for. A first prompt's template counts among
        them, taken from its beginning; FIRST alone is the shortest that there is."""
        if turn.text is not None:
            return turn.text
        spare, pieces = (self.overhead if first else 1), [FIRST]
        for part in turn.parts:
            taken = min(spare, part.tokens)
            spare -= taken
            if part.tokens > taken:
                pieces.append(_text(part.key, part.tokens - taken, self.words))
        return " ".join(pieces)


@lru_cache(maxsize=512)
def _shared(key: str, count: int, words: tuple[str, ...]) -> str:
    return " ".join(Random(key).choices(words, k=count))


def _text(key: str, count: int, words: tuple[str, ...]) -> str:
    """Words by their key: the same text for the same key, and the longer begins as the shorter does."""
    if "/prefix/" in key or "/block/" in key:
        return _shared(key, count, words)
    return " ".join(Random(key).choices(words, k=count))
