"""The ring against a plain list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.event.streaming.encode import Message
from hxp_enterprise_llm.event.streaming.ring import Ring


def filled(offsets: list[int], size: int = 4, max_bytes: int = 1000, raw: bytes = b"{}") -> Ring:
    ring = Ring(size, max_bytes, 0)
    for offset in offsets:
        ring.extend([Message("e", Stored(Offset(offset), "t", raw))])
    return ring


def of(messages: list[Message]) -> list[int]:
    return [message.offset for message in messages]


def test_the_oldest_leave_and_the_floor_follows() -> None:
    ring = filled([2, 4, 6, 8, 10])
    assert (len(ring), of(list(ring)), ring.floor, ring.bytes) == (4, [4, 6, 8, 10], 2, 8)
    assert (ring.covers(2), ring.covers(1)) == (True, False)
    ring.clear(50)
    assert (len(ring), ring.floor, ring.bytes) == (0, 50, 0)


def test_bounded_by_bytes_but_one_is_kept() -> None:
    assert of(list(filled([1, 2, 3], max_bytes=4))) == [2, 3]
    assert of(list(filled([1, 2], max_bytes=10, raw=b"x" * 50))) == [2]


@given(st.lists(st.lists(st.integers(1, 12), max_size=9), max_size=30), st.integers(1, 20), st.integers(1, 60))
def test_what_comes_at_once_is_kept_as_if_it_came_one_by_one(
    batches: list[list[int]], size: int, max_bytes: int
) -> None:
    at_once, singly, offset = Ring(size, max_bytes, 0), Ring(size, max_bytes, 0), 0
    for sizes in batches:
        messages = [Message("e", Stored(Offset(offset + n), "t", b"x" * each)) for n, each in enumerate(sizes, 1)]
        offset += len(sizes)
        at_once.extend(messages)
        for message in messages:
            singly.extend([message])
        assert (list(at_once), at_once.floor, at_once.bytes) == (list(singly), singly.floor, singly.bytes)


def test_a_chunk_ends_where_its_bytes_do() -> None:
    ring = filled([2, 4, 6])
    assert (lambda it: (of(it[0]), it[1]))(ring.between(0, 9, 3)) == ([2, 4], 4)
    assert (lambda it: (of(it[0]), it[1]))(ring.between(4, 9, 3)) == ([6], 9)
    assert ring.between(6, 9, 3) == ([], 9)


def test_the_last_ones() -> None:
    ring = filled([2, 4, 6])
    assert of(ring.last(2, 5)) == [2, 4]
    assert [ring.before_last(count, 6) for count in (1, 2, 3, 99)] == [5, 3, 1, 1]
    assert filled([]).before_last(3, 17) == 17


@given(
    st.lists(st.integers(1, 3), max_size=300),
    st.integers(1, 20),
    st.integers(0, 900),
    st.integers(0, 900),
    st.integers(1, 100),
)
def test_between_is_a_slice_of_everything_kept(
    steps: list[int], size: int, after: int, upto: int, max_bytes: int
) -> None:
    offsets = [sum(steps[: index + 1]) for index in range(len(steps))]
    ring = filled(offsets, size, 10**6)
    kept = offsets[-size:]
    assert of(list(ring)) == kept
    messages, cursor = ring.between(after, upto, max_bytes)
    wanted = [offset for offset in kept if after < offset <= upto]
    assert of(messages) == wanted[: len(messages)]
    assert cursor == (upto if len(messages) == len(wanted) else messages[-1].offset)
    assert bool(messages) == bool(wanted)
