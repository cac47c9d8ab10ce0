"""A prefix cache: which blocks of prompts were seen before, counted in tokens."""


class PrefixCache:
    """Remembers the most recent blocks; a block is found only with all blocks before it."""

    def __init__(self, blocks: int, block_size: int) -> None:
        self._most = blocks
        self._size = block_size
        self._seen: dict[int, None] = {}

    def read(self, words: tuple[str, ...]) -> int:
        """Takes a prompt in; returns how many of its tokens were there already, always less than all."""
        chain, found, unbroken = 0, 0, True
        for start in range(0, len(words) - self._size + 1, self._size):
            chain = hash((chain, words[start : start + self._size]))
            unbroken = unbroken and chain in self._seen
            found += self._size if unbroken and start + self._size < len(words) else 0
            self._seen.pop(chain, None)
            self._seen[chain] = None
        while len(self._seen) > self._most:
            del self._seen[next(iter(self._seen))]
        return found
