"""How a request wants its tokens chosen: read, and refused where vLLM refuses it. Nothing here uses the
values.

Source: vLLM 0.32 `sampling_params.py`, `entrypoints/openai/*/protocol.py`.
"""

from dataclasses import dataclass
from math import isfinite

from stoker.targets.simulated import constraints
from stoker.targets.simulated.constraints import Constraints
from stoker.targets.simulated.fields import Fields
from stoker.targets.simulated.refusals import bad_request
from stoker.targets.simulated.words import VOCABULARY

_MOST_ANSWERS = 16384  # vLLM's VLLM_MAX_N_SEQUENCES
_MOST_LOGPROBS = 20  # vLLM's --max-logprobs
_MOST_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters as they were given; None where the request says nothing of them."""

    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    constraints: Constraints = constraints.NONE


NONE = Sampling()
_NAMES = frozenset(
    {*Sampling.__dataclass_fields__, "seed", "logit_bias", "stop_token_ids", "allowed_token_ids", "bad_words"}
)


def read(fields: Fields) -> Sampling:
    """Reads them; what is wrong with their types is kept in `fields`."""
    if _NAMES.isdisjoint(fields.body):
        return NONE
    found = Sampling(
        presence_penalty=fields.number("presence_penalty"),
        frequency_penalty=fields.number("frequency_penalty"),
        repetition_penalty=fields.number("repetition_penalty"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.whole("top_k"),
        min_p=fields.number("min_p"),
        constraints=constraints.read(fields),
    )
    fields.bounded("seed", -(2**63), _MOST_SEED)
    return found


def verify(sampling: Sampling, n: int, limit: int, least: int, stop: tuple[str, ...]) -> None:
    """Checks ranges, in vLLM's order. `limit` and `least` are max_tokens and min_tokens. Raises: Refused
    (400)."""
    constraints.verify_keys(sampling.constraints)
    if n < 1:
        raise bad_request(f"n must be at least 1, got {n}.")
    if n > _MOST_ANSWERS:
        way = "To increase this limit, set the VLLM_MAX_N_SEQUENCES environment variable."
        raise bad_request(f"n must be at most {_MOST_ANSWERS}, got {n}. {way}")
    if sampling is not NONE:
        _verify_penalties(sampling)
        _verify_choice(sampling)
    _verify_lengths(limit, least)
    if not all(stop):
        raise bad_request("stop cannot contain an empty string.")
    constraints.verify_words(sampling.constraints)
    if n > 1 and sampling.temperature is not None and sampling.temperature < 1e-5:
        raise bad_request(f"n must be 1 when using greedy sampling, got {n}.")


def _verify_penalties(sampling: Sampling) -> None:
    for name in ("presence_penalty", "frequency_penalty"):
        value = getattr(sampling, name)
        if value is not None and not -2 <= value <= 2:
            raise bad_request(f"{name} must be in [-2, 2], got {value}.")
    value = sampling.repetition_penalty
    if value is not None and not isfinite(value):
        raise bad_request(f"repetition_penalty must be a finite number, got {value}.")
    if value is not None and value <= 0:
        raise bad_request(f"repetition_penalty must be greater than zero, got {value}.")


def _verify_choice(sampling: Sampling) -> None:
    warm, top_p, top_k, min_p = sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p
    if warm is not None and not 0 <= warm <= 2:
        wrong = (
            "be a finite number" if not isfinite(warm) else "be non-negative" if warm < 0 else "be in [0, 2]"
        )
        raise bad_request(f"temperature must {wrong}, got {warm}.", "temperature", warm)
    if top_p is not None and not 0 < top_p <= 1:
        raise bad_request(f"top_p must be in (0, 1], got {top_p}.", "top_p", top_p)
    if top_k is not None and top_k < -1:
        raise bad_request(f"top_k must be 0 (disable), or at least 1, got {top_k}.")
    if min_p is not None and not 0 <= min_p <= 1:
        raise bad_request(f"min_p must be in [0, 1], got {min_p}.")


def _verify_lengths(limit: int, least: int) -> None:
    if limit < 1:
        raise bad_request(f"max_tokens must be at least 1, got {limit}.", "max_tokens", limit)
    if least < 0:
        raise bad_request(f"min_tokens must be greater than or equal to 0, got {least}.")
    if least > limit:
        raise bad_request(f"min_tokens must be less than or equal to max_tokens={limit}, got {least}.")


def verify_for_engine(sampling: Sampling, logprobs: int | None, prompt_logprobs: int | None) -> None:
    """Checks what depends on the model. Raises: Refused (400)."""
    for kind, given in (("sample", logprobs), ("prompt", prompt_logprobs)):
        asked = VOCABULARY if given == -1 else given or 0
        if asked > _MOST_LOGPROBS:
            field = "logprobs" if kind == "sample" else "prompt_logprobs"
            message = (
                f"Requested {kind} logprobs of {asked}, which is greater than max allowed: {_MOST_LOGPROBS}"
            )
            raise bad_request(message, field, asked)
    if sampling.constraints is not constraints.NONE:
        constraints.verify_tokens(sampling.constraints)
