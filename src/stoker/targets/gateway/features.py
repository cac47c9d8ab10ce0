"""What clients ask for beside plain answers, where its first use makes an engine stand still: read off their
requests.

A fresh vLLM compiles or imports at the first of each: the first logprobs freeze every stream for seconds (19
s were seen on a CPU), the first grammar imports its compiler. A new replica is asked for them before clients
reach it.
"""

import re

_SIGNS = {
    "logprobs": re.compile(rb'"(?:top_)?logprobs"\s*:\s*(?:true|[0-9])'),
    "prompt_logprobs": re.compile(rb'"prompt_logprobs"\s*:\s*[0-9]'),
    "json_schema": re.compile(rb'"response_format"\s*:\s*\{[^{}]{0,80}"json|"structured_outputs"\s*:\s*\{'),
}


def asked_for(body: bytes, known: frozenset[str]) -> frozenset[str]:
    """The features of a body's beginning that are not known yet. What merely looks like one costs a warm-up,
    no more."""
    if len(known) == len(_SIGNS):
        return frozenset()
    return frozenset(name for name, sign in _SIGNS.items() if name not in known and sign.search(body))
