"""The lines of a stream: read many at once they say what they say one by one."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.log.model import CursorError, Stored
from hxp_enterprise_llm.event.log.remote.lines import ProtocolError, StreamDecoder
from hxp_enterprise_llm.event.model import Offset, TypePatterns

EVENT = b'%d {"type":"a.%d"}'
LINES = st.lists(
    st.one_of(
        st.builds(lambda offset, type: EVENT % (offset, type), st.integers(1, 30), st.integers(0, 3)),
        st.sampled_from(
            [
                b"# e 1 20 5",
                b"# e 1 20 40",
                b"# other 1 20 5",
                b'! gone {"epoch":"e","first":3,"head":9}',
                b"",
                b"7",
                b' {"type":"a"}',
                b'+7 {"type":"a"}',
                b'1_1 {"type":"a"}',
                b'12  {"type":"a"}',
                b'9007199254740992 {"type":"a"}',
                b'00000000000000012 {"type":"a"}',
                b"13 {}",
                b'14 {"type":7}',
                b'15 {"type":"\xff"}',
                b"16 {",
            ]
        ),
    ),
    max_size=8,
)
Outcome = tuple[list[Stored], int, bool, str]


def outcome(pieces: list[bytes], types: TypePatterns | None) -> Outcome:
    """All that a decoder told, where it stood in the end, and what it ended in."""
    decoder, told = StreamDecoder(Offset(0), "e", 1000), list[Stored]()
    try:
        for piece in pieces:
            batch = decoder.feed(piece, types)
            told += batch.events if batch else ()
    except (ProtocolError, CursorError) as error:
        return [], 0, False, f"{type(error).__name__}: {error}"
    return told, decoder.next, decoder.progressed, ""


@given(LINES, st.sampled_from([None, TypePatterns(["a.1", "a.2"])]))
@example([EVENT % (offset, 1) for offset in (3, 4, 4)], None)
@example([EVENT % (offset, 1) for offset in (0, 1)], None)
@example([EVENT % (offset, 1) for offset in (2**53 - 1, 2**53)], None)
def test_together_and_one_by_one(lines: list[bytes], types: TypePatterns | None) -> None:
    begun, ended = b"# e 1 20 0\n", [b"%b\n" % line for line in lines]
    assert outcome([begun, b"".join(ended)], types) == outcome([begun, *ended], types)


def test_a_stream_that_begins_with_events_is_refused() -> None:
    with pytest.raises(ProtocolError, match="the stream begins with b'1 "):
        StreamDecoder(Offset(0), None, 1000).feed(b"".join(EVENT % (n, 1) + b"\n" for n in (1, 2)))


def test_a_run_of_events_stays_in_columns() -> None:
    decoder = StreamDecoder(Offset(0), "e", 1000)
    decoder.feed(b"# e 1 20 0\n")
    batch = decoder.feed(b"".join(EVENT % (n, n) + b"\n" for n in (3, 5, 9)))
    assert batch is not None
    assert isinstance(batch.events, StoredColumns)
    assert batch.events == [(3, "a.3", b'{"type":"a.3"}'), (5, "a.5", b'{"type":"a.5"}'), (9, "a.9", b'{"type":"a.9"}')]
    assert (batch.next, batch.head) == (9, 20)
