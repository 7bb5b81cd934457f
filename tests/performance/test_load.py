"""The measure itself is measured: what the load generator says of servers whose faults are known."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any, ClassVar

import pytest

from tests.performance.harness import Load, Window
from tests.performance.posting import post
from tests.performance.publishers import Singles

UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
LANE = 10**12
"""Numbers of the sequence from one lane to the next."""
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@contextmanager
def serving(*answers: bytes, piece: int = 1 << 16) -> Iterator[int]:
    """A server that gives each connection the answers, one after each thing that it hears, in small pieces."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            for answer in answers:
                connection.recv(4096)
                for start in range(0, len(answer), piece):
                    connection.sendall(answer[start : start + piece])
            ended.wait(10)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        thread.join()
        listener.close()


def document(seq: int, age_seconds: float = 0.0) -> bytes:
    sent = time.monotonic_ns() - int(age_seconds * 1e9)
    return b'{"data": {"seq": %d, "ns": %d, "fill": "%b"}}' % (seq, sent, b"x" * 100)


def frame(payload: bytes, first: int = 0x81) -> bytes:
    size = len(payload)
    head = bytes((first, size)) if size < 126 else bytes((first, 126)) + size.to_bytes(2, "big")
    return head + payload


def seen(kind: str, *answers: bytes, count: int, piece: int = 1 << 16) -> Window:
    """What the load generator reports of one connection once `count` messages or a fault have come."""
    with serving(*answers, piece=piece) as port, Load(port, "/", 1, kind) as load:
        load.opened()
        end = time.monotonic() + 10
        while (found := load.report()).least < count and not found.closed and time.monotonic() < end:
            time.sleep(0.005)
        return found


# A window begins when the handshakes are over, so messages wait until the client has said one more thing: a pong.
ASK = frame(b"", 0x89)


@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
def test_whole_frames_in_whatever_pieces_they_come(piece):
    frames = b"".join(frame(document(seq)) for seq in range(20)) + frame(b'{"control": "x"}')
    found = seen("ws", UPGRADED + ASK, frames + frame(document(20)), count=21, piece=piece)
    assert (found.messages, found.least, found.other, found.faults()) == (21, 21, 1, "")
    assert found.reads >= 1
    assert found.bytes >= 21 * len(document(0))


def test_what_is_lost_and_what_comes_twice():
    frames = b"".join(frame(document(seq)) for seq in (0, 1, 5, 5, 4, 6))
    found = seen("ws", UPGRADED + ASK, frames, count=4)
    assert (found.messages, found.lost, found.repeated) == (4, 3, 2)
    assert found.faults() == "3 lost, 2 repeated"


def test_each_lane_has_a_sequence_of_its_own():
    frames = b"".join(frame(document(seq)) for seq in (0, LANE, 1, LANE + 1, LANE + 3))
    found = seen("ws", UPGRADED + ASK, frames, count=5)
    assert (found.messages, found.lost) == (5, 1)


def test_the_age_of_a_message():
    frames = b"".join(frame(document(seq, age)) for seq, age in enumerate((0.25, 0.25, 2.0)))
    found = seen("ws", UPGRADED + ASK, frames, count=3)
    assert 250 <= found.p50_ms < 2000 <= found.p99_ms <= found.max_ms * 1.04


@pytest.mark.parametrize(
    "bad",
    [b"\x81\x85" + b"\0" * 9, b"\xc1\x05hello", b"\x01\x05hello", frame(document(65 * LANE))],
    ids=["masked", "reserved bit", "in parts", "no such lane"],
)
def test_frames_that_no_server_may_send(bad):
    found = seen("ws", UPGRADED + ASK, bad + frame(document(0)), count=1)
    assert found.bad == 1


def test_a_server_that_closes():
    found = seen("ws", UPGRADED + ASK, frame(document(0)) + frame(b"\x03\xf4", 0x88), count=2)
    assert (found.closed, found.open) == (1, 0)


@pytest.mark.parametrize("piece", [1, 1 << 16])
def test_compressed_frames_that_look_back(piece):
    packer = zlib.compressobj(wbits=-15)
    packed = [packer.compress(document(seq)) + packer.flush(zlib.Z_SYNC_FLUSH) for seq in range(10)]
    frames = b"".join(frame(data[:-4], 0xC1) for data in packed)
    found = seen("deflate", UPGRADED + ASK, frames, count=10, piece=piece)
    assert (found.messages, found.faults()) == (10, "")
    assert found.bytes < 10 * len(document(0))


