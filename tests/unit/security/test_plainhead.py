"""The front's grammar beside aiohttp's: whatever the front takes, aiohttp reads in the same way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from unittest.mock import Mock

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.security.asked import Peer, PlainRequest
from hxp_enterprise_llm.security.plainhead import MOST_HEAD_BYTES, Likeness, PlainHead, parse

HOST = b"Host: 127.0.0.1:8080\r\n"
GET = b"GET /ws/events?type=llm.*&last=3 HTTP/1.1\r\n" + HOST
UPGRADE = b"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
POST = b"POST /events HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"


def read_by_aiohttp(head: bytes, body: bytes) -> tuple[RawRequestMessage, bytes]:
    """The one message in these bytes, and its body. Fails when there are more or fewer, or bytes are left."""
    loop = asyncio.new_event_loop()
    try:
        protocol = BaseProtocol(loop)
        protocol.transport = Mock(asyncio.Transport)
        parser = HttpRequestParser(protocol, loop, 2**16, max_line_size=8190, max_field_size=8190, max_headers=128)
        messages, upgraded, tail = parser.feed_data(head + body)
        assert len(messages) == 1
        message, payload = messages[0]
        assert tail == b""
        assert upgraded is message.upgrade
        if not body:
            return message, b""
        assert payload.is_eof()
        return message, payload.read_nowait()
    finally:
        loop.close()


def _folded(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in headers.items()]


def check(head: bytes) -> PlainHead | None:
    """Both readers agree on a head that the front takes."""
    plain = parse(head)
    if plain is None:
        return None
    body = b"x" * plain.size if plain.size < 10_000 else b""
    if plain.size and not body:
        return plain
    message, sent = read_by_aiohttp(head, body)
    assert sent == body
    assert (plain.method, plain.target) == (message.method, message.path)
    assert (message.version.major, message.version.minor) == (1, 1)
    # Names are equal whatever their letters; aiohttp writes the ones it knows in its own way.
    assert _folded(plain.headers) == _folded(message.headers)
    assert (message.compression, message.chunked) == (None, False)
    asked = PlainRequest(plain, {}, Peer("127.0.0.1", 80), Mock(asyncio.Transport))
    assert list(asked.query.items()) == list(message.url.query.items())
    assert asked.path == message.url.path
    if plain.method == "POST":
        assert not message.should_close
        assert not message.upgrade
    return plain


def test_a_usual_head_is_taken() -> None:
    plain = check(GET + UPGRADE + b"\r\n")
    assert plain is not None
    assert (plain.path, plain.query, plain.size) == ("/ws/events", "type=llm.*&last=3", 0)
    assert plain.headers["host"] == "127.0.0.1:8080"
    plain = check(POST + b"Content-Length: 12\r\n\r\n")
    assert plain is not None
    assert (plain.method, plain.size) == ("POST", 12)


UNUSUAL = {
    "http/1.0": b"GET /ws/events HTTP/1.0\r\n" + HOST,
    "http/2 preface": b"PRI * HTTP/2.0\r\n" + HOST,
    "another method": b"PUT /events HTTP/1.1\r\n" + HOST,
    "small letters": b"get /ws/events HTTP/1.1\r\n" + HOST,
    "absolute target": b"GET http://127.0.0.1/ws/events HTTP/1.1\r\n" + HOST,
    "fragment": b"GET /ws/events#x HTTP/1.1\r\n" + HOST,
    "escape in the path": b"GET /ws/%65vents HTTP/1.1\r\n" + HOST,
    "two spaces": b"GET  /ws/events HTTP/1.1\r\n" + HOST,
    "tab in the line": b"GET\t/ws/events HTTP/1.1\r\n" + HOST,
    "blank before": b"\r\nGET /ws/events HTTP/1.1\r\n" + HOST,
    "bare line feeds": GET.replace(b"\r\n", b"\n"),
    "bare line feed in a value": GET + b"X-A: b\nX-C: d\r\n",
    "bare carriage return": GET + b"X-A: b\rX-C: d\r\n",
    "folded": GET + b"X-A: b\r\n c\r\n",
    "space before the colon": GET + b"X-A : b\r\n",
    "space before the name": GET + b" X-A: b\r\n",
    "no space behind the colon": GET + b"X-A:b\r\n",
    "two spaces behind the colon": GET + b"X-A:  b\r\n",
    "space at the end": GET + b"X-A: b \r\n",
    "tab": GET + b"X-A: b\tc\r\n",
    "empty value": GET + b"X-A: \r\n",
    "no colon": GET + b"X-A\r\n",
    "no name": GET + b": b\r\n",
    "null": GET + b"X-A: b\0c\r\n",
    "beyond ascii": GET + "X-A: é\r\n".encode(),
    "underscore": GET + b"Content_Length: 3\r\n",
    "no host": b"GET /ws/events HTTP/1.1\r\nX-A: b\r\n",
    "two hosts": GET + HOST,
    "two hosts in other letters": GET + b"HOST: other\r\n",
    "any header twice": GET + b"X-A: b\r\nx-a: b\r\n",
    "a stream with a body": GET + b"Content-Length: 5\r\n",
    "a stream with an empty body": GET + b"Content-Length: 0\r\n",
    "another upgrade": GET + b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
    "chunked": POST + b"Transfer-Encoding: chunked\r\n",
    "chunked and a length": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n",
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n",
    "a signed length": POST + b"Content-Length: +5\r\n",
    "a length in hexadecimal": POST + b"Content-Length: 0x5\r\n",
    "a length with a zero before": POST + b"Content-Length: 05\r\n",
    "a length of another alphabet": POST + "Content-Length: ٥\r\n".encode(),
    "a huge length": POST + b"Content-Length: 99999999999999999999\r\n",
    "no length": POST,
    "no body": POST + b"Content-Length: 0\r\n",
    "expect": POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n",
    "compressed": POST + b"Content-Length: 5\r\nContent-Encoding: gzip\r\n",
    "close": POST + b"Content-Length: 5\r\nConnection: close\r\n",
    "named by connection": POST + b"Content-Length: 5\r\nConnection: keep-alive, X-Key\r\n",
    "upgrade with a body": POST + b"Content-Length: 5\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    "trailer": POST + b"Content-Length: 5\r\nTrailer: X-A\r\n",
    "large": GET + b"X-A: " + b"b" * MOST_HEAD_BYTES + b"\r\n",
    "many": GET + b"".join(b"X-%d: b\r\n" % number for number in range(100)),
}


@pytest.mark.parametrize("head", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_unusual_is_left_to_aiohttp(head: bytes) -> None:
    assert parse(head + b"\r\n") is None


PIECES = st.sampled_from(
    [b" ", b"\t", b"\r", b"\n", b"\r\n", b":", b": ", b"\0", b"%", b"?", b"#", b"/", b".", b",", b";", b"=", b"\x80",
     b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Upgrade: websocket\r\n", b"HTTP/1.1", b"a", b"0"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    head=st.sampled_from(
        [
            GET + UPGRADE + b"\r\n",
            GET + b"\r\n",
            POST + b"Content-Length: 12\r\n\r\n",
            POST + b"Content-Length: 3\r\n\r\n",
        ]
    ),
    edits=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3), PIECES), max_size=4),
)
def test_a_head_that_was_tampered_with_is_read_as_aiohttp_does_or_not_at_all(
    head: bytes, edits: list[tuple[int, int, bytes]]
) -> None:
    for at, cut, piece in edits:
        at %= len(head)
        head = head[:at] + piece + head[at + cut :]
    check(head)


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=40)


@settings(max_examples=300, deadline=None)
@given(
    path=st.from_regex(r"/[A-Za-z0-9/_.~-]{0,30}", fullmatch=True),
    query=st.text(st.sampled_from("ab=&%+;?/:@2Ff0.*~'()"), max_size=30),
    fields=st.lists(st.tuples(NAMES, VALUES), max_size=6),
)
@example(path="/ws/a", query="", fields=[("X", "a\r\n ")])
@example(path="//events", query="a=%ff&b=%2", fields=[("X", "a : b")])
def test_whatever_can_be_written_is_read_as_aiohttp_does_or_not_at_all(
    path: str, query: str, fields: list[tuple[str, str]]
) -> None:
    lines = [f"GET {path}{'?' if query else ''}{query} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in fields]
    check("\r\n".join([*lines, "", ""]).encode())


@pytest.mark.parametrize(
    "line", [b"a: " * 2600, b"a" * 7900, b"a: b" + b" " * 7800, b"a:" * 3900, b"\xc3" * 3000], ids=range(5)
)
def test_a_head_that_was_made_to_take_long_does_not(line: bytes) -> None:
    begun = time.process_time()
    for _ in range(20):
        assert parse(GET + line + b" \r\n\r\n") is None
    assert time.process_time() - begun < 0.2


FIELDS = st.lists(
    st.sampled_from([b"Accept: */*\r\n", b"X-Content-Length: 7\r\n", b"Origin: http://a\r\n"]), unique=True
)
LENGTHS = st.integers(1, 999_999_999)


@given(FIELDS, st.integers(0, 3), st.sampled_from([b"Content-Length", b"content-LENGTH"]), LENGTHS, LENGTHS)
def test_a_head_is_like_another_that_differs_in_the_length_alone(
    fields: list[bytes], at: int, name: bytes, size: int, other: int
) -> None:
    def head(length: int) -> bytes:
        return POST + b"".join([*fields[:at], b"%b: %d\r\n" % (name, length), *fields[at:]]) + b"\r\n"

    first, second = parse(head(size)), check(head(other))
    assert first is not None
    assert second is not None
    assert Likeness(head(size)).sizes(head(other) + b"body") == (len(head(other)), other)
    assert second.size == other
    assert _without_length(first) == _without_length(second)


def _without_length(head: PlainHead) -> list[object]:
    return [*head[:4], [pair for pair in _folded(head.headers) if pair[0] != "content-length"]]


LIKE = POST + b"Accept: */*\r\nContent-Length: 12\r\nOrigin: http://a\r\n\r\n"


@given(
    st.integers(0, len(LIKE)),
    st.integers(0, 4),
    st.one_of(st.binary(max_size=4), st.sampled_from([b"0", b"9", b"+1", b" ", b"\r\n", b"1\r\n\r\n", b"\xb2"])),
)
@example(LIKE.index(b"12"), 2, b"")
@example(LIKE.index(b"12"), 2, b"0")
@example(LIKE.index(b"12"), 2, b"012")
@example(LIKE.index(b"12"), 2, b"1234567890")
@example(LIKE.index(b"12"), 2, b"12\r\nContent-Length: 3")
def test_what_is_like_a_plain_head_is_plain_and_says_the_same(at: int, cut: int, put: bytes) -> None:
    data = LIKE[:at] + put + LIKE[at + cut :]
    sizes = Likeness(LIKE).sizes(data + b"body")
    if sizes is not None:
        found, first = check(data[: sizes[0]]), parse(LIKE)
        assert found is not None
        assert first is not None
        assert found.size == sizes[1]
        assert _without_length(found) == _without_length(first)


def test_a_head_without_a_length_is_like_none() -> None:
    with pytest.raises(ValueError, match="without a length"):
        Likeness(GET + b"\r\n")
