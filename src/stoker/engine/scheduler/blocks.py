"""The KV cache: blocks that are held, and free ones that may be found again.

vLLM keeps its free blocks in one queue. A freed block whose content nobody can name goes to the front and is
used first; one with a name goes to the end. So the queue is always a heap of nameless blocks, of which only
the number matters, and behind it the named, least recently used first. Here it is kept as just that, and
blocks whose names nobody else can say (a sequence's own) become objects only once their sequence is
preempted.
Source: vLLM v1/core/block_pool.py, FreeKVCacheBlockQueue in kv_cache_utils.py.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from stoker.engine.scheduler.limits import SchedulerLimits
from stoker.engine.scheduler.sequence import Sequence


class Block:
    """A full block with a name: how many hold it, and the next block of the same content.

    Blocks are not merged: what two sequences compute side by side is there twice, and the older one is found.
    """

    __slots__ = ("name", "next", "users")

    def __init__(self, name: Hashable, users: int) -> None:
        """A block that was just computed."""
        self.name, self.users = name, users
        self.next: Block | None = None


class Lost:
    """Full blocks in a row that their finished sequence alone could have named: free, used in their turn."""

    __slots__ = ("count",)

    def __init__(self, count: int) -> None:
        """That many."""
        self.count = count


class KVBlocks:
    """All blocks of an engine, of one group of full attention.

    `free` blocks can be given out; `blank` of them hold nothing that can be found, the rest are in `kept`,
    the first to be given up first.
    """

    __slots__ = ("blank", "block_size", "caching", "found", "free", "kept", "total")

    def __init__(self, limits: SchedulerLimits) -> None:
        """All free and empty, but the null block, which vLLM never gives out."""
        self.block_size = limits.block_size
        self.caching = limits.enable_prefix_caching
        self.total = self.free = self.blank = limits.num_gpu_blocks - 1
        self.kept: OrderedDict[Block | Lost, None] = OrderedDict()
        self.found: dict[Hashable, Block] = {}

    @property
    def usage(self) -> float:
        """The share in use, as the metric `kv_cache_usage_perc`. Source: vLLM BlockPool.get_usage."""
        return 1.0 - self.free / self.total if self.total else 0.0

    def needed(self, tokens: int) -> int:
        """Blocks that so many tokens take."""
        return -(-tokens // self.block_size)

    # finding

    def find(self, sequence: Sequence) -> list[Block]:
        """The longest run of blocks from its start that are there: never its last token, which is computed
        again.

        Source: vLLM KVCacheManager.get_computed_blocks, FullAttentionManager.find_longest_cache_hit.
        """
        if not self.caching or not (sequence.content or sequence.preemptions):
            return []
        most = (sequence.tokens - 1) // self.block_size
        hits = self._shared(sequence, most)
        if sequence.preemptions and len(hits) == len(sequence.content):
            self._own(sequence, most, hits)
        return hits

    def _shared(self, sequence: Sequence, most: int) -> list[Block]:
        hits: list[Block] = []
        found = self.found
        for name in sequence.content[:most]:
            block = found.get(name)
            if block is None:
                break
            hits.append(block)
        return hits

    def _own(self, sequence: Sequence, most: int, hits: list[Block]) -> None:
        for index in range(len(hits), most):
            block = self.found.get((sequence, index))
            if block is None:
                break
            hits.append(block)

    def lacking(self, tokens: int, hits: list[Block]) -> int:
        """Free blocks that so many tokens would use up, of which `hits` are there: those in the queue leave
        it.

        Source: vLLM SingleTypeKVCacheManager.get_num_blocks_to_allocate.
        """
        return max(self.needed(tokens) - len(hits), 0) + sum(not block.users for block in hits)

    # taking

    def adopt(self, sequence: Sequence, hits: list[Block]) -> None:
        """Gives a sequence without blocks those that were found. Source: vLLM BlockPool.touch."""
        for block in hits:
            if not block.users:
                del self.kept[block]
                self.free -= 1
            block.users += 1
        sequence.held = hits
        sequence.blocks = sequence.hashed = len(hits)

    def extend(self, sequence: Sequence, tokens: int) -> bool:
        """Room for its first `tokens` tokens; False, and nothing changed, where there is none.

        What becomes full of known tokens can be found from now on, before it is computed: whoever finds it in
        the same step runs in the same batch. Source: vLLM KVCacheManager.allocate_slots.
        """
        more = -(-tokens // self.block_size) - sequence.blocks
        if more > 0:
            if more > self.free:
                return False
            self.take(more)
            sequence.blocks += more
        if self.caching:
            self.name(sequence, min(tokens, sequence.tokens))
        return True

    def take(self, count: int) -> None:
        """Uses up free blocks: the blank first. Source: vLLM BlockPool.get_new_blocks."""
        self.free -= count
        if count <= self.blank:
            self.blank -= count
            return
        count -= self.blank
        self.blank = 0
        while count:
            count -= self._give_up(count)

    def _give_up(self, most: int) -> int:
        entry = next(iter(self.kept))
        if isinstance(entry, Block):
            del self.kept[entry]
            self._forget(entry)
            return 1
        taken = min(most, entry.count)
        entry.count -= taken
        if not entry.count:
            del self.kept[entry]
        return taken

    # naming

    def name(self, sequence: Sequence, tokens: int) -> None:
        """Lets others find the full blocks of its first `tokens`.

        Source: vLLM BlockPool.cache_full_blocks.
        """
        full = tokens // self.block_size
        if full <= sequence.hashed:
            return
        for name in sequence.content[sequence.hashed : full]:
            sequence.held.append(self._insert(Block(name, users=1)))
        sequence.hashed = full

    def _insert(self, block: Block) -> Block:
        last = self.found.setdefault(block.name, block)
        while last is not block:
            if last.next is None:
                last.next = block
            last = last.next
        return block

    def _forget(self, block: Block) -> None:
        first = self.found[block.name]
        if first is not block:
            while first.next is not block:
                assert first.next is not None
                first = first.next
            first.next = block.next
        elif block.next is None:
            del self.found[block.name]
        else:
            self.found[block.name] = block.next

    # giving back

    def release(self, sequence: Sequence) -> None:
        """Takes all blocks of a sequence back, its last ones to be used first.

        Source: vLLM SingleTypeKVCacheManager.free, BlockPool.free_blocks.
        """
        blank = sequence.blocks - sequence.hashed
        own = sequence.hashed - len(sequence.held)
        self.blank += blank
        self.free += blank + own
        if own and sequence.ended is None:
            self._keep_own(sequence)
        elif own:
            self._lose(own)
        for block in reversed(sequence.held):
            block.users -= 1
            if not block.users:
                self.kept[block] = None
                self.free += 1
        sequence.held = []
        sequence.blocks = sequence.hashed = 0

    def _keep_own(self, sequence: Sequence) -> None:
        own = [
            self._insert(Block((sequence, index), users=0))
            for index in range(len(sequence.held), sequence.hashed)
        ]
        self.kept.update(dict.fromkeys(reversed(own)))

    def _lose(self, count: int) -> None:
        last = next(reversed(self.kept)) if self.kept else None
        if isinstance(last, Lost):
            last.count += count
        else:
            self.kept[Lost(count)] = None
