"""Bodies: what goes in comes out, and what is released is counted as gone."""

import pytest

from stoker.system.bodies import ALWAYS, SEGMENT, SMALL, Body, Store


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, SEGMENT - 1, SEGMENT, 3 * SEGMENT + 7])
@pytest.mark.parametrize("step", [1000, SMALL, 10 * SEGMENT])
def test_a_body_is_what_was_added(size: int, step: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    store = Store(1 << 30)
    body = Body(store)
    for at in range(0, size, step):
        body.add(data[at : at + step])
    assert (body.size, store.held) == (size, size)
    assert bytes(body) == data
    taken, at = b"", 0
    while piece := body.take(at, 100_000):
        taken, at = taken + piece, at + len(piece)
    assert taken == data
    body.release()
    body.release()
    assert (body.size, store.held, body.take(0, 10)) == (0, 0, b"")


def test_the_store_is_full_for_large_bodies_first() -> None:
    store = Store(2 * ALWAYS)
    first, second = Body(store), Body(store)
    first.add(b"x" * ALWAYS * 2)
    assert store.full(first, 1)
    assert not store.full(second, ALWAYS), "a small one is always taken"
    assert store.full(second, ALWAYS + 1)
    first.release()
    assert not store.full(second, ALWAYS + 1)
