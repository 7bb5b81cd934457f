"""RFC 6455 case by case, in the order in which the Autobahn suite goes through it: framing, pings, reserved bits,
opcodes, fragmentation, UTF-8, closing, sizes. Each case also one byte at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.streaming.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    ServerFrame,
    Session,
    client_frame,
    close_payload,
)

PONG_TEXT = b'{"control":"pong"}'
COMMAND = b'{"command":"ping"}'
ASK = client_frame(TEXT, COMMAND)
MOST = 4096


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[begin : begin + size] for begin in range(0, len(data), size))


@pytest.fixture(params=[1, 3, 1 << 20], ids=["byte by byte", "by three", "at once"])
async def session(request: pytest.FixtureRequest) -> Session:
    made = Session(MOST)
    whole = made.send
    made.send = lambda *data: whole(*pieces(b"".join(data), request.param))  # type: ignore[method-assign]
    return made


def padded(size: int) -> bytes:
    """The one command that there is, in so many bytes."""
    return COMMAND[:-1] + b" " * (size - len(COMMAND)) + b"}"


# 1: framing


@pytest.mark.parametrize("size", [18, 125, 126, 127, 128, 1000, MOST])
async def test_texts_of_all_length_forms(session: Session, size: int) -> None:
    session.send(client_frame(TEXT, padded(size)))
    assert session.texts == [PONG_TEXT]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1000, MOST])
async def test_binary_is_answered_with_a_hint_and_the_stream_goes_on(session: Session, size: int) -> None:
    session.send(client_frame(BINARY, b"\xfe" * size), ASK)
    assert [b"binary messages" in text for text in session.texts] == [True, False]


async def test_an_empty_text_is_a_message(session: Session) -> None:
    session.send(client_frame(TEXT))
    assert b"a message is JSON" in session.texts[0]


# 2: pings and pongs


@pytest.mark.parametrize("payload", [b"", b"hello", b"\x00\xff\xfe\xfd", b"\xfe" * 125])
async def test_a_ping_is_answered_with_its_payload(session: Session, payload: bytes) -> None:
    session.send(client_frame(PING, payload))
    assert session.answers == [ServerFrame(PONG, payload)]


async def test_ten_pings_in_a_row_are_answered_in_order(session: Session) -> None:
    session.send(*[client_frame(PING, b"%d" % number) for number in range(10)])
    assert session.answers == [ServerFrame(PONG, b"%d" % number) for number in range(10)]


@pytest.mark.parametrize("payload", [b"", b"unsolicited"])
async def test_an_unsolicited_pong_is_nothing(session: Session, payload: bytes) -> None:
    session.send(client_frame(PONG, payload), client_frame(PING, b"x"))
    assert session.answers == [ServerFrame(PONG, b"x")]


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
async def test_a_control_frame_above_125_bytes(session: Session, opcode: int) -> None:
    session.send(client_frame(opcode, b"\xfe" * 126))
    assert session.code == 1002


# 3: reserved bits


@pytest.mark.parametrize("reserved", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG])
async def test_reserved_bits(session: Session, opcode: int, reserved: int) -> None:
    session.send(ASK, client_frame(opcode, b"", reserved=reserved), ASK)
    assert session.texts == [PONG_TEXT]
    assert session.code == 1002


# 4: opcodes


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"reserved"])
async def test_reserved_opcodes(session: Session, opcode: int, payload: bytes) -> None:
    session.send(ASK, client_frame(opcode, payload), client_frame(PING))
    assert session.texts == [PONG_TEXT]
    assert session.code == 1002


@pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION])
async def test_what_is_not_masked(session: Session, opcode: int) -> None:
    session.send(client_frame(opcode, b"", masked=False))
    assert session.code == 1002


# 5: fragmentation


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
async def test_a_control_frame_in_fragments(session: Session, opcode: int) -> None:
    session.send(client_frame(opcode, b"", fin=False), client_frame(CONTINUATION))
    assert session.code == 1002


@pytest.mark.parametrize("cut", [0, 1, 9, len(COMMAND)])
async def test_a_text_in_two(session: Session, cut: int) -> None:
    session.send(client_frame(TEXT, COMMAND[:cut], fin=False), client_frame(CONTINUATION, COMMAND[cut:]))
    assert session.texts == [PONG_TEXT]


async def test_pings_between_fragments_are_answered(session: Session) -> None:
    session.send(
        client_frame(TEXT, COMMAND[:4], fin=False),
        client_frame(PING, b"1"),
        client_frame(CONTINUATION, COMMAND[4:8], fin=False),
        client_frame(PING, b"2"),
        client_frame(CONTINUATION, COMMAND[8:]),
    )
    assert [frame.payload for frame in session.answers if frame.opcode == PONG] == [b"1", b"2"]
    assert session.texts == [PONG_TEXT]


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("before", [b"", ASK], ids=["first", "after a message"])
async def test_a_continuation_of_nothing(session: Session, fin: bool, before: bytes) -> None:
    session.send(before, client_frame(CONTINUATION, b"x", fin=fin))
    assert session.code == 1002


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_a_new_message_before_the_old_one_has_ended(session: Session, opcode: int) -> None:
    session.send(client_frame(TEXT, b"x", fin=False), client_frame(opcode, b"y"))
    assert session.code == 1002


async def test_fragments_of_binary_are_no_text(session: Session) -> None:
    session.send(client_frame(BINARY, b"\xff", fin=False), client_frame(CONTINUATION, b"\xff"), ASK)
    assert session.texts[-1] == PONG_TEXT
    assert len(session.texts) == 2
    assert session.code == 0


async def test_a_million_empty_fragments_are_kept_nowhere(session: Session) -> None:
    empty = client_frame(CONTINUATION, fin=False)
    session.send(client_frame(TEXT, COMMAND[:5], fin=False), empty * 2000)
    assert bytes(session.link._fragments or b"") == COMMAND[:5]
    session.send(client_frame(CONTINUATION, COMMAND[5:]))
    assert session.texts == [PONG_TEXT]


# 6: UTF-8

VALID = [
    "κόσμε",
    "\x00",
    "\x7f",
    "\x80",
    "\u07ff",
    "\u0800",
    "\uffff",
    "\U00010000",
    "\U0010ffff",
    "\ufffd",
    "\ud7ff\ue000",
]
INVALID = [
    b"\x80",
    b"\xbf\xbf",
    b"\xc0\xaf",
    b"\xc1\xbf",
    b"\xe0\x80\xaf",
    b"\xe0\x9f\xbf",
    b"\xf0\x80\x80\xaf",
    b"\xf0\x8f\xbf\xbf",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\xc2",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
]


@pytest.mark.parametrize("text", VALID)
async def test_text_that_is_utf_8(session: Session, text: str) -> None:
    session.send(client_frame(TEXT, text.encode()), ASK)
    assert len(session.texts) == 2
    assert session.code == 0


@pytest.mark.parametrize("cut", range(1, 11))
async def test_a_character_in_two_fragments(session: Session, cut: int) -> None:
    payload = "κόσμε".encode()
    session.send(client_frame(TEXT, payload[:cut], fin=False), client_frame(CONTINUATION, payload[cut:]), ASK)
    assert session.texts[-1] == PONG_TEXT


@pytest.mark.parametrize("payload", INVALID)
@pytest.mark.parametrize("fragmented", [False, True])
async def test_text_that_is_not_utf_8(session: Session, payload: bytes, fragmented: bool) -> None:
    if fragmented:
        session.send(
            *[client_frame(TEXT if not at else 0, payload[at : at + 1], fin=False) for at in range(len(payload))]
        )
        session.send(client_frame(CONTINUATION))
    else:
        session.send(client_frame(TEXT, payload))
    assert session.code == 1007
    assert session.end() == "not_utf8"


# 7: closing


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        *(close_payload(code, b"bye") for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4999)),
    ],
)
async def test_a_close_is_answered_with_the_same(session: Session, payload: bytes) -> None:
    session.send(client_frame(CLOSE, payload), client_frame(PING, b"late"))
    assert [frame.opcode for frame in session.answers] == [CLOSE]
    assert session.answers[0].payload[:2] == payload[:2]
    assert session.transport.ended
    assert session.end() == "client"


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
async def test_a_close_with_a_code_that_is_none(session: Session, code: int) -> None:
    session.send(client_frame(CLOSE, close_payload(code)))
    assert session.code == 1002
    assert session.end() == "protocol_error"


async def test_a_close_of_one_byte(session: Session) -> None:
    session.send(client_frame(CLOSE, b"\x03"))
    assert session.code == 1002


async def test_a_close_whose_reason_is_not_utf_8(session: Session) -> None:
    session.send(client_frame(CLOSE, close_payload(1000, b"\xce\xba\xff")))
    assert session.code in (1002, 1007)


async def test_a_close_with_the_longest_reason(session: Session) -> None:
    session.send(client_frame(CLOSE, close_payload(1000, b"x" * 123)))
    assert session.code == 1000


async def test_what_comes_after_a_close_is_not_read(session: Session) -> None:
    session.send(client_frame(CLOSE, close_payload(1000)), ASK, client_frame(CLOSE, close_payload(1001)), b"\xff" * 99)
    assert len(session.answers) == 1


async def test_a_close_in_the_middle_of_a_message_leaves_it_incomplete(session: Session) -> None:
    session.send(client_frame(TEXT, b'{"comm', fin=False), client_frame(CLOSE, close_payload(1000)))
    assert session.code == 1002
    assert not session.texts


# 9: sizes


@pytest.mark.parametrize("width", [16, 64])
async def test_a_length_in_a_longer_form_than_needed_is_read_or_refused(session: Session, width: int) -> None:
    session.send(client_frame(TEXT, COMMAND, width=width))
    assert session.texts == [PONG_TEXT] or session.code == 1002


@pytest.mark.parametrize("size", [MOST + 1, 1 << 16, (1 << 63) - 1])
async def test_a_message_above_the_limit_is_refused_by_its_head(session: Session, size: int) -> None:
    session.send(client_frame(TEXT, b"", size=size))
    assert session.code == 1009
    assert session.end() == "message_too_big"


async def test_a_length_with_its_highest_bit_set(session: Session) -> None:
    session.send(client_frame(TEXT, b"", size=1 << 63))
    assert session.code in (1002, 1009)


async def test_fragments_that_are_too_big_together(session: Session) -> None:
    half = b"x" * (MOST // 2 + 1)
    session.send(client_frame(TEXT, half, fin=False), client_frame(CONTINUATION, half))
    assert session.code == 1009


async def test_many_small_messages(session: Session) -> None:
    session.send(ASK * 300)
    assert session.texts == [PONG_TEXT] * 300
