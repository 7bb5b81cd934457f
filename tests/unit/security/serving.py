"""A real service on a free port of loopback, and a client that sends exactly the bytes it is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json["error"]
        return found


class Served(NamedTuple):
    listener: Listener
    registry: CollectorRegistry

    @property
    def port(self) -> int:
        return self.listener.address[1]

    async def raw(self, sent: bytes, *, method: str = "GET") -> Answer:
        """Send these bytes on a connection of their own; `{port}` in them is filled in."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(sent.replace(b"{port}", str(self.port).encode()))
            return await read_answer(reader, method)
        finally:
            writer.close()

    async def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """An ordinary request; a keyword `Content_Type` is the header Content-Type."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        return await self.raw("\r\n".join([*lines, "", ""]).encode() + (body or b""), method=method)

    def sample(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


async def read_answer(reader: asyncio.StreamReader, method: str = "GET") -> Answer:
    """One whole answer off the wire."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    status = int(head[0].split()[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    if method == "HEAD":
        return Answer(status, headers, b"")
    if headers.get("transfer-encoding") == "chunked":
        return Answer(status, headers, await _read_chunks(reader))
    return Answer(status, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    return body


@asynccontextmanager
async def serving(routes: Sequence[Route], security: SecurityConfig | None = None) -> AsyncIterator[Served]:
    policy, registry = Policy.of(security or SecurityConfig()), CollectorRegistry()
    app = build_app(routes, policy=lambda: policy, metrics=ServiceMetrics(registry))
    listener = Listener(app, "127.0.0.1", 0, name="test", drain=0.1)
    await listener.start()
    try:
        yield Served(listener, registry)
    finally:
        await listener.stop(5.0)
