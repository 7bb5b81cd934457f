"""Following a log: read on, and wait at the head until somebody rings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from hxp_enterprise_llm.event.log.model import Batch
from hxp_enterprise_llm.event.model import Offset

PROGRESS_SECONDS = 10.0
"""An empty batch comes at least this often as a sign of life."""


class Bell:
    """Wakes all who wait at the head. Take the number of `rings` before you read: a ring in between is then seen."""

    def __init__(self) -> None:
        self.rings = 0
        # In the order in which they came, and that is the order in which they are woken.
        self._waiting: dict[asyncio.Future[None], None] = {}

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def ring(self) -> None:
        """Wake everyone who waits."""
        self.rings += 1
        for future in self._waiting:
            wake(future)
        self._waiting.clear()

    def wait(self) -> asyncio.Future[None]:
        """A future that the next ring completes."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        return future

    def forget(self, future: asyncio.Future[None]) -> None:
        """Nobody waits for it any more."""
        self._waiting.pop(future, None)


def wake(future: asyncio.Future[None]) -> None:
    """Complete a future unless it is done."""
    if not future.done():
        future.set_result(None)


class _Patience:
    """Waits of one follower, each of them bounded.

    A busy log rings some hundred times a second, and all that time one timer is enough: when it fires it looks whether
    the wait of that moment is over, and else waits for the rest.
    """

    def __init__(self, bell: Bell, seconds: float) -> None:
        self._bell, self._seconds = bell, seconds
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._future: asyncio.Future[None] | None = None
        self._until = 0.0

    async def wait(self) -> None:
        """Until the next ring, or until the time is over."""
        self._future = future = self._bell.wait()
        self._until = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(self._until, self._look)
        try:
            await future
        finally:
            self._future = None
            self._bell.forget(future)

    def _look(self) -> None:
        self._timer = None
        if self._future is None:
            return
        if self._loop.time() >= self._until:
            wake(self._future)
        else:
            self._timer = self._loop.call_at(self._until, self._look)

    def close(self) -> None:
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()


async def follow(
    read: Callable[[Offset], Awaitable[Batch]], bell: Bell, after: Offset, *, progress: float = PROGRESS_SECONDS
) -> AsyncIterator[Batch]:
    """Batches for ever. The first comes at once, also when it is empty; what `read` raises ends it."""
    patience = _Patience(bell, progress)
    try:
        while True:
            rings = bell.rings
            batch = await read(after)
            yield batch
            after = batch.next
            if after < batch.head:
                # Reads near the head are answered from memory without a pause: leave the loop to others in between.
                await asyncio.sleep(0)
            elif bell.rings == rings:
                # Nobody rang while the batch was read or taken.
                await patience.wait()
    finally:
        patience.close()
