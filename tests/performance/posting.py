"""A load generator for `POST /events`: requests made beforehand, a few sockets, and nothing but send and receive.

Runs as a process of its own, so that its work is not the program's: `python -m tests.performance.posting PORT …`. The
sockets are the C program's `load/postload.c`; `Poster` is one for those who post a little by themselves.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from random import Random

from hxp_enterprise_llm.event.model import rfc3339
from tests.performance.harness import program

MODELS = ("gpt-4o-mini", "claude-sonnet", "mistral-large", "llama-3.1-70b", "phi-4-mini")


def data(chance: Random) -> dict[str, object]:
    """Of a request: figures that differ as those of requests do. Equal ones would flatter a log that compresses."""
    tokens = chance.randrange(16, 4000), chance.randrange(1, 1000)
    latency = round(chance.lognormvariate(6.5, 0.8), 1)
    figures = dict(zip(("input_tokens", "output_tokens", "total_tokens"), (*tokens, sum(tokens)), strict=True))
    return {"model": chance.choice(MODELS), "latency_ms": latency, **figures}


def requests(count: int, batch: int) -> list[bytes]:
    """So many requests of so many complete events each, every event with an identity of its own."""
    head = {"specversion": "1.0", "source": "/agents/researcher", "type": "llm.request.completed"}
    made, chance = [], Random(1)
    for _ in range(count):
        events = [
            head | {"id": uuid.uuid4().hex, "time": rfc3339(time.time()), "data": data(chance)} for _ in range(batch)
        ]
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


def post(port: int, connections: int, made: list[bytes]) -> dict[str, float]:
    """Post all requests over so many connections with `postload`: `seconds` from the first to the last answer, `cpu`.

    Raises CalledProcessError on any status but 202, Missing without gcc.
    """
    records = b"".join(len(request).to_bytes(4, "little") + request for request in made)
    words = [str(program("postload")), str(port), str(connections)]
    found: dict[str, float] = json.loads(
        subprocess.run(words, input=records, stdout=subprocess.PIPE, check=True).stdout
    )
    return found


def main() -> None:
    port, connections, count, batch = map(int, sys.argv[1:5])
    found = post(port, connections, requests(count, batch))
    print(json.dumps({"seconds": found["seconds"], "events": count * batch, "generator_cpu": found["cpu"]}))


if __name__ == "__main__":
    main()
