"""Following a log: read on, and wait at the head until somebody rings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from hxp_enterprise_llm.event.log.model import Batch
from hxp_enterprise_llm.event.model import Offset

PROGRESS_SECONDS = 10.0
"""An empty batch comes at least this often as a sign of life."""


class Bell:
    """Wakes all who wait at the head. Take the `call` before you read: a ring in between is then not missed."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def call(self) -> asyncio.Event:
        """An event that the next ring sets."""
        return self._next

    def ring(self) -> None:
        """Wake everyone who waits."""
        rung, self._next = self._next, asyncio.Event()
        rung.set()


async def follow(
    read: Callable[[Offset], Awaitable[Batch]], bell: Bell, after: Offset, *, progress: float = PROGRESS_SECONDS
) -> AsyncIterator[Batch]:
    """Batches for ever. The first comes at once, also when it is empty; what `read` raises ends it."""
    while True:
        call = bell.call()
        batch = await read(after)
        yield batch
        after = batch.next
        if after < batch.head:
            # Reads near the head are answered from memory without a pause: leave the loop to others in between.
            await asyncio.sleep(0)
            continue
        try:
            async with asyncio.timeout(progress):
                await call.wait()
        except TimeoutError:
            continue
