"""The grammar of the heads that the front reads: a strict part of HTTP/1.1, in which no two readers disagree.

Whatever is unusual in any way is answered with None, and aiohttp reads it. No pattern here looks at a byte twice.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from multidict import CIMultiDict

MOST_HEAD_BYTES = 8000
"""Below the least of aiohttp's limits, which is one for each line."""
MOST_FIELDS = 64

_LINE = re.compile(
    r"(GET|POST) ((/[A-Za-z0-9/_.~-]*+)(?:\?([A-Za-z0-9/_.~!$&'()*+,;=:@%?-]*+))?) HTTP/1\.1\r(?=\n)",
)
# Each begins behind a line feed: a line that fits badly is not tried from its middle.
_FIELD = re.compile(r"(?<=\n)([A-Za-z][A-Za-z0-9-]*+): ([!-~][ -~]*+)(?<! )\r\n")
# The one value that is another for each connection: 16 random bytes in base64.
_KEY = re.compile(rb"\r\n[Ss]ec-[Ww]eb[Ss]ocket-[Kk]ey: ([A-Za-z0-9+/]{22}==)(?=\r\n)")
_AROUND = len(": \r\n")
_SIZE = re.compile(r"[1-9][0-9]{0,8}")
_LENGTH = re.compile(rb"\r\n(?i:content-length): ([1-9][0-9]{0,8})(?=\r\n)")
_MOST_DIGITS = 9

# What changes how far a request reaches, or what its body means.
_UNUSUAL = frozenset(
    {"transfer-encoding", "expect", "content-encoding", "trailer", "te", "keep-alive", "proxy-connection"}
)


class PlainHead(NamedTuple):
    """A head without anything unusual; every header is there once."""

    method: str
    target: str
    """As it was sent: path and query."""
    path: str
    query: str
    """As it was sent, without the mark before it."""
    headers: CIMultiDict[str]
    size: int
    """Bytes of the body."""


def without_key(head: bytes) -> tuple[bytes, str]:
    """A head without the key of its WebSocket, and the key; as it is, and an empty text, when there is none like that.

    When one head is plain, so is each that is the same without its key, and says the same but for that.
    """
    found = _KEY.search(head)
    if found is None:
        return head, ""
    return head[: found.start(1)] + head[found.end(1) :], found[1].decode("ascii")


class Likeness:
    """What heads have in common that differ in the length of the body alone. When one of them is plain, so are all."""

    __slots__ = ("_after", "_before")

    def __init__(self, head: bytes) -> None:
        """`head`: a plain one, of a request with a body. Raises ValueError."""
        found = _LENGTH.search(head)
        if found is None:
            raise ValueError("a head without a length")
        self._before, self._after = head[: found.start(1)], head[found.end(1) :]

    def sizes(self, data: bytes) -> tuple[int, int] | None:
        """Bytes of the head with which the data begin, and of its body; None when it is no head like these."""
        before = self._before
        if not data.startswith(before):
            return None
        start = len(before)
        end = data.find(b"\r", start, start + _MOST_DIGITS + 1)
        digits = data[start:end]
        if end < 0 or not digits.isdigit() or digits[0] == _ZERO or not data.startswith(self._after, end):
            return None
        return end + len(self._after), int(digits)


_ZERO = ord("0")


def parse(data: bytes) -> PlainHead | None:
    """Read a head, from its first byte to the empty line; None when it is unusual in any way."""
    if len(data) > MOST_HEAD_BYTES or not data.isascii() or not data.endswith(b"\r\n\r\n"):
        return None
    text = data.decode("ascii")
    line = _LINE.match(text)
    if line is None:
        return None
    fields = _FIELD.findall(text, line.end())
    written = sum(len(name) + len(value) for name, value in fields) + _AROUND * len(fields)
    # One line feed ends the first line, the empty line ends the head.
    if line.end() + 1 + written + 2 != len(text) or len(fields) > MOST_FIELDS:
        return None
    return _checked(line, fields)


def _checked(line: re.Match[str], fields: list[tuple[str, str]]) -> PlainHead | None:
    by_name = {name.lower(): value for name, value in fields}
    if len(by_name) != len(fields) or "host" not in by_name or not _UNUSUAL.isdisjoint(by_name):
        return None
    method, target, path, query = line.groups()
    size = by_name.get("content-length", "")
    if method == "POST":
        if not _SIZE.fullmatch(size) or "upgrade" in by_name:
            return None
        if by_name.get("connection", "keep-alive").lower() != "keep-alive":
            return None
    elif size or by_name.get("upgrade", "websocket").lower() != "websocket":
        return None
    return PlainHead(method, target, path, query or "", CIMultiDict(fields), int(size or 0))
