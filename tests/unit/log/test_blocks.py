"""Blocks in the stream of a log: they say what lines say, in whatever pieces they come, and a lying head is refused."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.log.remote.blocks import BlockDecoder, events_for_ours
from hxp_enterprise_llm.event.log.remote.lines import ProtocolError, StreamDecoder, event_lines
from hxp_enterprise_llm.event.model import Offset, TypePatterns

BEGUN = b"# e 1 1000 0\n"
TYPES = st.sampled_from(["a.1", "a.2", "ß.∞", '"'])
BATCHES = st.lists(st.tuples(st.integers(1, 3), st.lists(TYPES, min_size=1, max_size=9), st.booleans()), max_size=5)
"""Offsets left out before, the types, whether a progress line follows."""


def event(offset: int, type: str) -> Stored:
    raw = b'{"type":"%b","text":"= {\\n= "}' % type.replace('"', '\\"').encode()
    return Stored(Offset(offset), type, raw)


def streams(batches: list[tuple[int, list[str], bool]]) -> tuple[bytes, bytes]:
    """The same stream in lines, and in blocks."""
    lines, blocks, offset = [BEGUN], [BEGUN], 0
    for step, types, told in batches:
        events = [event(offset + step + at, type) for at, type in enumerate(types)]
        offset = events[-1].offset
        progress = b"# e 1 1000 %d\n" % offset if told else b""
        lines.append(event_lines(events) + progress)
        blocks.append(events_for_ours(events) + progress)
    return b"".join(lines), b"".join(blocks)


def told(decoder: StreamDecoder, pieces: list[bytes], types: TypePatterns | None) -> tuple[list[Stored], int, bool]:
    found = [decoder.feed(piece, types) for piece in pieces]
    events = [event for batch in found if batch is not None for event in batch.events]
    return events, decoder.next, decoder.progressed


@given(BATCHES, st.lists(st.integers(1, 400), max_size=12), st.sampled_from([None, TypePatterns(["a.1"])]))
def test_blocks_say_what_lines_say_in_whatever_pieces_they_come(batches, sizes, types) -> None:
    lines, blocks = streams(batches)
    cuts = [0, *(at for at in itertools.accumulate(sizes) if at < len(blocks)), len(blocks)]
    pieces = [blocks[start:end] for start, end in itertools.pairwise(cuts)]
    expected = told(StreamDecoder(Offset(0), "e", 1000), [lines], types)
    assert told(BlockDecoder(Offset(0), "e", 1000), pieces, types) == expected


def test_a_block_stays_in_columns() -> None:
    decoder = BlockDecoder(Offset(0), "e", 1000)
    decoder.feed(BEGUN)
    batch = decoder.feed(events_for_ours([event(offset, "a") for offset in range(5, 10)]))
    assert batch is not None
    assert isinstance(batch.events, StoredColumns)
    assert batch.events.offsets == range(5, 10)
    assert (batch.next, batch.head) == (9, 1000)


@pytest.mark.parametrize("offsets", [[5, 6, 7], [5, 6, 8, 9]], ids=["few", "a hole"])
def test_what_is_no_block_goes_in_lines(offsets) -> None:
    events = [event(offset, "a") for offset in offsets]
    assert events_for_ours(events) == event_lines(events)


def block(head: bytes, body: bytes = b"a\nb\nc\nd") -> bytes:
    return b"= " + head + b"\n" + body + b"\n"


@pytest.mark.parametrize(
    "lie",
    [
        block(b'{"first":8,"count":3,"size":7,"types":["a"]}'),
        block(b'{"first":8,"count":5,"size":7,"types":["a"]}'),
        block(b'{"first":3,"count":4,"size":7,"types":["a"]}'),
        block(b'{"first":9007199254740990,"count":4,"size":7,"types":["a"]}'),
        block(b'{"first":8,"count":4,"size":6,"types":["a"]}'),
        block(b'{"first":8,"count":4,"size":-1,"types":["a"]}'),
        block(b'{"first":8,"count":4,"size":999999999,"types":["a"]}'),
        block(b'{"first":8,"count":4,"size":7,"types":[]}'),
        block(b'{"first":8,"count":4,"size":7,"types":["a","b"]}'),
        block(b'{"first":8,"count":4,"size":7,"types":["a","b"],"of":[0,1,2,0]}'),
        block(b'{"first":8,"count":4,"size":7,"types":["a","b"],"of":[0,-1,0,0]}'),
        block(b'{"first":8,"count":4,"size":7,"types":["a","b"],"of":[0]}'),
        block(b'{"first":8,"count":4,"size":7}'),
        block(b"no JSON"),
        block(b"\xff"),
        b"= " + b"x" * 5_000_000,
        b"x" * 5_000,
    ],
)
def test_a_block_whose_head_lies_is_refused(lie) -> None:
    decoder = BlockDecoder(Offset(3), "e", 1000)
    decoder.feed(b"# e 1 1000 3\n")
    with pytest.raises(ProtocolError):
        decoder.feed(lie)
    assert decoder.next == 3


def test_a_stream_that_begins_with_a_block_is_refused() -> None:
    with pytest.raises(ProtocolError, match="the stream begins with"):
        BlockDecoder(Offset(0), None, 1000).feed(block(b'{"first":1,"count":4,"size":7,"types":["a"]}'))
