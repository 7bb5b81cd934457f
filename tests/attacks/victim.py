"""What attackers and their witnesses need: the daemon with a configuration, its figures, raw connections."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from tests.integration.daemon import Daemon

ANSWER_SECONDS, PATIENCE_SECONDS = 5.0, 30.0
"""For an answer that may not come at all, and for one that must."""


def victim(
    directory: Path, *, gateway: str = "", processing: str = "", within: Sequence[str] = (), data: Path | None = None
) -> Daemon:
    """`hxp up` with these two YAML files, its state below `directory` or in `data`."""
    paths = {"--config": directory / "gateway.yaml", "--processing-config": directory / "processing.yaml"}
    for path, text in zip(paths.values(), (gateway, processing), strict=True):
        path.write_text(text or "{}\n")
    arguments = [each for name, path in paths.items() for each in (name, str(path))]
    return Daemon(data or directory / "data", *arguments, within=within)


def place(base: str) -> tuple[str, int]:
    """Host and port of a base URL."""
    parts = urlsplit(base)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


async def figures(session: aiohttp.ClientSession, base: str) -> dict[str, float]:
    """The metrics page: value by name and labels, as they stand there."""
    async with session.get(f"{base}/metrics") as answer:
        answer.raise_for_status()
        lines = (await answer.text()).splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] not in "#")}


async def stored(session: aiohttp.ClientSession, base: str, pattern: str) -> list[str]:
    """Types of the events in the log that fit a pattern, at most 1,000."""
    async with session.get(f"{base}/events", params={"after": 0, "limit": 1000, "type": pattern}) as answer:
        answer.raise_for_status()
        return [event["type"] for event in (await answer.json())["events"]]


def memory(pid: int, field: str = "VmHWM") -> int:
    """Bytes of memory of a process: the most so far, or `VmRSS` for now."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def descriptors(pid: int) -> int:
    """Open files and sockets of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def talk(host: str, port: int, raw: bytes, *, idle: float = 0.3, expected: int = 0) -> bytes:
    """Send bytes as they are; what comes back until the other side closes, or has been silent for `idle` seconds.

    `expected`: so many answers are waited for however long they take; 0: the first, if it comes in some seconds.
    """
    reader, writer = await asyncio.open_connection(host, port)
    received = bytearray()
    try:
        with contextlib.suppress(ConnectionError, TimeoutError):
            writer.write(raw)
            await writer.drain()
            while True:
                missing = _answers(received) < (expected or 1)
                async with asyncio.timeout(idle if not missing else PATIENCE_SECONDS if expected else ANSWER_SECONDS):
                    more = await reader.read(65536)
                if not more:
                    break
                received += more
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return bytes(received)


def _answers(received: bytes | bytearray) -> int:
    """How many have begun, interim ones not counted."""
    return len(re.findall(rb"HTTP/1\.[01] (?:101|[2-5]\d\d)", received))


def statuses(received: bytes) -> list[int]:
    """Status of each answer in what came back, by their lengths; interim answers left out."""
    found: list[int] = []
    rest = received
    while rest:
        head, end, rest = rest.partition(b"\r\n\r\n")
        line = re.match(rb"HTTP/1\.[01] (\d{3})", head)
        assert line, f"this is no answer: {rest[:200]!r}"
        assert end, f"an answer was cut off: {head!r}"
        status = int(line[1])
        if status == 101:
            return [*found, status]
        length = re.search(rb"\r\ncontent-length:[ ]*(\d+)", head, re.IGNORECASE)
        rest = rest[int(length[1]) if length else 0 :]
        if status >= 200:
            found.append(status)
    return found
