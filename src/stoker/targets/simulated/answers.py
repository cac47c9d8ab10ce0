"""What is answered: the prompt's words again and again, up to the request's limits; the same every time."""

from dataclasses import dataclass

from stoker.targets.simulated.asks import Ask, Prompt, Words
from stoker.targets.simulated.refusals import answer_too_long, prompt_too_long


@dataclass(frozen=True, slots=True)
class Answer:
    """The text in tokens, why it ends (`stop` or `length`), and the stop text that ended it."""

    pieces: tuple[str, ...]
    finish: str
    stopped_by: str | None = None

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.pieces)


def answers(ask: Ask, tokens: int, max_model_len: int) -> list[Answer]:
    """The answers to a request, `n` to each prompt, of `tokens` tokens unless the request says otherwise.

    Raises: Refused (400), if the context is too small for a prompt or for the answer.
    """
    if ask.max_tokens is not None and ask.max_tokens > max_model_len:
        raise answer_too_long(ask.max_tokens, max_model_len)
    return [item for prompt in ask.prompts for item in [_answer(ask, prompt, tokens, max_model_len)] * ask.n]


def _answer(ask: Ask, prompt: Prompt, tokens: int, max_model_len: int) -> Answer:
    room = max_model_len - len(prompt.words)
    if room < 0:
        raise prompt_too_long(len(prompt.words), max_model_len)
    limit = room if ask.max_tokens is None else min(room, ask.max_tokens)
    wanted = limit if ask.ignore_eos else max(tokens, ask.min_tokens)
    pieces = _pieces(prompt.repeated, min(wanted, limit))
    return _stopped(ask, Answer(pieces, "length" if limit <= wanted else "stop"))


def _pieces(words: Words, count: int) -> tuple[str, ...]:
    said = words or tuple(f"word{number}" for number in range(count))
    return tuple((" " if number else "") + said[number % len(said)] for number in range(count))


def _stopped(ask: Ask, answer: Answer) -> Answer:
    if not ask.stop:
        return answer
    places = [(place, stop) for stop in ask.stop if stop and (place := answer.text.find(stop)) >= 0]
    if not places:
        return answer
    place, stop = min(places)
    return Answer(_cut(answer.pieces, place + (len(stop) if ask.keep_stop else 0)), "stop", stop)


def _cut(pieces: tuple[str, ...], length: int) -> tuple[str, ...]:
    kept: list[str] = []
    for piece in pieces:
        if length <= 0:
            break
        kept.append(piece[:length])
        length -= len(piece)
    return tuple(kept)
