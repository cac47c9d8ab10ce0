"""What vLLM checks once a body's fields are read, in its order: tools, template, lengths, sampling.

Source: vLLM 0.32 `renderers/online_renderer.py`, `renderers/params.py`, `entrypoints/generate/base/`.
"""

from dataclasses import dataclass

from stoker.targets.simulated import messages, prompts, sampling
from stoker.targets.simulated.refusals import answer_too_long, bad_request, prompt_too_long
from stoker.targets.simulated.requests import Request
from stoker.targets.simulated.words import Vocabulary


@dataclass(frozen=True, slots=True)
class Served:
    """What the engine serves. tools, parser: whether it can choose a tool, and read a call; template: whether
    it chats."""

    name: str
    max_model_len: int
    tools: bool = False
    parser: bool = False
    template: bool = True


def settle(ask: Request, served: Served, vocabulary: Vocabulary) -> Request:
    """Reads the request's prompts and checks everything; returns the request. Raises: Refused (400)."""
    _check_tools(ask, served)
    if ask.template is not None:
        why = "--trust-request-chat-template is not set. Refused request with untrusted chat template."
        raise bad_request(f"Chat template is passed with request, but {why}")
    length = served.max_model_len
    if ask.limit is not None and ask.limit > length:
        raise answer_too_long(ask.limit_field, ask.limit, length)
    found = _prompts(ask, served, vocabulary)
    for prompt in found:
        if len(prompt.words) > length:
            raise prompt_too_long(length)
    for prompt in found:
        limit = most_tokens(ask, len(prompt.words), length)
        sampling.verify(ask.sampling, ask.n, limit, ask.min_tokens, ask.stop)
        sampling.verify_for_engine(ask.sampling, ask.logprobs, ask.prompt_logprobs)
    ask.prompts = found
    return ask


def most_tokens(ask: Request, prompt: int, max_model_len: int) -> int:
    """Tokens that an answer to a prompt of that length may have."""
    room = max_model_len - prompt
    limit = room if ask.limit is None else min(room, ask.limit)
    return 1 if ask.echo and ask.limit == 0 else limit


def _prompts(ask: Request, served: Served, vocabulary: Vocabulary) -> tuple[messages.Prompt, ...]:
    if not ask.chat:
        if ask.suffix is not None:
            prompts.check_suffix(ask.source)
        return prompts.read(ask.source, vocabulary)
    return (messages.prompt_of(ask.source, ask.system, served.name, template=served.template),)


def _check_tools(ask: Request, served: Served) -> None:
    if ask.tools == "auto" and not served.tools:
        need = "--enable-auto-tool-choice and --tool-call-parser"
        raise bad_request(f'"auto" tool choice requires {need} to be set')
    if ask.tools not in (None, "auto") and not served.parser:
        raise bad_request(f"tool_choice={ask.tools} requires --tool-call-parser to be set")
