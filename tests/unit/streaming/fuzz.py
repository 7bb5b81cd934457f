"""What a hostile client sends, and what RFC 6455 says must come of it: a model of one connection, and a mutator."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from tests.unit.streaming.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Session,
    client_frame,
    close_payload,
)

MOST = 300
"""The size limit of the connections that are fuzzed."""
Fault = Literal["", "reserved", "unmasked", "too_big", "long_control", "split_control"]
VALID_CODES = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))
FAILURES = frozenset((1002, 1007, 1009))
COMMANDS = (b'{"command":"ping"}', b"{}", b"", "κόσμε \U0001f600".encode(), b"\xff", b"\xed\xa0\x80", b"x" * 200)


@dataclass(frozen=True)
class Said:
    """A frame of a client, with one fault at most."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    fault: Fault = ""

    def encode(self) -> bytes:
        """The bytes on the wire."""
        match self.fault:
            case "reserved":
                return client_frame(self.opcode, self.payload, fin=self.fin, reserved=1 + len(self.payload) % 7)
            case "unmasked":
                return client_frame(self.opcode, self.payload, fin=self.fin, masked=False)
            case "too_big":
                return client_frame(self.opcode & 3, b"", fin=self.fin, size=MOST + 1 + len(self.payload))
            case "long_control":
                return client_frame(PING, b"x" * 126)
            case "split_control":
                return client_frame(PING, b"x", fin=False)
            case _:
                return client_frame(self.opcode, self.payload, fin=self.fin)


class Expected:
    """What the server must say to a sequence of frames."""

    def __init__(self) -> None:
        self.code = 0
        """Of its close frame; 0: none yet."""
        self.pongs: list[bytes] = []
        self.texts = 0
        self._kind = 0
        self._text = b""
        self._size = 0

    def hear(self, frame: Said) -> None:
        """Go on by a frame; after a close nothing is heard."""
        if self.code:
            return
        if frame.fault:
            self.code = self._fault(frame)
        elif frame.opcode in (TEXT, BINARY, CONTINUATION):
            self._message(frame)
        elif frame.opcode == PING:
            self.pongs.append(frame.payload)
        elif frame.opcode == CLOSE:
            self._close(frame.payload)
        elif frame.opcode != PONG:
            self.code = 1002

    def _fault(self, frame: Said) -> int:
        return 1009 if frame.fault == "too_big" else 1002

    def _message(self, frame: Said) -> None:
        if (frame.opcode == CONTINUATION) != bool(self._kind):
            self.code = 1009 if self._size + len(frame.payload) > MOST else 1002
            return
        if self._size + len(frame.payload) > MOST:
            self.code = 1009
            return
        if frame.opcode == BINARY:
            self.texts += 1  # the hint
        self._kind = self._kind or frame.opcode
        self._size += len(frame.payload)
        self._text += frame.payload
        if frame.fin:
            self._end()

    def _end(self) -> None:
        if self._kind == TEXT:
            try:
                self._text.decode()
                self.texts += 1
            except UnicodeDecodeError:
                self.code = 1007
        self._kind, self._text, self._size = 0, b"", 0

    def _close(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big")
        if self._kind or (payload and (len(payload) < 2 or code not in VALID_CODES)):
            self.code = 1002
        else:
            self.code = code or 1005


def random_frame(chance: random.Random) -> Said:
    """A frame as it may come, mostly a good one."""
    opcode = chance.choices((TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE, 3, 11), (8, 3, 6, 4, 2, 1, 1, 1))[0]
    if opcode == CLOSE:
        codes = (1000, 1001, 1005, 999, 3000, 4999, 5000)
        return Said(CLOSE, close_payload(chance.choice(codes), b"bye") if chance.random() < 0.8 else b"")
    payload = chance.choice(COMMANDS)
    if opcode in (PING, PONG):
        payload = payload[:125]
    fault: Fault = ""
    if chance.random() < 0.03:
        fault = chance.choice(("reserved", "unmasked", "too_big", "long_control", "split_control"))
    return replace(Said(opcode, payload, chance.random() < 0.6 or opcode > BINARY), fault=fault)


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Flip, cut, double, insert or put elsewhere a few bytes."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place, other = chance.randrange(len(made) + 1), chance.randrange(len(made) + 1)
        begin, end = min(place, other), min(max(place, other), min(place, other) + 20)
        match chance.randrange(5):
            case 0 if place < len(made):
                made[place] ^= 1 << chance.randrange(8)
            case 1:
                del made[begin:end]
            case 2:
                made[end:end] = made[begin:end]
            case 3:
                made[place:place] = chance.randbytes(chance.randint(1, 8))
            case _:
                taken = made[begin:end]
                del made[begin:end]
                made[other % (len(made) + 1) : other % (len(made) + 1)] = taken
    return bytes(made)


def split(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """The data as a network may deliver it."""
    while data:
        count = chance.choice((1, 2, 3, 7, 64, 1 << 16))
        yield data[:count]
        data = data[count:]


def check_orderly(session: Session, sent: Iterable[bytes]) -> int:
    """Send pieces; whatever they are, the answers are well formed and little is kept. Answers the close code."""
    for piece in sent:
        session.send(piece)
        kept = session.link._fragments
        assert kept is None or len(kept) <= MOST
        if session.link._parser is not None:
            assert len(session.link._parser.reader.buffer) <= MOST + 14 + len(piece)
    code = session.code
    assert bool(code) == session.transport.ended == session.link.closing
    assert code == 0 or code in FAILURES | VALID_CODES or code == 1005
    session.end()
    return code
