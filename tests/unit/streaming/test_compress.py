"""Compressed pieces: what comes out is what went in, in any order and for every window; and what is agreed on."""

from __future__ import annotations

import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, Protocol

from hxp_enterprise_llm.config.streaming import (
    HighFrequencyConfig,
    OptimizationConfig,
    SseConfig,
    StreamingConfig,
    WebSocketConfig,
)
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import Event, Offset, encode
from hxp_enterprise_llm.event.streaming import compress
from hxp_enterprise_llm.event.streaming.compress import (
    CAREFUL_BYTES,
    PREAMBLE,
    SMALLEST,
    SSE_DEFLATE,
    ContinuedDeflate,
    WebSocketDeflate,
    agree,
    choose_coding,
    wanted,
)
from hxp_enterprise_llm.event.streaming.encode import KEEP_ALIVE, SSE, WEBSOCKET, Message, Packed

FORMATS = [WebSocketDeflate(takeover, bits) for takeover in (True, False) for bits in (9, 12, 15)]


def messages(count: int, first: int = 1, text: str = "completed") -> list[Message]:
    events = [
        encode(Event(id=str(n), source="/gateway", type="llm.request", data={"latency_ms": n * 7 % 900, "state": text}))
        for n in range(first, first + count)
    ]
    return [Message("ab12", Stored(Offset(first + n), event.type, event.raw)) for n, event in enumerate(events)]


class Client:
    """The other side of a WebSocket, which keeps the window that was agreed on."""

    def __init__(self, format: WebSocketDeflate) -> None:
        self._protocol = Protocol(CLIENT, state=OPEN)
        self._protocol.extensions = [PerMessageDeflate(not format.takeover, True, format.window_bits, 15)]

    def texts(self, data: bytes) -> list[bytes]:
        self._protocol.receive_data(data)
        frames = [frame for frame in self._protocol.events_received() if isinstance(frame, Frame)]
        assert self._protocol.parser_exc is None
        assert all(frame.opcode is Opcode.TEXT and frame.fin for frame in frames)
        return [bytes(frame.data) for frame in frames]


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_every_event_is_a_message_of_its_own_and_comes_back(format: WebSocketDeflate) -> None:
    client = Client(format)
    long = "The request took longer than the limit of its tenant allows. " * 4
    pieces = [messages(50, text=long), messages(1, 51, long), messages(3, 52, long), messages(400, 55, long)]
    assert len(WEBSOCKET.join(pieces[-1])) > CAREFUL_BYTES > len(WEBSOCKET.join(pieces[0]))
    for piece in pieces:
        data = format.join(piece)
        assert isinstance(data, Packed)
        assert data.plain_size == sum(len(message.payload()) for message in piece)
        assert 0 < data.saved == data.plain_size - len(data)
        assert client.texts(data) == [message.payload() for message in piece]


@pytest.mark.parametrize("format", FORMATS, ids=str)
@given(sizes=st.lists(st.tuples(st.integers(1, 6), st.text(max_size=60)), max_size=8))
def test_pieces_and_control_messages_follow_each_other_in_any_order(
    format: WebSocketDeflate, sizes: list[tuple[int, str]]
) -> None:
    client = Client(format)
    for count, text in sizes:
        piece = messages(count, text=text)
        assert client.texts(format.join(piece)) == [message.payload() for message in piece]
        assert client.texts(format.control("note", {"text": text})) == [
            msgspec.json.encode({"control": "note", "text": text})
        ]


def test_a_client_that_came_later_reads_the_same_piece() -> None:
    format = WebSocketDeflate()
    first, second = messages(20), messages(20, 21)
    early, late = Client(format), Client(format)
    early.texts(format.join(first))
    piece = format.join(second)
    assert early.texts(piece) == late.texts(piece) == [message.payload() for message in second]


@pytest.mark.parametrize("bits", [9, 12, 15])
@given(
    sizes=st.lists(st.tuples(st.integers(1, 6), st.text(max_size=90), st.integers(0, 40_000)), min_size=1, max_size=8)
)
def test_a_piece_may_look_back_into_as_much_of_what_came_before_as_is_known(
    bits: int, sizes: list[tuple[int, str, int]]
) -> None:
    format = ContinuedDeflate(bits)
    client, told = Client(WebSocketDeflate(window_bits=bits)), b""
    for count, text, reach in sizes:
        piece = messages(count, text=text)
        data = format.join_behind(told[-min(reach, format.lookback) :] if reach else b"", piece)
        assert client.texts(data) == [message.payload() for message in piece]
        client.texts(format.control("note", {"text": text}))
        told += b"".join(message.payload() for message in piece)


def test_a_single_event_behind_others_shrinks_like_many_joined() -> None:
    format, past = WebSocketDeflate().continued, messages(200)
    assert format is not None
    before = b"".join(message.payload() for message in past)[-format.lookback :]
    assert len(format.join_behind(before, messages(1, 201))) * 4 < len(WEBSOCKET.join(messages(1, 201)))
    assert len(WebSocketDeflate().join(messages(1, 201))) * 4 > 3 * len(WEBSOCKET.join(messages(1, 201)))


def test_whoever_keeps_no_window_never_goes_on() -> None:
    assert WebSocketDeflate(takeover=False).continued is None


def test_what_would_not_shrink_stays_plain() -> None:
    small = [Message("e", Stored(Offset(1), "t", b'{"id":"1"}'))]
    assert len(small[0].payload()) < SMALLEST
    for format in FORMATS:
        assert format.join(small) == WEBSOCKET.join(small)
        assert not isinstance(format.join(small), Packed)
    noise = "".join(chr(0x4E00 + (n * 7919) % 20000) for n in range(400))
    hard = messages(1, text=noise)
    for format in FORMATS:
        assert len(format.join(hard)) <= len(WEBSOCKET.join(hard))


