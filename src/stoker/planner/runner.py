"""Which of vLLM's two model runners serves a model: by release, architecture and what is asked of it.

Source: vLLM `config/vllm.py`, use_v2_model_runner and _get_v2_model_runner_unsupported_features.
"""

from collections.abc import Mapping
from typing import Any, Literal

from stoker.catalog.memory import RunnerRules, numbers, runner_rules
from stoker.model.shape import ModelShape

# What the second runner has never taken, by option; and what it takes since a release.
_METHODS = ("suffix", "medusa", "mlp_speculator", "custom_class")
_LATER = {"logits-processors": (0, 30), "enable-prompt-embeds": (0, 29), "kv-sharing-fast-prefill": (0, 30)}


def runner(version: str, shape: ModelShape, options: Mapping[str, Any], *, quantized: bool) -> Literal[1, 2]:
    """1 or 2, where the environment does not force one."""
    rules = runner_rules(version)
    if rules is None or not _takes(rules, shape, quantized) or _unsupported(version, options):
        return 1
    return 2


def _takes(rules: RunnerRules, shape: ModelShape, quantized: bool) -> bool:
    if rules.every:
        return True
    experts = any(layer.experts for layer in shape.kinds)
    states = any(cache.kind == "state" for cache in shape.caches)
    if (states and not rules.hybrid) or (quantized and not rules.quantized):
        return False
    return shape.architecture in rules.architectures or (rules.dense and not experts)


def _unsupported(version: str, options: Mapping[str, Any]) -> bool:
    speculative = options.get("speculative-config")
    method = speculative.get("method") if isinstance(speculative, Mapping) else None
    if method in _METHODS or (method in ("ngram", "ngram_gpu") and numbers(version) < (0, 30)):
        return True
    return any(options.get(name) and numbers(version) < since for name, since in _LATER.items())
