"""A small real HTTP server in threads that takes events as event processing does, or answers what a test prepares."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
Prepared = Callable[[list[dict[str, Any]]], Answer | None]


class FakeService(ThreadingHTTPServer):
    """`events` in the order in which they were stored, each once; `bodies` as they came."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.events: list[dict[str, Any]] = []
        self.bodies: list[list[dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.next: list[Prepared] = []
        self.lock = threading.Lock()
        self.connections = 0
        self._open: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def numbers(self) -> list[int]:
        return [event["data"]["n"] for event in self.events]

    def get_request(self) -> tuple[socket.socket, Any]:
        found = super().get_request()
        self.connections += 1
        self._open.add(found[0])
        return found

    def cut(self) -> None:
        """End all connections without a word."""
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def store(self, lines: list[dict[str, Any]]) -> Answer:
        known = {(event["source"], event["id"]) for event in self.events}
        answers = []
        for line in lines:
            duplicate = (line["source"], line["id"]) in known
            if not duplicate:
                self.events.append(line)
            answers.append({"offset": len(self.events), "duplicate": duplicate})
        return 202, {}, json.dumps({"events": answers, "epoch": "e1"}).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeService

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        lines = [json.loads(line) for line in body.splitlines()]
        with self.server.lock:
            self.server.bodies.append(lines)
            self.server.headers.append(dict(self.headers))
            prepared = self.server.next.pop(0) if self.server.next else self.server.store
        answer = prepared(lines)
        if answer is None:  # stored or not, the answer is lost
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, headers, content = answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


@contextmanager
def serving(port: int = 0) -> Iterator[FakeService]:
    """A service that runs until the end of the block."""
    server = FakeService(port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.cut()
        server.server_close()
        thread.join()
