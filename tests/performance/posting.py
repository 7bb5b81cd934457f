"""A load generator for `POST /events`: requests made beforehand, a few sockets, and nothing but send and receive.

Runs as a process of its own, so that its work is not the program's: `python -m tests.performance.posting PORT …`.
"""

from __future__ import annotations

import json
import resource
import selectors
import socket
import sys
import time
import uuid
from collections.abc import Iterator

from hxp_enterprise_llm.event.model import rfc3339

DATA = {"model": "gpt-4o-mini", "latency_ms": 812.5, "input_tokens": 412, "output_tokens": 96, "total_tokens": 508}


def requests(count: int, batch: int) -> list[bytes]:
    """So many requests of so many complete events each, every event with an identity of its own."""
    head = {"specversion": "1.0", "source": "/agents/researcher", "type": "llm.request.completed"}
    made = []
    for _ in range(count):
        events = [head | {"id": uuid.uuid4().hex, "time": rfc3339(time.time()), "data": DATA} for _ in range(batch)]
        body = json.dumps(events if batch > 1 else events[0], separators=(",", ":")).encode()
        start = (
            f"POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        )
        made.append(start.encode() + b"\r\n\r\n" + body)
    return made


class Poster:
    """One connection that sends its next request as soon as the last one is answered."""

    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answer = b""

    def send(self) -> bool:
        """Send the next request; False when there is none left."""
        request = next(self._requests, None)
        if request is not None:
            self.sock.sendall(request)
        return request is not None

    def post(self, request: bytes) -> None:
        """Send a request of one's own and wait for the answer. Raises ValueError as `receive` does."""
        self.sock.sendall(request)
        while not self.receive():
            pass

    def receive(self) -> bool:
        """Take what has come; answers whether that completes an answer. Raises ValueError on any status but 202."""
        self._answer += self.sock.recv(1 << 18)
        head, mark, body = self._answer.partition(b"\r\n\r\n")
        if not mark:
            return False
        if not head.startswith(b"HTTP/1.1 202"):
            raise ValueError(self._answer.decode())
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return False
        self._answer = b""
        return True


def post(port: int, connections: int, made: list[bytes]) -> float:
    """Post all requests over so many connections; answers the seconds from the first to the last answer."""
    waiting = iter(made)
    posters = [Poster(port, waiting) for _ in range(connections)]
    selector = selectors.DefaultSelector()
    begun = time.perf_counter()
    busy = 0
    for poster in posters:
        if poster.send():
            selector.register(poster.sock, selectors.EVENT_READ, poster)
            busy += 1
    while busy:
        for key, _ in selector.select():
            if key.data.receive() and not key.data.send():
                selector.unregister(key.fileobj)
                busy -= 1
    seconds = time.perf_counter() - begun
    for poster in posters:
        poster.sock.close()
    return seconds


def main() -> None:
    port, connections, count, batch = map(int, sys.argv[1:5])
    made = requests(count, batch)
    before = resource.getrusage(resource.RUSAGE_SELF)
    seconds = post(port, connections, made)
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"seconds": seconds, "events": count * batch, "generator_cpu": used}))


if __name__ == "__main__":
    main()
