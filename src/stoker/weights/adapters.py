"""LoRA adapters as their adapter_config.json says they are: the rank that they need, and what vLLM refuses.

Source: vLLM 0.32.0 `lora/peft_helper.py` (`_validate_features`, `validate_legal`) and `lora/lora_model.py`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stoker.bounds import shown
from stoker.errors import UsageError
from stoker.model.blueprint import drawn
from stoker.model.files import ModelFiles
from stoker.weights.reading import read_object

CONFIG = "adapter_config.json"
_HEADS = ("classifier", "score")  # modules that may be saved whole
# Ways to begin that leave a plain LoRA behind; others change the model's own weights too.
_BEGINNINGS = ("gaussian", "eva", "orthogonal", "mica", "lora_ga")
_UNSERVED = {
    "use_dora": "DoRA",
    "lora_bias": "biases (lora_bias)",
    "alora_invocation_tokens": "activated LoRA",
    "layer_replication": "layer_replication",
    "use_bdlora": "block-diagonal LoRA",
    "use_qalora": "QALoRA",
}


def adapter_rank(folder: Path, modules: frozenset[str] = frozenset()) -> int:
    """The rank that a staged adapter needs: its largest. modules: the model's own, where they are known.

    Raises: UsageError, where it is no LoRA adapter, or one that vLLM refuses.
    """
    return rank_of(read_object(folder / CONFIG), str(folder), modules)


def rank_of(config: Mapping[str, Any], name: str, modules: frozenset[str] = frozenset()) -> int:
    """The same of an adapter_config.json's content."""
    patterns = config.get("rank_pattern") or {}
    ranks = [config.get("r"), *(patterns.values() if isinstance(patterns, dict) else [])]
    if config.get("peft_type", "LORA") != "LORA" or not all(map(_is_rank, ranks)):
        raise UsageError(
            f"{name} is no LoRA adapter",
            why=f"its {CONFIG} says peft_type {shown(config.get('peft_type'))}, r {shown(config.get('r'))}",
            fix="only LoRA adapters are served; merge others into the model's weights",
            rule="weights-adapter",
        )
    if refused := [*_refused(config), *_targets_nothing(config, modules)]:
        raise UsageError(
            f"vLLM refuses the adapter {name}",
            why=f"its {CONFIG} has {'; '.join(refused)}",
            fix="merge it into the model's weights, or train it without",
            rule="weights-adapter",
        )
    return max(rank for rank in ranks if isinstance(rank, int))


def _is_rank(value: Any) -> bool:
    return type(value) is int and 1 <= value < 2**31


def _refused(config: Mapping[str, Any]) -> Iterator[str]:
    """Features that vLLM does not serve, in words."""
    saved = config.get("modules_to_save") or ()
    if others := [str(one) for one in saved if one not in _HEADS] if isinstance(saved, list | tuple) else []:
        yield f"modules_to_save {', '.join(others[:4])}"
    yield from (words for key, words in _UNSERVED.items() if config.get(key))
    begun = config.get("init_lora_weights", True)
    if isinstance(begun, str) and begun.lower() not in _BEGINNINGS:
        yield f"init_lora_weights {shown(begun)}, which changes the model's own weights"
    if config.get("bias", "none") not in (None, "none"):
        yield f"bias {shown(config['bias'])}"


def _targets_nothing(config: Mapping[str, Any], modules: frozenset[str]) -> Iterator[str]:
    """A list of targets of which the model has none."""
    targets = config.get("target_modules")
    if not modules or not isinstance(targets, list) or not targets:
        return
    if not any(str(one).rpartition(".")[2] in modules for one in targets):
        yield f"target_modules {', '.join(map(str, targets[:4]))}, of which the model has none"


def modules_of(files: ModelFiles) -> frozenset[str]:
    """The names of the model's parts that hold weights (`q_proj`), as its headers or its class say; empty
    where neither is known."""
    names = list(files.tensors)
    if not names:
        classes = files.config.get("architectures")
        known = drawn(files.config, str(classes[0])) if isinstance(classes, list) and classes else None
        names = [one.name for one in known.tensors] if known else []
    return frozenset(name.split(".")[-2] for name in names if name.count(".") > 1)
