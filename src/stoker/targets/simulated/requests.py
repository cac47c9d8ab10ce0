"""What a request asks for: the bodies of chats and completions, read into one noun (`typed_asks` reads the
others).

What vLLM's schemas refuse is refused here, in the order in which they look; `settling` does the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stoker.targets.simulated import messages, prechecks, prompts, sampling
from stoker.targets.simulated.fields import Fields
from stoker.targets.simulated.messages import Prompt
from stoker.targets.simulated.refusals import OBJECT
from stoker.targets.simulated.sampling import Sampling


@dataclass(slots=True)
class Request:
    """One request. `prompts` are empty until `settling` has read them out of `source`; nothing else changes.

    source: messages, or what stands in `prompt`. system: a text before the messages. limit: the most tokens
    of an answer, None where the request sets none; limit_field: where it says so. n: answers for each prompt.
    usage: ``, `end` (one event of its own) or `always` (in every chunk, too). logprobs: how many likely
    tokens are told beside each one; None where none are asked for. tools: the tool choice that must be
    supported, if any.
    """

    source: Any
    chat: bool = True
    system: str = ""
    model: str | None = None
    prompts: tuple[Prompt, ...] = ()
    limit: int | None = None
    limit_field: str = "max_tokens"
    min_tokens: int = 0
    ignore_eos: bool = False
    n: int = 1
    stop: tuple[str, ...] = ()
    keep_stop: bool = False
    stream: bool = False
    usage: str = ""
    echo: bool = False
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    token_ids: bool = False
    tools: str | None = None
    template: str | None = None
    suffix: str | None = None
    sampling: Sampling = sampling.NONE

    @property
    def prompt_tokens(self) -> int:
        """Words of all prompts."""
        return sum(len(prompt.words) for prompt in self.prompts)


def chat(body: Mapping[str, Any]) -> Request:
    """Reads the body of /v1/chat/completions. Raises: Refused (400)."""
    prechecks.chat(body)
    fields = Fields(body)
    messages.check_list(fields)
    prechecks.response_format(fields)
    prechecks.tools(fields)
    newer = fields.whole("max_completion_tokens")
    older = fields.whole("max_tokens")
    told = fields.flag("logprobs")
    beside = fields.whole("top_logprobs")
    count = fields.whole("n")
    return ask(
        fields,
        source=body["messages"],
        limit=older if newer is None else newer,
        limit_field="max_tokens" if newer is None else "max_completion_tokens",
        logprobs=(beside or 0) if told else None,
        n=1 if count is None else count,
        tools=prechecks.tool_choice(body),
        template=fields.text("chat_template"),
    )


def completion(body: Mapping[str, Any]) -> Request:
    """Reads the body of /v1/completions: 16 tokens unless it says otherwise. Raises: Refused (400)."""
    prechecks.completion(body)
    fields = Fields(body)
    prompts.check(fields)
    limit = fields.whole("max_tokens")
    return ask(
        fields,
        chat=False,
        source=body["prompt"],
        limit=16 if limit is None else limit,
        logprobs=fields.whole("logprobs"),
        n=fields.whole("n", 1, nullable=False),
        echo=fields.flag("echo"),
        suffix=fields.text("suffix"),
    )


def ask(fields: Fields, **more: Any) -> Request:
    """What all routes have in common. Raises: Refused (400), for all that is wrong in `fields`."""
    stop, streams = fields.texts("stop"), fields.flag("stream")
    known: dict[str, Any] = {
        "model": fields.text("model"),
        "min_tokens": fields.whole("min_tokens", 0, nullable=False) or 0,
        "ignore_eos": fields.flag("ignore_eos", nullable=False),
        "stop": stop,
        "keep_stop": fields.flag("include_stop_str_in_output", nullable=False),
        "stream": streams,
        "usage": _usage(fields) if streams else "",
        "token_ids": fields.flag("return_token_ids"),
        "prompt_logprobs": fields.whole("prompt_logprobs"),
        "sampling": sampling.read(fields),
    }
    prechecks.others(fields)
    fields.check()
    return Request(**known, **more)


def _usage(fields: Fields) -> str:
    options = fields.body.get("stream_options")
    if options is None:
        return ""
    if not isinstance(options, dict):
        fields.wrong("model_attributes_type", "stream_options", OBJECT, options)
        return ""
    asked = Fields(options, "body.stream_options")
    at_end, always = asked.flag("include_usage"), asked.flag("continuous_usage_stats")
    fields.problems += asked.problems
    return "" if not at_end else "always" if always else "end"
