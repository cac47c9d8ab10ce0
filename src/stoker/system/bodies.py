"""Bodies of requests, held until they are not needed for another try.

A small one is plain bytes. A large one lies in memory of its own, mapped a mebibyte at a time and given back
to the
system the moment it is released: the allocator would keep what was freed, and collect cycles when it likes.
"""

import mmap

SMALL = 256 * 1024
SEGMENT = 1 << 20
ALWAYS = 64 * 1024  # a body of this size is taken even where the store is full


class Store:
    """How many bytes of bodies are held by all connections of a server, and how many may be."""

    __slots__ = ("held", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    def full(self, body: "Body", more: int) -> bool:
        """Whether so many bytes more of this body are too many."""
        return self.held + more > self.most and body.size + more > ALWAYS


class Body:
    """One body. `release` gives its memory back; nothing can be read after it."""

    __slots__ = ("_segments", "_small", "_store", "size")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._small: bytes | bytearray = b""
        self._segments: list[mmap.mmap] = []
        self.size = 0

    def add(self, data: bytes) -> None:
        """Takes the next bytes of it."""
        at = self.size
        self.size += len(data)
        self._store.held += len(data)
        if self.size > SMALL:
            if at and not self._segments:
                self._fill(0, self._small)
                self._small = b""
            self._fill(at, data)
        elif not at:
            self._small = data
        else:
            if isinstance(self._small, bytes):
                self._small = bytearray(self._small)
            self._small += data

    def _fill(self, at: int, data: bytes | bytearray) -> None:
        view = memoryview(data)
        while view:
            inside = at % SEGMENT
            if not inside:
                flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
                self._segments.append(mmap.mmap(-1, SEGMENT, flags=flags))
            part = view[: SEGMENT - inside]
            self._segments[-1][inside : inside + len(part)] = part
            at += len(part)
            view = view[len(part) :]

    def take(self, at: int, most: int) -> bytes:
        """Up to so many bytes from there on; fewer at the end of a segment, none at the end."""
        if not self._segments:
            return bytes(self._small) if not at and self.size <= most else bytes(self._small[at : at + most])
        number, inside = divmod(at, SEGMENT)
        if number >= len(self._segments):
            return b""
        end = min(SEGMENT, inside + most, self.size - number * SEGMENT)
        return self._segments[number][inside:end]

    def __bytes__(self) -> bytes:
        if not self._segments:
            return bytes(self._small)
        return b"".join(self.take(at, SEGMENT) for at in range(0, self.size, SEGMENT))

    def release(self) -> None:
        """Gives the memory back. May be called again."""
        self._store.held -= self.size
        self.size = 0
        self._small = b""
        for segment in self._segments:
            segment.close()
        self._segments.clear()
