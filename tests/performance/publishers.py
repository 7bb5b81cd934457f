"""The one who publishes: to each server over the cheapest way in that it has, at a steady rate.

An event is stamped with the time at which it is due, so that a publisher who is held up counts as delay.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from typing import Protocol

import msgspec

from hxp_enterprise_llm.event.model import rfc3339
from tests.performance.harness import program, stream

DOCUMENT = (
    b'{"specversion":"1.0","id":"%b-%d","source":"/bench","type":"bench.tick","data":{"seq":%d,"ns":%d,'
    b'"model":"%b","latency_ms":%d,"input_tokens":%d,"output_tokens":%d}}'
)
MODELS = (b"gpt-4o-mini", b"claude-sonnet", b"mistral-large", b"llama-3.1-70b", b"phi-4-mini")


class Publisher(Protocol):
    """Publishes events to one server."""

    sent: int
    """So many in all drives."""

    def drive(self, rate: float, seconds: float) -> int:
        """Publish at so many events a second for so long, at most twice as long; answers how many."""
        ...

    def close(self) -> None: ...


class Paced(ABC):
    """One that is driven from here."""

    tick: float
    """Seconds of events that are sent together."""

    def __init__(self) -> None:
        self.sent = 0

    @abstractmethod
    def free(self) -> int:
        """How many events can be sent now."""

    @abstractmethod
    def send(self, due: list[int]) -> None:
        """Send an event for each time, nanoseconds of the monotonic clock."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Sleep, or less when something can be sent again."""

    def drive(self, rate: float, seconds: float) -> int:
        """As `Publisher.drive`."""
        begun, total, sent = time.monotonic_ns(), round(rate * seconds), 0
        step = 1e9 / rate
        while sent < total:
            passed = time.monotonic_ns() - begun
            if passed > 2e9 * seconds:
                break
            due = min(total, int(passed / step) + 1)
            count = min(due - sent, self.free())
            if count > 0:
                self.send([begun + int(number * step) for number in range(sent, sent + count)])
                sent += count
            if due > sent:
                self.wait(0.01)
            else:
                self.wait(max(self.tick, (begun + sent * step - time.monotonic_ns()) / 1e9))
        self.sent += sent
        return sent


class Documents:
    """Makes the events: an identity of its own for each, and a sequence without a gap."""

    def __init__(self) -> None:
        self._run = os.urandom(4).hex().encode()
        self._next = 0

    def make(self, due: int) -> bytes:
        seq = self._next
        self._next += 1
        # Figures that differ as those of requests do: equal ones would flatter whoever compresses.
        dice = seq * 2654435761 & 0xFFFFFFFF
        model = MODELS[dice % len(MODELS)]
        return DOCUMENT % (self._run, seq, seq, due, model, dice % 4999, dice % 3989, dice % 997)


def connect(port: int) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", port))
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def request(path: str, body: bytes, kind: str = "application/json") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class HttpLane:
    """One keep-alive connection, one request at a time."""

    def __init__(self, port: int) -> None:
        self.socket = connect(port)
        self.busy = False
        self._answer = b""

    def post(self, data: bytes) -> None:
        self.socket.sendall(data)
        self.busy = True

    def read(self) -> None:
        """Take what has come. Raises ValueError on any status but 202."""
        self._answer += self.socket.recv(1 << 16)
        head, mark, body = self._answer.partition(b"\r\n\r\n")
        if not mark:
            return
        if not head.startswith(b"HTTP/1.1 202"):
            raise ValueError(self._answer.decode())
        if len(body) >= int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            self._answer, self.busy = b"", False


class Events(Paced):
    """`POST /events` of the product: a batch a tick on one connection."""

    tick = 0.005
    MOST = 4096

    def __init__(self, port: int) -> None:
        super().__init__()
        self._documents = Documents()
        self._way = HttpLane(port)

    def free(self) -> int:
        self._read(0)
        return 0 if self._way.busy else self.MOST

    def send(self, due: list[int]) -> None:
        made = [self._documents.make(each) for each in due]
        self._way.post(request("/events", b"[%b]" % b",".join(made)))

    def wait(self, seconds: float) -> None:
        if self._read(seconds):
            time.sleep(self.tick)

    def _read(self, seconds: float) -> bool:
        if not self._way.busy:
            time.sleep(seconds)
            return False
        ready, _, _ = select.select([self._way.socket], (), (), seconds)
        if ready:
            self._way.read()
        return bool(ready)

    def close(self) -> None:
        self._way.socket.close()


