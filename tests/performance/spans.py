"""OTLP requests of an agent platform, and a generator: `python -m tests.performance.spans PORT CONNECTIONS COUNT`.

Of eight spans one is a run of an agent, three are calls of a model, two of tools, one of Redis and one of HTTP, with up
to 14 attributes each. Every request holds whole traces of its own.
"""

from __future__ import annotations

import json
import os
import random
import selectors
import sys
import time
from collections.abc import Iterator
from typing import Any

from hxp_enterprise_llm.event.sources.genai.model import Origin, Span
from tests.performance.posting import Poster
from tests.unit.sources.otlp.requests import json_traces, pb_traces

SPANS = 512
_COMMON = {"thread.id": 140_000, "thread.name": "worker", "code.function": "call", "server.address": "10.0.0.1"}
_MODEL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.request.temperature": 0.2,
    "gen_ai.usage.input_tokens": 812,
    "gen_ai.usage.output_tokens": 96,
    "gen_ai.usage.cache_read.input_tokens": 512,
    "gen_ai.conversation.id": "c-17",
}
_TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search", "gen_ai.tool.type": "function"}
_KINDS: list[tuple[str, dict[str, Any]]] = [
    ("chat gpt-4o-mini", _MODEL),
    ("execute_tool search", _TOOL),
    ("chat gpt-4o-mini", _MODEL),
    ("GET", {"db.system": "redis", "db.operation": "GET", "hxp.memory.hit": True}),
    ("execute_tool search", _TOOL),
    ("POST /answer", {"http.request.method": "POST", "http.route": "/answer", "http.response.status_code": 200}),
    ("chat gpt-4o-mini", _MODEL),
    ("invoke_agent", {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "researcher"}),
]


def _figures() -> dict[str, Any]:
    """What no two calls of a model have in common."""
    tokens = {f"gen_ai.usage.{kind}_tokens": random.randrange(4000) for kind in ("input", "output")}
    return tokens | {"gen_ai.conversation.id": f"c-{random.random()}"}


def request(number: int, form: str) -> bytes:
    """A request of 512 spans that nobody has sent before."""
    now, origin = time.time_ns() - number, Origin("bench")
    spans = []
    for _ in range(SPANS // len(_KINDS)):
        trace = os.urandom(16)
        ids = [os.urandom(8) for _ in _KINDS]
        for (name, attributes), id in zip(_KINDS, ids, strict=True):
            spans.append(
                Span(
                    origin=origin,
                    trace=trace,
                    span=id,
                    parent=b"" if id == ids[-1] else ids[-1],
                    name=name,
                    kind=3,
                    start_ns=now - 812_000_000,
                    end_ns=now,
                    attributes=attributes | _COMMON | (_figures() if attributes is _MODEL else {}),
                )
            )
    return (json_traces if form == "json" else pb_traces)(spans)


def posts(count: int) -> Iterator[bytes]:
    """Requests as they go over the wire."""
    for number in range(count):
        body = request(number, "protobuf")
        head = "POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\n"
        yield f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class _Exporter(Poster):
    def receive(self) -> bool:
        """Whole success has no body. Raises ValueError on any other answer."""
        self._answer += self.sock.recv(1 << 16)
        head, mark, body = self._answer.partition(b"\r\n\r\n")
        if not mark:
            return False
        if not head.startswith(b"HTTP/1.1 200") or body:
            raise ValueError(self._answer[:400].decode())
        self._answer = b""
        return True


def main() -> None:
    port, connections, count = map(int, sys.argv[1:])
    made = list(posts(count))
    rest, selector, busy = iter(made), selectors.DefaultSelector(), 0
    begun = time.monotonic()
    for _ in range(connections):
        exporter = _Exporter(port, rest)
        if exporter.send():
            selector.register(exporter.sock, selectors.EVENT_READ, exporter)
            busy += 1
    while busy:
        for key, _ in selector.select():
            if key.data.receive() and not key.data.send():
                selector.unregister(key.fileobj)
                busy -= 1
    seconds = time.monotonic() - begun
    print(json.dumps({"spans": count * SPANS, "seconds": seconds}))


if __name__ == "__main__":
    main()
