"""What config.json leaves unsaid, by architecture: the defaults of Hugging Face's config classes and of
vLLM's models.

Source: transformers `models/*/configuration_*.py`, vLLM `model_executor/models/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Family:
    """tied: whether the output head is the embedding, where config.json does not say. gated: MLP with a gate.

    windows: which layers have a sliding window, where `layer_types` does not say: those that `sliding_window`
    covers (`all`), every other one from the first (`alternate`), all but each n-th (`pattern`), or none.
    """

    tied: bool = False
    gated: bool = True
    norms: int = 2
    qkv_bias: bool = False
    qk_norm: bool = False
    windows: Literal["all", "alternate", "pattern", "asked", "none"] = "all"
    rope_factor: float = 1.0
    parallel: bool = False


_LLAMA = Family()
_GEMMA = Family(tied=True)
_GEMMA2 = Family(tied=True, norms=4, windows="alternate")
_GEMMA3 = Family(tied=True, norms=4, qk_norm=True, windows="pattern")
# Checkpoints of 4B and more stretch their positions eightfold, which makes vLLM's rotary table eight times as
# long.
_GEMMA3_IMAGES = Family(tied=True, norms=4, qk_norm=True, windows="pattern", rope_factor=8.0)
_QWEN2 = Family(qkv_bias=True, windows="asked")
_QWEN3 = Family(qk_norm=True, windows="asked")
_PLAIN = Family(gated=False)

FAMILIES: Mapping[str, Family] = {
    "LlamaForCausalLM": _LLAMA,
    "Llama4ForCausalLM": Family(windows="none"),
    "Llama4ForConditionalGeneration": Family(windows="none"),
    "MllamaForConditionalGeneration": _LLAMA,
    "MistralForCausalLM": _LLAMA,
    "Mistral3ForConditionalGeneration": _LLAMA,
    "MixtralForCausalLM": _LLAMA,
    "GemmaForCausalLM": _GEMMA,
    "Gemma2ForCausalLM": _GEMMA2,
    "Gemma3ForCausalLM": _GEMMA3,
    "Gemma3ForConditionalGeneration": _GEMMA3_IMAGES,
    "Gemma4ForCausalLM": _GEMMA3,
    "Gemma4ForConditionalGeneration": _GEMMA3,
    "Qwen2ForCausalLM": _QWEN2,
    "Qwen2MoeForCausalLM": _QWEN2,
    "Qwen2_5_VLForConditionalGeneration": _QWEN2,
    "Qwen2VLForConditionalGeneration": _QWEN2,
    "Qwen3ForCausalLM": _QWEN3,
    "Qwen3MoeForCausalLM": _QWEN3,
    "Qwen3NextForCausalLM": _QWEN3,
    "Qwen3VLForConditionalGeneration": _QWEN3,
    "Qwen3_5ForConditionalGeneration": _QWEN3,
    "Qwen3_5MoeForConditionalGeneration": _QWEN3,
    "DeepseekV2ForCausalLM": _LLAMA,
    "DeepseekV3ForCausalLM": _LLAMA,
    "DeepseekV32ForCausalLM": _LLAMA,
    "GptOssForCausalLM": Family(qkv_bias=True),
    "PhiForCausalLM": Family(gated=False, norms=1, qkv_bias=True, parallel=True),
    "Phi3ForCausalLM": _LLAMA,
    "PhiMoEForCausalLM": Family(qkv_bias=True),
    "GraniteForCausalLM": _LLAMA,
    "GraniteMoeForCausalLM": _LLAMA,
    "GraniteMoeHybridForCausalLM": _LLAMA,
    "SmolLM3ForCausalLM": Family(tied=True),
    "OlmoForCausalLM": _LLAMA,
    "Olmo2ForCausalLM": Family(qk_norm=True),
    "GPT2LMHeadModel": Family(tied=True, gated=False, qkv_bias=True),
    "OPTForCausalLM": Family(tied=True, gated=False, qkv_bias=True),
    "StarCoder2ForCausalLM": Family(tied=True, gated=False, qkv_bias=True),
    "Starcoder2ForCausalLM": Family(tied=True, gated=False, qkv_bias=True),
    "GPTNeoXForCausalLM": Family(gated=False, qkv_bias=True),
    "NemotronForCausalLM": _PLAIN,
    "Glm4ForCausalLM": Family(norms=4, qkv_bias=True),
    "Glm4MoeForCausalLM": Family(qkv_bias=True, qk_norm=True),
    "ExaoneForCausalLM": _LLAMA,
    "CohereForCausalLM": Family(tied=True, norms=1, parallel=True),
    "Cohere2ForCausalLM": Family(tied=True, norms=1, parallel=True),
}
