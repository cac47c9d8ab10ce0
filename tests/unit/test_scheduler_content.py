"""Names of blocks."""

from stoker.engine.scheduler.content import of_tokens, of_trace


def test_blocks_of_tokens_are_the_same_as_far_as_all_before_is() -> None:
    one, other = of_tokens([1, 2, 3, 4, 5, 6, 7], 2), of_tokens([1, 2, 3, 4, 6, 6, 8], 2)
    assert len(one) == len(other) == 3
    assert one[:2] == other[:2]
    assert one[2] != other[2]
    assert of_tokens([9, 9, 3, 4], 2)[1] != one[1]
    assert of_tokens([1], 2) == ()


def test_a_salt_keeps_them_apart() -> None:
    assert not set(of_tokens([1, 2, 3, 4], 2, "a")) & set(of_tokens([1, 2, 3, 4], 2, "b"))


def test_blocks_of_a_trace_are_the_same_where_its_ids_are() -> None:
    one, other = of_trace([7, 8], 512, 1000, 16), of_trace([7, 9], 512, 600, 16)
    assert (len(one), len(other)) == (62, 37)
    assert one[:32] == other[:32]
    assert not set(one[32:]) & set(other[32:])


def test_blocks_that_are_no_part_of_a_span_are_named_by_the_span_of_their_end() -> None:
    assert of_trace(["a", "b"], 6, 12, 4) == (("a", 4), ("b", 8), ("b", 12))
    assert of_trace(["a", "b"], 2, 100, 4) == (("b", 4),)
