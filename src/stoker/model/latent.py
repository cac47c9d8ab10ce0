"""Multi-head latent attention, out of config.json: its weights, its latent, and the indexer beside it.

Sources: vLLM `model_executor/models/deepseek_v2.py` and `layers/attention/mla_attention.py`.
"""

from dataclasses import dataclass

from stoker.model.parts import Cache, Config, Part, hidden, number


@dataclass(frozen=True, slots=True)
class Latent:
    """Widths of latent attention: a head's part without and with rotary positions, its value, and what
    queries and the cache are compressed to. All 0 in other models."""

    nope: int = 0
    rope: int = 0
    value: int = 0
    query: int = 0
    kept: int = 0


def widths(config: Config) -> Latent:
    """The widths that config.json states."""
    if not config.get("kv_lora_rank"):
        return Latent()
    names = ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "q_lora_rank", "kv_lora_rank")
    return Latent(*(number(config, name) for name in names))


SCALE_EVERY = 128  # elements of an indexer's key that share a scale of 4 bytes


def latent(config: Config) -> tuple[tuple[Part, ...], tuple[Cache, ...]]:
    """Multi-head latent attention: one latent a token, which every rank holds whole.

    vLLM keeps the up-projection twice: as it is for prefill, and split in the model's dtype to be absorbed in
    decode.
    """
    width, heads = hidden(config), number(config, "num_attention_heads")
    kept, rope = number(config, "kv_lora_rank"), number(config, "qk_rope_head_dim")
    nope, value = number(config, "qk_nope_head_dim"), number(config, "v_head_dim")
    low = number(config, "q_lora_rank")
    query = heads * (nope + rope)
    queries = (
        (
            Part("self_attn.q_a_proj", width * low, "copy"),
            Part("self_attn.q_b_proj", low * query),
        )
        if low
        else (Part("self_attn.q_proj", width * query),)
    )
    up = kept * heads * (nope + value)
    parts = (
        *queries,
        Part("self_attn.kv_a_proj_with_mqa", width * (kept + rope), "copy"),
        Part("self_attn.kv_b_proj", up),
        Part("self_attn.absorbed", up, "shard", "other"),
        Part("self_attn.o_proj", heads * value * width),
        Part("self_attn.norms", low + kept, "copy", "other"),
    )
    more, beside = _indexer(config)
    return (*parts, *more), (Cache("mla", 1, kept + rope, sparse=bool(beside)), *beside)


def _indexer(config: Config) -> tuple[tuple[Part, ...], tuple[Cache, ...]]:
    """What chooses the tokens that sparse attention reads: a key a token in bytes, with its scales, on
    every rank.

    DeepSeek-V3.2: 128 + 4 = 132 bytes.
    """
    heads, size = number(config, "index_n_heads"), number(config, "index_head_dim")
    if not config.get("index_topk") or not size:
        return (), ()
    low = number(config, "q_lora_rank") or hidden(config)
    parts = (
        Part("self_attn.indexer.wq_b", low * heads * size, "copy"),
        Part("self_attn.indexer.wk", hidden(config) * size, "copy"),
        Part("self_attn.indexer.weights_proj", hidden(config) * heads + 2 * size, "copy", "other"),
    )
    return parts, (Cache("mla", 1, size + size // SCALE_EVERY * 4, element=1),)
