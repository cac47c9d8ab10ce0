"""What tokenizers of GGUF files share in Hugging Face's terms, whatever the architecture.

Sources: the GGUF specification; the format of `tokenizer.json` of Hugging Face's tokenizers.
"""

from typing import Any

CONTROL, USER_DEFINED = 3, 4  # types of tokens that stand alone
NAMES = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}


def tokenizer_file(
    fields: dict[str, Any],
    *,
    normalizer: dict[str, Any] | None,
    pre_tokenizer: dict[str, Any],
    post_processor: dict[str, Any] | None,
    decoder: dict[str, Any],
    model: dict[str, Any],
) -> dict[str, Any]:
    """tokenizer.json of a BPE: the stages of an architecture, over the file's tokens. model: what its BPE has
    of its own, `merges` at least."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added(fields),
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": decoder,
        "model": _bpe(fields["tokenizer.ggml.tokens"]) | model,
    }


def _bpe(tokens: list[str]) -> dict[str, Any]:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {token: i for i, token in enumerate(tokens)},
    }


def _added(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Tokens that are matched whole, before anything else."""
    return [
        {
            "id": i,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": kind == CONTROL,
        }
        for i, (token, kind) in enumerate(
            zip(fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"], strict=True)
        )
        if kind in (CONTROL, USER_DEFINED)
    ]


def named(fields: dict[str, Any]) -> dict[str, str]:
    """The tokens that tokenizer_config.json calls by a role."""
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    return {key: tokens[fields[f"tokenizer.ggml.{name}_token_id"]] for key, name in NAMES.items()}
