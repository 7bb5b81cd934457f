"""Closes connections that do not get a first request together: silent ones, half heads, heads that trickle in.

The keep-alive of aiohttp is one number for the time before the first request and the time between requests; the second
must be longer than a proxy's, the first should be short. Of one address only so many may take their time.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence

import structlog
from aiohttp.web_protocol import RequestHandler

from hxp_enterprise_llm.security.front.front import Front
from hxp_enterprise_llm.security.networks import network

log = structlog.get_logger("listener")

LOOKS = 4
"""Least looks at the connections in the time that they have."""
MOST_SECONDS = 1.0
"""Between two looks."""
SLOW_LOOKS = 2
"""Who was found waiting so often had the chance to be read: a storm of connections that all ask is not slow."""
BODY_SECONDS = 5.0
"""Then a body that is still to come is aiohttp's, which has a deadline for all of it."""
LAST_SECONDS = 5.0
"""For the last answer to leave, once the connection is closed."""

Newcomer = Front | RequestHandler


class Newcomers:
    """One timer for all connections of a listener. Counts how many it closed."""

    def __init__(
        self,
        fronts: Iterable[Front],
        handlers: Callable[[], Sequence[RequestHandler]],
        *,
        seconds: float,
        keep_alive: float,
        most: Callable[[], int],
        count: Callable[[str, int], None],
    ) -> None:
        """`seconds`: the time for the head of the first request; `keep_alive`: that between requests.

        `most`: how many of one address may take it; `count` is told what was closed, by the bound that they passed.
        """
        self._fronts, self._handlers, self._seconds = fronts, handlers, seconds
        self._keep_alive, self._most, self._count = keep_alive, most, count
        self._period = min(MOST_SECONDS, seconds / LOOKS)
        self._seen: dict[RequestHandler, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.closed = 0

    def start(self) -> None:
        """Begin; needs a running loop."""
        self._timer = asyncio.get_running_loop().call_later(self._period, self._look)

    def stop(self) -> None:
        """Look no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def inherit(self, handler: RequestHandler, looks: int) -> None:
        """A handler goes on where a front was found waiting so often."""
        if looks:
            self._seen[handler] = looks

    def _look(self) -> None:
        self.start()
        waiting: list[tuple[int, Newcomer]] = []
        for front in list(self._fronts):
            front.looks += 1
            if front.waits_for_request:
                waiting.append((front.looks, front))
            else:
                self._tend(front)
        # Who has asked once is under the keep-alive; a stream is no connection of aiohttp any more.
        silent = [handler for handler in self._handlers() if not handler._request_count]
        self._seen = {handler: self._seen.get(handler, 0) + 1 for handler in silent}
        waiting += [(looks, handler) for handler, looks in self._seen.items()]
        last = math.ceil(self._seconds / self._period)
        self._close("deadline", [newcomer for looks, newcomer in waiting if looks > last])
        self._close("per_address", self._too_many([each for each in waiting if SLOW_LOOKS <= each[0] <= last]))

    def _tend(self, front: Front) -> None:
        seconds = front.looks * self._period
        if front.waits_for_body:
            if seconds > BODY_SECONDS:
                front.step_aside()
        elif not front.answering and seconds > self._keep_alive + LAST_SECONDS:
            front.abort()
        elif not front.answering and seconds > self._keep_alive:
            front.close()

    def _too_many(self, slow: list[tuple[int, Newcomer]]) -> list[Newcomer]:
        """Those who have waited longest of each address that has more than its share."""
        most = self._most()
        if len(slow) <= most:
            return []
        by_network: dict[str, list[Newcomer]] = {}
        for _, newcomer in sorted(slow, key=lambda each: -each[0]):
            by_network.setdefault(network(_address(newcomer)), []).append(newcomer)
        return [each for newcomers in by_network.values() for each in newcomers[: max(0, len(newcomers) - most)]]

    def _close(self, bound: str, newcomers: Sequence[Newcomer]) -> None:
        for newcomer in newcomers:
            if isinstance(newcomer, Front):
                newcomer.close()
            else:
                newcomer.force_close()
        if newcomers:
            self.closed += len(newcomers)
            self._count(bound, len(newcomers))
            log.info("listener.closed_without_request", connections=len(newcomers), bound=bound)


def _address(newcomer: Newcomer) -> str:
    if isinstance(newcomer, Front):
        return newcomer.address
    peer = newcomer.peername
    return peer[0] if isinstance(peer, tuple) else ""
