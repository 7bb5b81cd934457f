"""Requests that two readers may take for different ones: the rows of the table, as bytes."""

from __future__ import annotations

from dataclasses import dataclass

BODY = b'{"specversion":"1.0","id":"%s","source":"/attack","type":"attack.%s"}'
JSON = b"Content-Type: application/cloudevents+json\r\n"
GET, POST = b"GET", b"POST"


@dataclass(frozen=True, slots=True)
class Case:
    """`statuses` is what we answer. An event `attack.smuggled` must never be stored, whoever reads it."""

    name: str
    raw: bytes
    statuses: tuple[int, ...]
    gateway: bool = False
    """Sent to the gateway, not to the way in."""


def body(kind: bytes = b"plain", name: bytes = b"a") -> bytes:
    """An event, 72 bytes long or so."""
    return BODY % (name, kind)


def post(
    headers: bytes, content: bytes, *, line: bytes = b"POST /events HTTP/1.1", host: bytes = b"Host: localhost\r\n"
) -> bytes:
    """A POST with the headers that decide how far it reaches."""
    return line + b"\r\n" + host + JSON + headers + b"\r\n" + content


def sized(content: bytes, more: bytes = b"") -> bytes:
    """An ordinary POST."""
    return post(b"Content-Length: %d\r\n" % len(content) + more, content)


def chunks(content: bytes) -> bytes:
    """One chunk and the end."""
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)


HIDDEN = sized(body(b"smuggled", b"s"))
"""A whole request in a place where no reader should see one."""
_PLAIN = body()
_LENGTH = b"Content-Length: %d\r\n" % len(_PLAIN)
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_SHORT = b"0\r\n\r\n" + HIDDEN
_BOTH = b"Content-Length: %d\r\n" % len(_SHORT)
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
"""What a WebSocket's request has besides."""
_UPGRADE = b"GET /ws/events HTTP/1.1\r\nHost: localhost\r\n" + UPGRADE

