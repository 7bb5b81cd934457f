"""How publications look, and what is shared."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from centrifuge.fossil import apply_delta

from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import TypePatterns
from hxp_enterprise_llm.event.streaming.centrifuge.formats import DeltaFormat, PublicationFormat, Reset
from hxp_enterprise_llm.event.streaming.centrifuge.wire import BLOCKS, FRAMES, LINES, SINGLE_FRAMES
from hxp_enterprise_llm.event.streaming.channel import Channel, Options, Position
from hxp_enterprise_llm.event.streaming.encode import Message


def message(offset, raw, type="t"):
    return Message("e", Stored(offset, type, raw))


ONE, TWO = (
    message(3, b'{"type":"t","long":"' + b"x" * 50 + b'","n":1}'),
    message(7, b'{"type":"t","long":"' + b"x" * 50 + b'","n":2}'),
)


def replies(format, *messages):
    return [msgspec.json.decode(line) for line in format.join(messages).splitlines()]


def test_publications_carry_the_event_and_its_offset():
    first, second = replies(PublicationFormat(LINES, 'a"b'), ONE, TWO)
    assert first == {"push": {"channel": 'a"b', "pub": {"data": msgspec.json.decode(ONE.raw), "offset": 3}}}
    assert second["push"]["pub"]["offset"] == 7
    assert replies(PublicationFormat(LINES, "a", 5), ONE)[0]["push"].keys() == {"id", "pub"}
    assert replies(PublicationFormat(LINES, "a", bare=True), ONE)[0].keys() == {"channel", "pub"}


def test_what_was_published_comes_as_it_was_sent():
    raw = b'{"type":"stream.publication","subject":"a","data":{"channel":"a","data":[1,"u"],"tags":{"k":"v"}}}'
    (reply,) = replies(PublicationFormat(LINES, "a"), message(3, raw, "stream.publication"))
    assert reply["push"]["pub"] == {"data": [1, "u"], "offset": 3, "tags": {"k": "v"}}


@pytest.mark.parametrize(("info", "shown"), [('{"user":"u"}', {"user": "u"}), ("null", None), ("5", None)])
def test_who_published_it_is_shown_when_it_is_somebody(info, shown):
    data = '{"channel":"a","data":1,"info":' + info + "}"
    raw = b'{"type":"stream.publication","subject":"a","data":%b}' % data.encode()
    (reply,) = replies(PublicationFormat(LINES, "a"), message(3, raw, "stream.publication"))
    assert reply["push"]["pub"].get("info") == shown


def test_framings():
    parts = [b"{}", b'{"a":1}']
    assert FRAMES.join(parts) == b'\x81\x0a{}\n{"a":1}'
    assert SINGLE_FRAMES.join(parts) == b'\x81\x02{}\x81\x07{"a":1}'
    assert BLOCKS.join([b"{\r}"]) == b"data: { }\n\n"
    assert {each.transport for each in (LINES, BLOCKS)} == {"sse"}
    assert PublicationFormat(FRAMES, "a").transport == "websocket"


def test_equal_formats_are_one():
    assert PublicationFormat(FRAMES, "a", 1) == PublicationFormat(FRAMES, "a", 1)
    assert PublicationFormat(FRAMES, "a", 1) != PublicationFormat(LINES, "a", 1)


def test_only_a_reset_is_told_to_the_session():
    format = PublicationFormat(FRAMES, "a")
    assert isinstance(format.control("reset", {}), Reset)
    assert format.control("conflated", {}) == b""
    assert not isinstance(format.control("conflated", {}), Reset)


async def test_differences_lean_on_the_publication_before():
    channel = Channel(
        "a",
        TypePatterns(["*"]),
        position=Position(),
        options=Options(),
        scheduler=asyncio.get_running_loop(),
        written=lambda *_: None,
    )
    fresh = DeltaFormat(LINES, "a", 1, False, channel)
    based = DeltaFormat(LINES, "a", 1, False, channel, based=True)
    first, second = (each["push"]["pub"] for each in replies(fresh, ONE, TWO))
    assert first["data"].encode() == ONE.raw
    assert second["delta"] is True
    assert apply_delta(ONE.raw, second["data"].encode()) == TWO.raw
    # The ring does not have the one before: in full.
    (alone,) = replies(based, TWO)
    assert "delta" not in alone["push"]["pub"]
    channel.ring.extend([ONE])
    (leaning,) = replies(based, TWO)
    assert leaning["push"]["pub"] == second
    assert based.publications([]) == []
    # A difference that is longer than the text is not sent.
    other = message(9, b'{"n":3}')
    assert "delta" not in replies(based, other)[0]["push"]["pub"]
