"""What a NATS server says, however it is cut; what is no such server."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.sources.nats.protocol import (
    Info,
    Message,
    Refused,
    Said,
    Skipped,
    Wire,
    WireError,
    Word,
    hello,
    subscribe,
    unsubscribe,
)

CONVERSATION = (
    b'INFO {"server_id":"N1","version":"2.15.1","tls_required":true,"max_payload":1048576}\r\n'
    b"+OK\r\nPONG\r\nping\r\n"
    b"MSG egos.llm.logs 1 5\r\nhello\r\n"
    b"MSG egos.sparc.tasks 2 _INBOX.7 0\r\n\r\n"
    b"HMSG egos.llm.logs 1 44 46\r\nNATS/1.0\r\nNats-Msg-Id: m-1\r\nX-Two: a: b \r\n\r\n{}\r\n"
    b"MSG big 1 99\r\n" + b"\r\n" * 49 + b"x\r\n"
    b"-ERR 'Authorization Violation'\r\n"
)


def heard(*parts: bytes, most: int = 64) -> list[Said]:
    wire = Wire(most)
    return [said for part in parts for said in wire.feed(part)]


def test_all_that_a_server_says_is_read() -> None:
    info, pong, ping, plain, empty, headed, skipped, refused = heard(CONVERSATION)
    assert isinstance(info, Info)
    assert (info.version, info.tls_required) == ("2.15.1", True)
    assert (pong, ping) == (Word.PONG, Word.PING)
    assert plain == Message("egos.llm.logs", plain.headers, b"hello")  # type: ignore[union-attr]
    assert isinstance(empty, Message)
    assert (empty.subject, empty.body) == ("egos.sparc.tasks", b"")
    assert isinstance(headed, Message)
    assert (dict(headed.headers), headed.body) == ({"Nats-Msg-Id": "m-1", "X-Two": "a: b"}, b"{}")
    assert skipped == Skipped("big", 99)
    assert refused == Refused("Authorization Violation")


@given(st.lists(st.integers(0, len(CONVERSATION)), max_size=12))
def test_it_does_not_matter_where_the_bytes_are_cut(places: list[int]) -> None:
    edges = [0, *sorted(places), len(CONVERSATION)]
    parts = [CONVERSATION[start:end] for start, end in pairwise(edges)]
    assert heard(*parts) == heard(CONVERSATION)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP/1.1 400 Bad Request"),
        (b"MSG a 1\r\n", "no size"),
        (b"MSG a 1 -5\r\n", "no size"),
        (b"MSG a 1 999999999999999\r\n", "no size"),
        (b"HMSG a 1 9 4\r\n", "shorter than its headers"),
        (b"MSG a 1 2\r\nabcd", "does not end"),
        (b"INFO hello\r\n", "no JSON"),
        (b"x" * 70_000, "longer than"),
    ],
)
def test_what_is_not_the_protocol_is_said(data: bytes, words: str) -> None:
    with pytest.raises(WireError, match=words):
        heard(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    wire = Wire(64)
    try:
        for at in range(0, len(data), 7):
            wire.feed(data[at : at + 7])
    except WireError:
        pass


def test_a_message_that_is_too_large_takes_no_memory() -> None:
    wire = Wire(1024)
    assert wire.feed(b"MSG big 1 50000000\r\n") == [Skipped("big", 50_000_000)]
    for _ in range(50):
        assert wire.feed(bytes(1_000_000)) == []
        assert not wire._buffer
    assert wire.feed(b"\r\nPONG\r\n") == [Word.PONG]


def test_what_a_subscriber_says() -> None:
    assert b'"user":"ann","pass":"secret"' in hello({"user": "ann", "pass": "secret"})
    assert subscribe(["a.*", "b.>"]) == b"SUB a.* 1\r\nSUB b.> 2\r\n"
    assert unsubscribe(2) == b"UNSUB 1\r\nUNSUB 2\r\n"
