"""What a request allows and forbids by token: read, and refused where vLLM refuses it. Nothing here heeds it.

Source: vLLM 0.32 `sampling_params.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stoker.targets.simulated.fields import Fields
from stoker.targets.simulated.refusals import bad_request
from stoker.targets.simulated.words import VOCABULARY


@dataclass(frozen=True, slots=True)
class Constraints:
    """As given; None where the request says nothing."""

    bias: Mapping[str, Any] | None = None
    stop: list[int] | None = None
    allowed: list[int] | None = None
    bad_words: tuple[str, ...] = ()


NONE = Constraints()
_NAMES = frozenset({"logit_bias", "stop_token_ids", "allowed_token_ids", "bad_words"})


def read(fields: Fields) -> Constraints:
    """Reads them; what is wrong with their types is kept in `fields`."""
    if _NAMES.isdisjoint(fields.body):
        return NONE
    stop, allowed = fields.wholes("stop_token_ids"), fields.wholes("allowed_token_ids")
    return Constraints(_bias(fields), stop, allowed, _bad_words(fields))


def _bias(fields: Fields) -> Mapping[str, Any] | None:
    value = fields.body.get("logit_bias")
    if value is None:
        return None
    if not isinstance(value, dict):
        fields.wrong("dict_type", "logit_bias", "Input should be a valid dictionary", value)
        return None
    entries = Fields(value, "body.logit_bias")
    for key in value:
        entries.number(key)
    fields.problems += entries.problems
    return value


def _bad_words(fields: Fields) -> tuple[str, ...]:
    value = fields.body.get("bad_words", [])
    if not isinstance(value, list):
        fields.wrong("list_type", "bad_words", "Input should be a valid list", value)
        return ()
    for number, item in enumerate(value):
        if not isinstance(item, str):
            fields.wrong("string_type", f"bad_words.{number}", "Input should be a valid string", item)
    return tuple(item for item in value if isinstance(item, str))


def verify_keys(given: Constraints) -> None:
    """Checks that what is biased are token numbers. Raises: Refused (400)."""
    odd = [key for key in given.bias or () if not key.lstrip("-").isdecimal()]
    if odd:
        message = f"logit_bias contains key(s) that cannot be converted to integer token IDs: {odd}"
        raise bad_request(message, "logit_bias", odd)


def verify_words(given: Constraints) -> None:
    """Checks that no word that is forbidden is empty. Raises: Refused (400)."""
    if not all(given.bad_words):
        words = list(given.bad_words)
        raise bad_request(f"bad_words cannot contain an empty string. Got bad_words={words}")


def verify_tokens(given: Constraints) -> None:
    """Checks that the tokens are the model's. Raises: Refused (400)."""
    _known("logit_bias", [int(key) for key in given.bias or ()])
    _known("stop_token_ids", given.stop or [])
    if given.allowed is None:
        return
    if not given.allowed:
        raise bad_request("allowed_token_ids is not None and empty!", "allowed_token_ids", given.allowed)
    beyond = [token for token in given.allowed if not 0 <= token < VOCABULARY]
    if beyond:
        message = "allowed_token_ids contains out-of-vocab token id!"
        raise bad_request(message, "allowed_token_ids", beyond)


def _known(name: str, tokens: list[int]) -> None:
    beyond = [token for token in tokens if not 0 <= token < VOCABULARY]
    if beyond:
        message = f"token_id(s) {beyond} in {name} contain out-of-vocab token ids."
        raise bad_request(f"{message} Vocabulary size: {VOCABULARY}", name, beyond)
