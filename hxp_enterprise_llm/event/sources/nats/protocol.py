"""The protocol of NATS as a subscriber speaks it, without any I/O: what a server says, read out of bytes as they come.

A line ends with CR LF; behind the lines MSG and HMSG comes a message of the stated length, and CR LF.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

import msgspec
from multidict import CIMultiDict

from hxp_enterprise_llm.telemetry.text import clean

_END = b"\r\n"
_MAX_LINE = 64 * 1024
"""A server of a large cluster names all its peers in one line."""


class WireError(Exception):
    """What came is not the protocol of NATS."""


class Word(Enum):
    """What a server says in one word."""

    PING = "PING"
    PONG = "PONG"


class Info(msgspec.Struct):
    """How a server introduces itself."""

    version: str = ""
    tls_required: bool = False


class Refused(NamedTuple):
    """An error of the server's, in its words."""

    words: str


class Message(NamedTuple):
    """A message on a subject."""

    subject: str
    headers: CIMultiDict[str]
    body: bytes


class Skipped(NamedTuple):
    """A message that is larger than what is taken; `size` in bytes."""

    subject: str
    size: int


Said = Word | Info | Refused | Message | Skipped


class _Coming(NamedTuple):
    """A message whose line has been read; sizes in bytes, `head` of its headers."""

    subject: str
    head: int
    size: int


class Wire:
    """Reads what a server says, however it is cut."""

    def __init__(self, max_message_bytes: int) -> None:
        self._most = max_message_bytes
        self._buffer = bytearray()
        self._coming: _Coming | None = None
        self._skipping = 0

    def feed(self, data: bytes) -> list[Said]:
        """What these bytes complete. Raises WireError; nothing may be fed after that."""
        self._buffer += data
        said: list[Said] = []
        while self._skip() and (found := self._message() if self._coming else self._line()) is not None:
            said += found
        return said

    def _skip(self) -> bool:
        """Pass over the rest of a message that is too large; False while more of it is to come."""
        passed = min(self._skipping, len(self._buffer))
        del self._buffer[:passed]
        self._skipping -= passed
        return not self._skipping

    def _message(self) -> list[Said] | None:
        assert self._coming is not None
        subject, head, size = self._coming
        if len(self._buffer) < size + len(_END):
            return None
        whole = bytes(self._buffer[:size])
        if self._buffer[size : size + len(_END)] != _END:
            raise WireError("a message does not end where it should")
        del self._buffer[: size + len(_END)]
        self._coming = None
        return [Message(subject, _headers(whole[:head]), whole[head:])]

    def _line(self) -> list[Said] | None:
        end = self._buffer.find(_END)
        if end < 0:
            if len(self._buffer) > _MAX_LINE:
                raise WireError(f"a line is longer than {_MAX_LINE:,} bytes")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + len(_END)]
        return self._said(line)

    def _said(self, line: bytes) -> list[Said]:
        verb, _, rest = line.partition(b" ")
        match verb.upper():
            case b"MSG" | b"HMSG":
                return self._announced(rest.split(), with_headers=len(verb) == 4)
            case b"PING" | b"PONG":
                return [Word(verb.upper().decode())]
            case b"INFO":
                return [_info(rest)]
            case b"-ERR":
                return [Refused(clean(rest.decode("utf-8", "replace").strip(" '")))]
            case b"+OK":
                return []
        raise WireError(f"it says {clean(line[:60].decode('utf-8', 'replace'))!r}")

    def _announced(self, parts: list[bytes], *, with_headers: bool) -> list[Said]:
        """`SUBJECT SID [REPLY] [HEAD] SIZE`: what comes next."""
        sizes = 2 if with_headers else 1
        if len(parts) - sizes not in (2, 3) or not all(part.isdigit() and len(part) < 12 for part in parts[-sizes:]):
            raise WireError("a message has no size")
        subject, size = parts[0].decode("utf-8", "replace"), int(parts[-1])
        head = int(parts[-2]) if with_headers else 0
        if head > size:
            raise WireError("a message is shorter than its headers")
        if size > self._most:
            self._skipping = size + len(_END)
            return [Skipped(subject, size)]
        self._coming = _Coming(subject, head, size)
        return []


def _info(text: bytes) -> Info:
    try:
        return msgspec.json.decode(text, type=Info)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError("it introduces itself in no JSON") from error


def _headers(block: bytes) -> CIMultiDict[str]:
    """`NATS/1.0`, then `Name: value` a line."""
    lines = block.decode("utf-8", "replace").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return CIMultiDict((name.strip(), value.strip()) for name, _, value in pairs)


def hello(login: Mapping[str, str]) -> bytes:
    """The first line of a client; `login`: `user` and `pass`, `auth_token`, or nothing."""
    about = {"verbose": False, "pedantic": False, "lang": "python", "version": "1", "protocol": 1, "headers": True}
    return b"CONNECT " + msgspec.json.encode({"name": "citadel", "echo": False, **about, **login}) + _END


def subscribe(subjects: Iterable[str]) -> bytes:
    """Listen to these; they are numbered from 1 on."""
    return b"".join(f"SUB {subject} {number}\r\n".encode() for number, subject in enumerate(subjects, 1))


def unsubscribe(count: int) -> bytes:
    """Listen no more to any of so many."""
    return b"".join(f"UNSUB {number}\r\n".encode() for number in range(1, count + 1))


PING, PONG = b"PING\r\n", b"PONG\r\n"