def test_without_takeover_small_messages_between_large_ones_stay_plain() -> None:
    format = WebSocketDeflate(takeover=False)
    small = Message("e", Stored(Offset(1), "t", b'{"id":"1"}'))
    piece = [*messages(1, text="x" * 500), small, *messages(1, text="y" * 500)]
    data = format.join(piece)
    assert small.websocket in data
    assert Client(format).texts(data) == [message.payload() for message in piece]


def test_joined_events_shrink_to_less_than_a_third() -> None:
    piece = messages(10)
    assert len(WebSocketDeflate().join(piece)) * 3 < len(WEBSOCKET.join(piece))
    assert len(SSE_DEFLATE.join(piece)) * 3 < len(SSE.join(piece))
    assert len(WebSocketDeflate().join(piece)) * 2 < len(WebSocketDeflate(takeover=False).join(piece))


@pytest.mark.parametrize(("coding", "bits"), [("gzip", 31), ("deflate", 15)])
def test_a_stream_can_be_read_as_it_comes(coding: str, bits: int) -> None:
    reader = zlib.decompressobj(bits)
    reader.decompress(PREAMBLE[coding])  # type: ignore[index]
    for piece in (messages(30), messages(1, 31), messages(5, 32)):
        assert reader.decompress(SSE_DEFLATE.join(piece)) == SSE.join(piece)
        assert reader.decompress(SSE_DEFLATE.wrap(KEEP_ALIVE)) == KEEP_ALIVE
        assert reader.decompress(SSE_DEFLATE.control("note", {"a": 1})) == SSE.control("note", {"a": 1})
    assert not reader.unused_data


@given(st.lists(st.binary(max_size=2 * SMALLEST), max_size=20))
def test_any_text_in_any_pieces(pieces: list[bytes]) -> None:
    reader = zlib.decompressobj(31)
    reader.decompress(PREAMBLE["gzip"])
    for piece in pieces:
        assert reader.decompress(SSE_DEFLATE.wrap(piece)) == piece


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        ("permessage-deflate", "permessage-deflate; client_no_context_takeover"),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_no_context_takeover",
        ),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
        ),
        (
            'permessage-deflate; server_max_window_bits="10"; client_max_window_bits=9',
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=10",
        ),
        (
            "permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; client_no_context_takeover",
        ),
        # The first that can be done: the compressor has no window of 8 bits.
        (
            "permessage-deflate; server_max_window_bits=8, permessage-deflate",
            "permessage-deflate; client_no_context_takeover",
        ),
        ("x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=8", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=09", None),
        ("permessage-deflate; client_max_window_bits=7", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
        ("permessage-deflate; unknown", None),
    ],
)
def test_offers(offers: str, answer: str | None) -> None:
    agreed = agree(offers)
    assert (agreed and agreed[1]) == answer


def test_equal_agreements_are_one_format() -> None:
    one, other = agree("permessage-deflate"), agree("permessage-deflate; client_max_window_bits")
    assert one is not None
    assert other is not None
    assert (one[0], hash(one[0])) == (other[0], hash(other[0]))
    with pytest.raises(ValueError, match="expected"):
        agree("permessage-deflate; ;")


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", None),
        ("identity", None),
        ("br, zstd", None),
        ("gzip, deflate, br, zstd", "gzip"),
        ("deflate", "deflate"),
        ("deflate, GZIP;q=0.5", "gzip"),
        ("deflate;q=0.2, gzip;q=0", "deflate"),
        ("gzip; q=0.000", None),
        ("gzip;q=0.001", "gzip"),
    ],
)
def test_codings(accepted: str, coding: str | None) -> None:
    assert choose_coding(accepted) == coding


@pytest.mark.parametrize(
    ("config", "websocket", "sse", "fast"),
    [
        (StreamingConfig(), True, True, True),
        (StreamingConfig(websocket=WebSocketConfig(compression_enabled=False)), False, True, False),
        (StreamingConfig(sse=SseConfig(compression_enabled=False)), True, False, True),
        (StreamingConfig(high_frequency_streams=HighFrequencyConfig(compression_enabled=False)), True, True, False),
        (StreamingConfig(performance_optimization=OptimizationConfig(enabled=False)), False, False, False),
        (StreamingConfig(performance_optimization=OptimizationConfig(compression_enabled=False)), False, False, False),
        (
            StreamingConfig(performance_optimization=OptimizationConfig(optimization_strategies=["message_batching"])),
            False,
            False,
            False,
        ),
    ],
)
def test_settings(config: StreamingConfig, websocket: bool, sse: bool, fast: bool) -> None:
    assert wanted(config, "websocket", "events") is websocket
    assert wanted(config, "sse", "events") is sse
    assert wanted(config, "websocket", "system_metrics") is fast


def test_only_behind_isal_the_registers_are_cleared_once_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    cleared: list[None] = []
    monkeypatch.setattr(compress, "_clear_registers", lambda: cleared.append(None))
    few, many = messages(5, text="long " * 50), messages(400, text="long " * 50)
    for format, piece, times in (
        (WebSocketDeflate(), few, 0),
        (WebSocketDeflate(), many, 1),
        (ContinuedDeflate(), few, 0),
        (ContinuedDeflate(), many, 1),
        (SSE_DEFLATE, few, 1),
        (SSE_DEFLATE, many, 1),
    ):
        cleared.clear()
        assert isinstance(format.join(piece), Packed)
        assert len(cleared) == times
