"""Our streams as a browser reads them. The reader first proves itself on the cases that the WPT has for EventSource."""

from __future__ import annotations

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.log.model import Bounds, Stored
from hxp_enterprise_llm.event.model import Event, Offset, encode
from hxp_enterprise_llm.event.streaming.encode import KEEP_ALIVE, SSE, Message, reset
from tests.unit.streaming.eventsource import EventSourceParser, parse
from tests.unit.streaming.gateways import serving, until


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("data:msg\n\n", ["msg"]),
        ("data: msg\n\n", ["msg"]),
        ("data:  msg\n\n", [" msg"]),
        ("data:\tmsg\n\n", ["\tmsg"]),
        ("data\n\n", [""]),
        ("data:\n\n", [""]),
        ("data\ndata\n\n", ["\n"]),
        ("data:test\n\n\ndata\n\n", ["test", ""]),
        ("data:1\rdata:2\r\r", ["1\n2"]),
        ("data:1\r\ndata:2\r\n\r\n", ["1\n2"]),
        ("data:1\n\r\ndata:2\r\r\n", ["1", "2"]),
        ("data:not finished\n", []),
        ("data:not finished", []),
        ("\ufeffdata:1\n\n\ufeffdata:2\n\ndata:3\n\n", ["1", "3"]),
        (" data:1\n\ndata:2\n\n", ["2"]),
        ("data :1\n\n:data:2\n\nDATA:3\n\n", []),
        (":c\ndata:1\n: c\ndata:2\n\n", ["1\n2"]),
        ("data:a:b\n\n", ["a:b"]),
        ("event:x\n\ndata:1\n\n", ["1"]),
        ("data:\0\n\n", ["\0"]),
        ("unknown:1\ndata:2\n\n", ["2"]),
        ("\n\n\ndata:x\n\n", ["x"]),
    ],
)
def test_the_reader_reads_as_the_standard_says(text: str, data: list[str]) -> None:
    for parser in (parse(text), parse(*text)):
        assert [event.data for event in parser.events] == data


def test_types_identifiers_and_retry() -> None:
    parser = parse("event:a\nid:1\ndata:x\n\n", "data:y\n\n", "id\ndata:z\n\n", "id:2\n\n", "id:\x00\ndata:w\n\n")
    assert [(it.type, it.last_event_id) for it in parser.events] == [
        ("a", "1"),
        ("message", "1"),
        ("message", ""),
        ("message", "2"),
    ]
    assert parse("retry:1000\n").retry == 1000
    assert parse("retry:1000x\n").retry is None
    assert parse("retry:\n").retry is None


def message(raw: bytes, offset: int = 7) -> Message:
    return Message("epoch", Stored(Offset(offset), "t", raw))


VALUES = [
    "\r",
    "\n",
    "\r\n",
    "\n\n",
    "\u2028\u2029",
    "\0",
    ": x",
    "data: y\n\n",
    "\ufeff",
    "\U0001f600",
    "id: 9\r\n\r\n",
]


@pytest.mark.parametrize("value", VALUES)
def test_whatever_an_event_says_it_is_one_block_and_comes_back(value: str) -> None:
    event = Event(id="1", source=f"/{value}", type="t", data={value: value, "after": 1})
    (received,) = parse(SSE.join([message(encode(event).raw)]).decode()).events
    assert received.type == "message"
    assert received.last_event_id == "epoch.7"
    assert msgspec.json.decode(received.data)["data"] == {value: value, "after": 1}


@given(
    st.lists(st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4), min_size=1, max_size=5),
    st.integers(1, 50),
)
def test_any_events_in_any_pieces(datas: list[dict[str, str]], size: int) -> None:
    events = [encode(Event(id=str(n), source="/", type="t", data=data)) for n, data in enumerate(datas)]
    text = SSE.join([message(event.raw, n) for n, event in enumerate(events)]).decode()
    parser = parse(*[text[begin : begin + size] for begin in range(0, len(text), size)])
    assert [msgspec.json.decode(received.data)["data"] for received in parser.events] == datas
    assert [received.last_event_id for received in parser.events] == [f"epoch.{n}" for n in range(len(datas))]


@pytest.mark.parametrize("space", [b"\r", b" ", b"\t"])
def test_white_space_between_tokens_does_not_break_a_block(space: bytes) -> None:
    """A line feed cannot be there: the log hands events on as lines."""
    (received,) = parse(SSE.join([message(b'{"id":"1","data":{"a":%b1}}' % space)]).decode()).events
    assert msgspec.json.decode(received.data)["data"] == {"a": 1}


def test_control_messages_move_the_cursor_only_when_they_say_so() -> None:
    parser = EventSourceParser()
    parser.feed(SSE.join([message(b'{"a":1}')]).decode())
    parser.feed(KEEP_ALIVE.decode())
    parser.feed(SSE.control("conflated", {"left_out": 3, "from": 8, "to": 20}).decode())
    parser.feed(reset(SSE, "gone", Bounds("epoch", Offset(30), Offset(40)), 29).decode())
    assert [(it.type, it.last_event_id) for it in parser.events] == [
        ("message", "epoch.7"),
        ("conflated", "epoch.7"),
        ("reset", "epoch.29"),
    ]
    assert parser.comments == ["keep-alive"]


async def test_a_whole_stream_from_head_to_farewell() -> None:
    async with serving() as served, aiohttp.ClientSession() as session:
        stream = await session.get(served.http("/sse/events"), headers={"Accept-Encoding": "identity"})
        offsets = await served.publish("host.cpu", "host.memory", text="a\r\nb\n\nc")
        await until(lambda: served.gateway.hub.channels["events"].settled == offsets[-1])
        await served.gateway.farewell(3.0)
        parser = parse((await stream.read()).decode())
        assert [msgspec.json.decode(it.data)["offset"] for it in parser.events] == offsets
        assert [msgspec.json.decode(it.data)["data"]["text"] for it in parser.events] == ["a\r\nb\n\nc"] * 2
        assert parser.last_event_id == f"{served.gateway.hub.position.epoch}.{offsets[-1]}"
        assert parser.retry is not None
        assert 5000 <= parser.retry <= 10_000
        assert parser.comments == ["the server restarts"]
