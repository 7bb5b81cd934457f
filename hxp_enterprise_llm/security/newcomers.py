"""Closes connections that do not get a first request together: silent ones, half heads, heads that trickle in.

The keep-alive of aiohttp is one number for the time before the first request and the time between requests; the second
must be longer than a proxy's, the first should be short.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog
from aiohttp.web_protocol import RequestHandler

log = structlog.get_logger("listener")

LOOKS = 4
"""Looks at the connections in the time that they have."""


class Newcomers:
    """One timer for all connections of a listener. Counts how many it closed."""

    def __init__(self, connections: Callable[[], Sequence[RequestHandler]], seconds: float) -> None:
        self._connections, self._seconds = connections, seconds
        self._seen: dict[RequestHandler, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.closed = 0

    def start(self) -> None:
        """Begin; needs a running loop."""
        self._timer = asyncio.get_running_loop().call_later(self._seconds / LOOKS, self._look)

    def stop(self) -> None:
        """Look no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        # Who has asked once is under the keep-alive; a stream is no connection of aiohttp any more.
        waiting = [handler for handler in self._connections() if not handler._request_count]
        self._seen = {handler: self._seen.get(handler, 0) + 1 for handler in waiting}
        overdue = [handler for handler, looks in self._seen.items() if looks > LOOKS]
        for handler in overdue:
            handler.force_close()
        if overdue:
            self.closed += len(overdue)
            log.info("listener.closed_without_request", connections=len(overdue), seconds=self._seconds)
        self.start()