class Singles:
    """Each event alone, on several connections with one request under way at a time: the C program `load/singles.c`.

    It is the same for all, for one in Python would take much of the core that it shares with a server.
    """

    LANES = 16

    def __init__(self, port: int, path: str) -> None:
        self.sent = 0
        words = [str(program("singles")), str(port), path, str(self.LANES)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._in, self._out = stream(self._process.stdin), stream(self._process.stdout)

    def drive(self, rate: float, seconds: float) -> int:
        """As `Publisher.drive`. Raises RuntimeError when the server did not take an event."""
        self._in.write(f"drive {rate:f} {seconds:f}\n")
        self._in.flush()
        answer = self._out.readline()
        if not answer:
            raise RuntimeError(f"the publisher ended with {self._process.wait(30)}, and said why on standard error")
        sent: int = msgspec.json.decode(answer)["sent"]
        self.sent += sent
        return sent

    def close(self) -> None:
        self._in.close()
        self._process.wait(30)
        self._out.close()


class Stream(Paced):
    """A connection that takes events one behind the other without an answer to wait for."""

    tick = 0.002

    def __init__(self, port: int, hello: bytes = b"") -> None:
        super().__init__()
        self._documents = Documents()
        self._socket = connect(port)
        self._socket.sendall(hello)

    def free(self) -> int:
        self._drain()
        return 1000

    def send(self, due: list[int]) -> None:
        self._socket.sendall(b"".join([self.wrap(self._documents.make(each)) for each in due]))

    def wrap(self, document: bytes) -> bytes:
        return document + b"\n"

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def _drain(self) -> bytes:
        try:
            return self._socket.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self._socket.close()


class Delivered(Stream):
    """For a peer that is to send, byte for byte, as much of the same kind as we do: the event as we deliver it."""

    EPOCH = b"c7b25be7e74e464cb7e50b86289779d9"

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._offset = 0

    def wrap(self, document: bytes) -> bytes:
        self._offset += 1
        time_too = b'"time":"%b","type":' % rfc3339(time.time()).encode()
        rest = document[1:].replace(b'"type":', time_too, 1)
        return b'{"offset":%d,"epoch":"%b",%b\n' % (self._offset, self.EPOCH, rest)


class Nats(Stream):
    """`PUB` over TCP."""

    def __init__(self, port: int) -> None:
        super().__init__(port, b'CONNECT {"verbose":false}\r\n')

    def wrap(self, document: bytes) -> bytes:
        return b"PUB bench %d\r\n%b\r\n" % (len(document), document)

    def _drain(self) -> bytes:
        data = super()._drain()
        if b"PING\r\n" in data:
            self._socket.sendall(b"PONG\r\n")
        return data


class Nchan(Stream):
    """`POST` after `POST` on one connection, without waiting for the answers."""

    MOST_AHEAD = 500
    ANSWER = b"HTTP/1.1 20"

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._ahead = 0
        self._tail = b""

    def free(self) -> int:
        seen = self._tail + self._drain()
        self._ahead -= seen.count(self.ANSWER)
        # An answer that comes in two pieces counts once.
        self._tail = seen[1 - len(self.ANSWER) :]
        return max(0, self.MOST_AHEAD - self._ahead)

    def send(self, due: list[int]) -> None:
        super().send(due)
        self._ahead += len(due)

    def wrap(self, document: bytes) -> bytes:
        return request("/publish", document)


class Centrifugo(Nchan):
    """`POST /api/batch`: what is due in one request, without waiting for the answers."""

    MOST_AHEAD = 100

    def free(self) -> int:
        return 10 * super().free()

    def send(self, due: list[int]) -> None:
        documents = [self._documents.make(each) for each in due]
        commands = [b'{"publish":{"channel":"bench","data":%b}}' % document for document in documents]
        self._socket.sendall(request("/api/batch", b'{"commands":[%b]}' % b",".join(commands)))
        self._ahead += 1
