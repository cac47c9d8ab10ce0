"""What is answered: the prompt's words again and again, up to the request's limits; the same every time."""

from dataclasses import dataclass

from stoker.targets.simulated.messages import Prompt, Words
from stoker.targets.simulated.requests import Request
from stoker.targets.simulated.validation import most_tokens

END = "<|im_end|>"  # the token by which an answer ends by itself; its text is empty


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in steps, one a token.

    tokens: each token as a text. deltas: what each step adds to the answer's text; a stop text holds some of
    it back.
    finish: why it ends, `stop` or `length`; stopped_by: the stop text that ended it.
    """

    prompt: Prompt
    tokens: tuple[str, ...]
    deltas: tuple[str, ...]
    finish: str
    stopped_by: str | None = None

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.deltas)

    def ends_at(self, step: int) -> bool:
        """Whether it is whole with this step."""
        return step == len(self.deltas) - 1


def answers(ask: Request, tokens: int, max_model_len: int) -> list[Answer]:
    """The answers to a settled request, `n` to each prompt, of `tokens` words unless the request says
    otherwise."""
    return [item for prompt in ask.prompts for item in [_answer(ask, prompt, tokens, max_model_len)] * ask.n]


def _answer(ask: Request, prompt: Prompt, tokens: int, max_model_len: int) -> Answer:
    if ask.echo and ask.limit == 0:
        return Answer(prompt, ("",), ("",), "length")
    limit = most_tokens(ask, len(prompt.words), max_model_len)
    wanted = limit if ask.ignore_eos else max(tokens, ask.min_tokens)
    said = _said(prompt.repeated, min(wanted, limit))
    if ask.stop:
        return _stopped(ask, prompt, said, by_length=limit <= wanted)
    if limit <= wanted:
        return Answer(prompt, said, said, "length")
    return Answer(prompt, (*said, END), (*said, ""), "stop")


def _said(words: Words, count: int) -> Words:
    """So many words, each a token; all but the first begin with their space."""
    if not words:
        words = tuple(f"word{number}" for number in range(count))
    spaced = tuple(f" {word}" for word in words)
    return (words[0], *(spaced * (count // len(spaced) + 1))[1:count]) if count else ()


def _stopped(ask: Request, prompt: Prompt, said: Words, *, by_length: bool) -> Answer:
    """The answer as a stop text ends it; what might be the beginning of one is not given out yet."""
    held = 0 if ask.keep_stop else max(map(len, ask.stop)) - 1
    text, given = "", 0
    deltas: list[str] = []
    for step, token in enumerate(said):
        text += token
        found = _found(ask, text, len(token)) if step >= ask.min_tokens else None
        if found is not None:
            place, stop = found
            whole = text[: place + (len(stop) if ask.keep_stop else 0)]
            return Answer(prompt, said[: step + 1], (*deltas, whole[given:]), "stop", stop)
        ready = len(text) if by_length and step == len(said) - 1 else max(given, len(text) - held)
        deltas.append(text[given:ready])
        given = ready
    if by_length:
        return Answer(prompt, said, tuple(deltas), "length")
    return Answer(prompt, (*said, END), (*deltas, text[given:]), "stop")


def _found(ask: Request, text: str, fresh: int) -> tuple[int, str] | None:
    """Where a stop text ends in the text's last `fresh` characters, and which."""
    for stop in ask.stop:
        place = text.find(stop, max(0, len(text) - fresh - len(stop) + 1))
        if place >= 0:
            return place, stop
    return None