@pytest.mark.parametrize("piece", [1, 1 << 16])
def test_nats_inside_frames_that_end_anywhere(piece):
    messages = b"".join(b"MSG bench 1 %d\r\n%b\r\n" % (len(each), each) for each in map(document, range(5)))
    split = [messages[start : start + 50] for start in range(0, len(messages), 50)]
    frames = b"".join(frame(part, 0x82) for part in split)
    hello = UPGRADED + frame(b"INFO {}\r\n", 0x82)
    found = seen("nats", hello, frame(b"PONG\r\nPING\r\n", 0x82), frames, count=5, piece=piece)
    assert (found.messages, found.faults()) == (5, "")


@pytest.mark.parametrize("piece", [1, 1 << 16])
def test_blocks_of_a_stream(piece):
    blocks = b"retry: 5\n\n" + b"".join(b"id: %d\ndata: %b\n\n" % (seq, document(seq)) for seq in range(5))
    found = seen("sse", STREAM + blocks, count=5, piece=piece)
    # What comes with the head may belong to the time before the window; what counts from the start is `least`.
    assert (found.least, found.faults()) == (5, "")


def test_a_refusal_is_counted_and_quoted():
    with serving(b"HTTP/1.1 503 Service Unavailable\r\n\r\n") as port, Load(port, "/", 1, "ws") as load:
        found = load.connected()
    assert (found.open, found.refused, found.first_refusal) == (0, 1, "HTTP/1.1 503 Service Unavailable")


STORED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\nServer: x\r\n\r\n" + b"12345"


@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
def test_each_request_follows_the_answer_to_the_last(piece):
    with serving(STORED, STORED, STORED, piece=piece) as port:
        assert post(port, 1, [b"one", b"two", b"three"])["seconds"] > 0


def test_more_connections_than_requests():
    with serving(STORED) as port:
        assert post(port, 3, [b"one"])["cpu"] >= 0


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ((b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",), "HTTP/1.1 503 Service Unavailable"),
        ((b"HTTP/1.1 202 Accepted\r\n\r\n",), "no Content-Length"),
        ((b"HTTP/1.1 202 Accepted\r\nX: " + b"x" * 5000,), "a head of more than 4096 bytes"),
    ],
    ids=["refused", "no length", "a long head"],
)
def test_a_publisher_does_not_take_another_answer_for_stored(answers, said, capfd):
    with serving(*answers) as port, pytest.raises(subprocess.CalledProcessError):
        post(port, 1, [b"one", b"two"])
    assert said in capfd.readouterr().err


class Store(BaseHTTPRequestHandler):
    """Takes every event, after a while if so said."""

    protocol_version = "HTTP/1.1"
    taken: ClassVar[list[dict[str, Any]]]
    status: ClassVar[int]
    seconds: ClassVar[float]

    def do_POST(self) -> None:
        self.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        time.sleep(self.seconds)
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not on standard error, which the tests read."""


@contextmanager
def storing(status: int = 202, seconds: float = 0.0) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A store of events: its port, and what it has taken."""
    handler = type("Handler", (Store,), {"taken": [], "status": status, "seconds": seconds})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, handler.taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_single_events_are_stamped_with_the_time_at_which_they_are_due():
    before = time.monotonic_ns()
    with storing() as (port, taken), closing(Singles(port, "/events")) as publisher:
        assert (publisher.drive(1000, 0.1), publisher.drive(500, 0.1), publisher.sent) == (100, 50, 150)
    after = time.monotonic_ns()
    due = sorted(event["data"]["ns"] for event in taken)
    assert before < due[0]
    assert due[-1] < after
    gaps = [round((later - earlier) / 1e6) for earlier, later in pairwise(due)]
    assert (gaps[:99], gaps[100:]) == ([1] * 99, [2] * 49)
    assert len({event["id"] for event in taken}) == 150


def test_each_lane_of_single_events_has_a_sequence_without_a_gap():
    with storing(seconds=0.001) as (port, taken), closing(Singles(port, "/events")) as publisher:
        publisher.drive(10_000, 0.05)
    lanes: dict[int, list[int]] = {}
    for event in taken:
        lane, number = divmod(event["data"]["seq"], LANE)
        lanes.setdefault(lane, []).append(number)
    assert len(lanes) == Singles.LANES
    assert all(numbers == list(range(len(numbers))) for numbers in lanes.values())


def test_a_store_that_is_slow_gets_no_more_than_it_answers():
    with storing(seconds=0.2) as (port, taken), closing(Singles(port, "/events")) as publisher:
        assert publisher.drive(100_000, 0.05) == Singles.LANES
    assert len(taken) == Singles.LANES


def test_a_publisher_of_single_events_ends_when_one_is_refused(capfd):
    refused = pytest.raises(RuntimeError, match="ended with 1")
    with storing(status=503) as (port, _), closing(Singles(port, "/events")) as publisher, refused:
        publisher.drive(1000, 0.2)
    assert "HTTP/1.1 503" in capfd.readouterr().err