_LENGTHS = [
    Case("length and chunks", post(_BOTH + _CHUNKED, _SHORT), (400,)),
    Case("chunks and length", post(_CHUNKED + _BOTH, _SHORT), (400,)),
    Case("chunks and a short length", post(_CHUNKED + b"Content-Length: 4\r\n", chunks(_PLAIN) + HIDDEN), (400,)),
    Case("two lengths", post(_LENGTH + b"Content-Length: 0\r\n", _PLAIN + HIDDEN), (400,)),
    Case("the same length twice", post(_LENGTH * 2, _PLAIN), (400,)),
    Case("a list of lengths", post(b"Content-Length: 5, 5\r\n", b"hello" + HIDDEN), (400,)),
    Case("length +5", post(b"Content-Length: +5\r\n", b"hello" + HIDDEN), (400,)),
    Case("length -1", post(b"Content-Length: -1\r\n", HIDDEN), (400,)),
    Case("length 0x5", post(b"Content-Length: 0x5\r\n", b"hello" + HIDDEN), (400,)),
    Case("length 1_0", post(b"Content-Length: 1_0\r\n", b"hello" + HIDDEN), (400,)),
    Case("length with a blank in it", post(b"Content-Length: 5 5\r\n", b"hello" + HIDDEN), (400,)),
    Case("an empty length", post(b"Content-Length:\r\n", HIDDEN), (400,)),
    Case("length beyond 64 bits", post(b"Content-Length: 18446744073709551621\r\n", b"hello" + HIDDEN), (400,)),
    Case("length in Arabic digits", post("Content-Length: ٥\r\n".encode(), b"hello" + HIDDEN), (400,)),
]
_CODINGS = [
    Case("coding xchunked", post(b"Transfer-Encoding: xchunked\r\n", chunks(_PLAIN) + HIDDEN), (400,)),
    Case("chunked, identity", post(b"Transfer-Encoding: chunked, identity\r\n", chunks(_PLAIN) + HIDDEN), (400,)),
    Case("chunked twice", post(_CHUNKED * 2, chunks(_PLAIN) + HIDDEN), (400,)),
    Case("chunked with a vertical tab", post(b"Transfer-Encoding: \x0bchunked\r\n", chunks(_PLAIN) + HIDDEN), (400,)),
    Case("chunked in quotes", post(b'Transfer-Encoding: "chunked"\r\n', chunks(_PLAIN) + HIDDEN), (400,)),
    Case("chunked;q=1", post(b"Transfer-Encoding: chunked;q=1\r\n", chunks(_PLAIN) + HIDDEN), (400,)),
    Case("identity and a length", post(b"Transfer-Encoding: identity\r\n" + _LENGTH, _PLAIN + HIDDEN), (400,)),
    Case("a folded coding", post(b"Transfer-Encoding:\r\n chunked\r\n" + _BOTH, _SHORT), (400,)),
    Case("an underscore", post(b"Transfer_Encoding: chunked\r\n" + _BOTH, _SHORT), (400,)),
    Case("a blank before the colon", post(b"Transfer-Encoding : chunked\r\n" + _BOTH, _SHORT), (400,)),
    Case("a tab before the colon", post(b"Content-Length\t: 5\r\n", b"hello" + HIDDEN), (400,)),
    Case("chunks in HTTP/1.0", post(_CHUNKED, chunks(_PLAIN), line=b"POST /events HTTP/1.0"), (401,)),
]
_CHUNKS = [
    Case("chunk size 0x5", post(_CHUNKED, b"0x5\r\nhello\r\n0\r\n\r\n" + HIDDEN), (400,)),
    Case("chunk size +5", post(_CHUNKED, b"+5\r\nhello\r\n0\r\n\r\n" + HIDDEN), (400,)),
    Case("chunk size -5", post(_CHUNKED, b"-5\r\nhello\r\n0\r\n\r\n" + HIDDEN), (400,)),
    Case("chunk size beyond 64 bits", post(_CHUNKED, b"10000000000000005\r\nhello\r\n0\r\n\r\n" + HIDDEN), (400,)),
    Case("an empty chunk size", post(_CHUNKED, b"\r\nhello\r\n0\r\n\r\n" + HIDDEN), (400,)),
    Case("a chunk longer than it says", post(_CHUNKED, b"5\r\nhelloxx0\r\n\r\n" + HIDDEN), (400,)),
    Case("line feeds between chunks", post(_CHUNKED, b"5\nhello\n0\n\n" + HIDDEN), (400,)),
    Case("a line feed in a chunk extension", post(_CHUNKED, b"5;a\nb\r\nhello\r\n0\r\n\r\n" + HIDDEN), (400,)),
    Case("a carriage return in a chunk extension", post(_CHUNKED, b"5;a\rb\r\nhello\r\n0\r\n\r\n" + HIDDEN), (400,)),
    Case("a trailer with a length", post(_CHUNKED, chunks(_PLAIN)[:-2] + b"Content-Length: 9\r\n\r\n"), (400,)),
]
_LINES = [
    Case("line feeds alone", sized(_PLAIN).replace(b"\r\n", b"\n"), (400,)),
    Case("one line feed alone", post(_LENGTH + b"X: a\nContent-Length: 0\r\n", _PLAIN + HIDDEN), (400,)),
    Case("a carriage return in a value", post(b"X: a\rContent-Length: 0\r\n" + _LENGTH, _PLAIN + HIDDEN), (400,)),
    Case("NUL in a value", post(b"X: a\0b\r\n" + _LENGTH, _PLAIN + HIDDEN), (400,)),
    Case("NUL in a name", post(b"X\0: a\r\n" + _LENGTH, _PLAIN + HIDDEN), (400,)),
    Case("a header without a name", post(b": a\r\n" + _LENGTH, _PLAIN + HIDDEN), (400,)),
    Case("a header without a colon", post(b"Content-Length\r\n" + _LENGTH, _PLAIN + HIDDEN), (400,)),
    Case("a folded header", post(b"X: a\r\n Content-Length: 0\r\n" + _LENGTH, _PLAIN + HIDDEN), (400,)),
    Case("a first header that is folded", post(_LENGTH, _PLAIN + HIDDEN, host=b" X: a\r\nHost: localhost\r\n"), (400,)),
    Case("two blanks in the first line", post(_LENGTH, _PLAIN, line=b"POST  /events HTTP/1.1"), (202,)),
    Case("a tab in the first line", post(_LENGTH, _PLAIN, line=b"POST\t/events HTTP/1.1"), (400,)),
    Case("HTTP/1.1 and more", post(_LENGTH, _PLAIN + HIDDEN, line=b"POST /events HTTP/1.1x"), (400,)),
    Case("HTTP/2.0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN, (400,)),
    Case("no version", b"GET /health\r\n" + HIDDEN, (400,)),
]
_TARGETS = [
    Case("two Hosts", post(b"Host: evil.example\r\n" + _LENGTH, _PLAIN), (400,)),
    Case("no Host", post(_LENGTH, _PLAIN, host=b""), (400,)),
    Case("a target with another host", post(_LENGTH, _PLAIN, line=b"POST http://evil.example/events HTTP/1.1"), (400,)),
    Case("a tunnel", b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n" + HIDDEN, (404,)),
]
_BODIES = [
    Case("a refused type", post(b"", HIDDEN).replace(JSON, b"Content-Type: text/plain\r\n")
         .replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN), 1), (415,)),
    Case("a GET with a body", b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
         % (len(HIDDEN), HIDDEN), (200,)),
    Case("an unknown path with a body", sized(HIDDEN).replace(b"/events", b"/nowhere", 1), (404,)),
    Case("no length and a request behind it", post(b"", sized(_PLAIN)), (400, 202)),
    Case("a body that is awaited", sized(HIDDEN, b"Expect: 100-continue\r\n"), (400,)),
    Case("h2c", sized(_PLAIN, b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n")
         + HIDDEN, (400,)),
    Case("two requests at once", sized(_PLAIN) + sized(body(b"plain", b"b")), (202, 202)),
]  # fmt: skip
_UPGRADES = [
    Case("an upgrade with a length", _UPGRADE + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN, (400,), True),
    Case("an upgrade with chunks", _UPGRADE + _CHUNKED + b"\r\n" + chunks(HIDDEN), (400,), True),
    Case("an upgrade with a request behind it", _UPGRADE + b"\r\n" + HIDDEN, (400,), True),
]

CASES = [*_LENGTHS, *_CODINGS, *_CHUNKS, *_LINES, *_TARGETS, *_BODIES, *_UPGRADES]


def stepping_aside(raw: bytes) -> bytes:
    """The same request with a header that the front leaves to aiohttp."""
    line, _, rest = raw.partition(b"\r\n")
    return line + b"\r\nKeep-Alive: timeout=5\r\n" + rest
