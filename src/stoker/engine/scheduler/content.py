"""Names of blocks: equal where two sequences have the same tokens up to a block's end.

Names of one engine are made in one way: those of tokens and those of a trace never meet.
"""

from collections.abc import Hashable, Sequence


def of_tokens(tokens: Sequence[int], block_size: int, salt: Hashable = None) -> tuple[int, ...]:
    """The names of all full blocks of these tokens, prompt and answer.

    A `salt` keeps tenants or adapters apart.

    Source: vLLM v1/core/kv_cache_utils.py, get_request_block_hasher.
    """
    name, names = hash(salt), list[int]()
    for end in range(block_size, len(tokens) + 1, block_size):
        name = hash((name, *tokens[end - block_size : end]))
        names.append(name)
    return tuple(names)


def of_trace(ids: Sequence[Hashable], span: int, tokens: int, block_size: int) -> tuple[Hashable, ...]:
    """The names of the full blocks of `tokens` tokens, of which a trace knows only an id for every `span`.

    An id stands for all tokens up to its span's end, as Mooncake's `hash_ids` do, of 512 tokens each. Blocks
    behind the last id have no name.
    """
    ends = range(block_size, min(tokens, len(ids) * span) + 1, block_size)
    return tuple((ids[(end - 1) // span], end) for end in ends)
