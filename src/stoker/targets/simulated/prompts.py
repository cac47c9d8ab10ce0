"""The prompts of /v1/completions: a text, token numbers, or several of either."""

from typing import Any

from stoker.engine.openai import error_body
from stoker.targets.simulated.fields import Fields
from stoker.targets.simulated.messages import Prompt
from stoker.targets.simulated.refusals import Refused, bad_request
from stoker.targets.simulated.words import VOCABULARY, Vocabulary

_WHOLE, _LIST, _TEXT = (
    "Input should be a valid integer",
    "Input should be a valid list",
    "Input should be a valid string",
)


def check(fields: Fields, name: str = "prompt") -> None:
    """Keeps what is wrong with them, as pydantic tells it: for each form that they might have."""
    given = fields.body.get(name)
    if isinstance(given, str) or _all_numbers(given) or _all_texts(given) or _all_lists(given):
        return
    if not isinstance(given, list):
        for kind, text in (("list", _LIST), ("list", _LIST), ("string", _TEXT), ("list", _LIST)):
            fields.wrong(f"{kind}_type", name, text, given)
        return
    for number, item in enumerate(given):
        _no_number(fields, f"{name}.{number}", item)
    for number, item in enumerate(given):
        if not isinstance(item, list):
            fields.wrong("list_type", f"{name}.{number}", _LIST, item)
        for place, token in enumerate(item if isinstance(item, list) else ()):
            _no_number(fields, f"{name}.{number}.{place}", token)
    fields.wrong("string_type", name, _TEXT, given)
    for number, item in enumerate(given):
        if not isinstance(item, str):
            fields.wrong("string_type", f"{name}.{number}", _TEXT, item)


def check_suffix(given: Any) -> None:
    """Refuses a suffix, which takes a model made for it. Raises: Refused (400)."""
    if isinstance(given, str) or _all_texts(given):
        why = "suffix is only supported for models with FIM completion rendering"
    else:
        why = "suffix requires text prompt input for FIM completion rendering"
    raise Refused(400, error_body(why, "BadRequestError", 400, "suffix"))


def read(given: Any, vocabulary: Vocabulary) -> tuple[Prompt, ...]:
    """The prompts of a checked value. Raises: Refused (400), for empty ones and unknown tokens."""
    single = isinstance(given, str) or (bool(given) and _all_numbers(given))
    several = [given] if single else given
    if not several:
        raise bad_request("You must pass at least one prompt")
    found = []
    for one in several:
        if not isinstance(one, str):
            _known(one)
        if not one:
            raise bad_request("The decoder prompt cannot be empty")
        words = vocabulary.read(one)
        found.append(Prompt(words, words))
    return tuple(found)


def _known(tokens: list[int]) -> None:
    if not tokens:
        raise bad_request("The decoder prompt cannot be empty")
    if max(tokens) >= VOCABULARY:
        raise bad_request(f"Token id {max(tokens)} is out of vocabulary")


def _no_number(fields: Fields, place: str, item: Any) -> None:
    if isinstance(item, str) and not item.lstrip("-").isdecimal():
        text = f"{_WHOLE}, unable to parse string as an integer"
        fields.wrong("int_parsing", place, text, item)
    elif isinstance(item, float) and item != int(item):
        text = f"{_WHOLE}, got a number with a fractional part"
        fields.wrong("int_from_float", place, text, item)
    elif not isinstance(item, int | str):
        fields.wrong("int_type", place, _WHOLE, item)
    elif int(item) < 0:
        fields.wrong("greater_than_equal", place, "Input should be greater than or equal to 0", item, ge=0)


def _all_numbers(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(item, int) and item >= 0 for item in given)


def _all_texts(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(item, str) for item in given)


def _all_lists(given: Any) -> bool:
    return isinstance(given, list) and all(_all_numbers(item) for item in given)
