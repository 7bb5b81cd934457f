"""Frames and blocks, byte for byte."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from hxp_enterprise_llm.event.log.model import Bounds, Stored
from hxp_enterprise_llm.event.model import Event, Offset, encode
from hxp_enterprise_llm.event.streaming.encode import SSE, WEBSOCKET, Message, reset, text_frame
from tests.unit.streaming.links import frames, sse_blocks


def message(offset: int = 12, raw: bytes = b'{"specversion":"1.0","id":"a"}', type: str = "t") -> Message:
    return Message("ab12", Stored(Offset(offset), type, raw))


def test_offset_and_epoch_stand_in_front_of_the_event() -> None:
    payload = b'{"offset":12,"epoch":"ab12","specversion":"1.0","id":"a"}'
    assert message().payload() == payload
    assert message().websocket == bytes((0x81, len(payload))) + payload
    assert message().sse == b"id: ab12.12\ndata: " + payload + b"\n\n"


def test_encodings_are_made_once() -> None:
    one = message()
    assert one.websocket is one.websocket
    assert one.sse is one.sse
    assert one.fields() is one.fields()
    fields = one.fields()
    one.forget_fields()
    assert one.fields() is not fields


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_frames_are_those_of_the_protocol(size: int) -> None:
    payload = b"x" * size
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


def test_a_carriage_return_between_tokens_ends_no_line() -> None:
    assert message(raw=b'{"id":\r"a"}').sse == b'id: ab12.12\ndata: {"offset":12,"epoch":"ab12","id": "a"}\n\n'


@given(st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53) | st.none()), st.integers(1, 2**53 - 1))
def test_every_event_comes_back_from_both_formats(data: dict[str, object], offset: int) -> None:
    stored = encode(Event(id="1", source="/s", type="t", data=data))
    one = message(offset, stored.raw)
    wanted = {"offset": offset, "epoch": "ab12", **msgspec.json.decode(stored.raw)}
    assert [block.body for block in sse_blocks(SSE.join([one, one]))] == [wanted, wanted]
    assert [frame.body for frame in frames(WEBSOCKET.join([one, one]))] == [wanted, wanted]


def test_control_messages() -> None:
    assert frames(WEBSOCKET.control("pong", {}))[0].body == {"control": "pong"}
    assert SSE.control("note", {"a": 1}) == b'event: note\ndata: {"a":1}\n\n'
    bounds = Bounds("e", Offset(5), Offset(9))
    body = {"reason": "gone", "epoch": "e", "first": 5, "head": 9, "after": 4}
    assert frames(reset(WEBSOCKET, "gone", bounds, 4))[0].body == {"control": "reset", **body}
    assert reset(SSE, "gone", bounds, 4).startswith(b"event: reset\nid: e.4\ndata: {")


@pytest.mark.parametrize(
    ("raw", "time"),
    [
        (b'{"time":"1970-01-01T00:00:02.500Z"}', 2.5),
        (b'{"time":"1970-01-01T00:00:02"}', None),
        (b'{"time":"soon"}', None),
        (b'{"time":7}', None),
        (b"{}", None),
    ],
)
def test_time_of_an_event(raw: bytes, time: float | None) -> None:
    assert message(raw=raw).time() == time
