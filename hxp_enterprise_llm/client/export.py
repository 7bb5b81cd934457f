"""Fetching a table as a file: whole or not at all; a broken download of lines goes on behind its last whole one."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import aiohttp

from hxp_enterprise_llm.client.answers import Unreachable, refusal, words

_PATH = "/api/v2/export/analytics"
_OFFSET = re.compile(rb'^(?:\{"offset":)?([0-9]{1,16})[,}]')
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 8.0
_LONGEST_LINE = 4 * 1024 * 1024
_PAUSE_SECONDS = 60.0

Told = Callable[[int, int | None], None]
"""Called with the bytes that are there, and the offset of the last whole row where rows have one."""


class Download:
    """One table into one file. `query`: what, format, from, to …"""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        query: Mapping[str, str],
        *,
        attempts: int = 6,
        told: Told = lambda _size, _offset: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`attempts`: how often in a row it may break before it is given up."""
        self._session, self._url = session, base_url.rstrip("/") + _PATH
        self._query, self._attempts, self._told, self._sleep = dict(query), attempts, told, sleep
        self._lines = query.get("format") == "ndjson"
        self._offset: int | None = None
        self._size = 0

    async def into(self, path: Path) -> int:
        """Fetch it; answers the bytes. Beside the file stands `.part` until it is whole, and no longer.

        Raises Unreachable, Refused, OSError.
        """
        part = path.with_name(path.name + ".part")
        try:
            with part.open("wb") as file:
                await self._persist(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        return self._size

    async def _persist(self, file: BinaryIO) -> None:
        failures, delay = 0, _FIRST_DELAY
        while True:
            before = self._size
            try:
                return await self._fetch(file)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if isinstance(error, OSError) and not isinstance(error, aiohttp.ClientError | TimeoutError):
                    raise
                self._rewind(file)
                # Who gets on is not failing.
                failures, delay = (1, _FIRST_DELAY) if self._size > before else (failures + 1, delay)
                if failures >= self._attempts:
                    raise Unreachable(self._url, words(error)) from error
                await self._sleep(delay)
                delay = min(2 * delay, _LONGEST_DELAY)

    def _rewind(self, file: BinaryIO) -> None:
        """Back to the last whole row where it can go on from there, else to the beginning."""
        if self._offset is None:
            self._size = 0
        file.seek(self._size)
        file.truncate()

    async def _fetch(self, file: BinaryIO) -> None:
        query = self._query | ({} if self._offset is None else {"after": str(self._offset)})
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_PAUSE_SECONDS)
        async with self._session.get(self._url, params=query, timeout=timeout) as answer:
            if answer.status != 200:
                raise refusal(answer.status, await answer.read())
            rest = b""
            async for piece in answer.content.iter_any():
                file.write(piece)
                rest = self._seen(rest + piece)
        self._size += len(rest)
        self._told(self._size, self._offset)

    def _seen(self, text: bytes) -> bytes:
        """Note how far whole rows reach; answers what follows the last of them."""
        whole, line_feed, rest = text.rpartition(b"\n")
        if not line_feed and len(text) < _LONGEST_LINE:
            return text
        self._size += len(text) - len(rest) if line_feed else len(text)
        found = _OFFSET.match(whole.rpartition(b"\n")[2])
        shown = int(found[1]) if found else None
        if self._lines:
            self._offset = shown
        self._told(self._size, shown)
        return rest if line_feed else b""
