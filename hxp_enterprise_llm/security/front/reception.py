"""All fronts of a listener, and the way from them to aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from hxp_enterprise_llm.security.capacity import Capacity
from hxp_enterprise_llm.security.front.door import Door
from hxp_enterprise_llm.security.front.front import Front
from hxp_enterprise_llm.security.front.overflow import Overflow
from hxp_enterprise_llm.security.sendbuffer import loosen

_NEWCOMER_SECONDS, _LOOK_SECONDS = 0.5, 0.02
"""At a stop: for the first request of those who have only just come, and between two looks at them."""


class Reception:
    """Knows its fronts, the oldest first."""

    def __init__(
        self,
        door: Door,
        server: Callable[[], web.Server | None],
        handed_over: Callable[[RequestHandler, int], None],
        capacity: Capacity | None = None,
    ) -> None:
        """`handed_over` is told of each that is aiohttp's now, and how often it was found without a request.

        `capacity` None: there is always room.
        """
        self.door, self.beginnings, self._bounded = door, door.beginnings, door.has_streams
        self._server, self._handed_over = server, handed_over
        self._fronts: dict[Front, None] = {}
        self._stopping = False
        self._overflow = Overflow(capacity, door.no_room, self.hand_over) if capacity is not None else None

    def __iter__(self) -> Iterator[Front]:
        return iter(list(self._fronts))

    def __len__(self) -> int:
        return len(self._fronts)

    def make(self, local: tuple[str, int] | None = None) -> Front:
        """A front for a connection that has just come. `local`: where it arrived; None: it has to be asked."""
        return Front(self, local)

    def entered(self, front: Front) -> None:
        """A connection has come."""
        self._fronts[front] = None
        if self._stopping:
            front.close()

    def refuses(self, transport: asyncio.Transport, address: str) -> bool:
        """Whether there is no room for a connection; then it is taken care of."""
        if self._overflow is None or self._overflow.has_room(transport):
            return False
        self._overflow.receive(transport, local=self.door.is_local(address))
        return True

    def left(self, front: Front) -> None:
        """It is no front's any more. Idempotent."""
        self._fronts.pop(front, None)

    def hand_over(self, transport: asyncio.Transport, held: bytes, looks: int) -> None:
        """Let aiohttp have a connection, and what it has sent."""
        server = self._server()
        if server is None:
            transport.close()
            return
        if self._bounded:
            loosen(transport)
        handler = server()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        self._handed_over(handler, looks)
        if held:
            handler.data_received(held)

    async def stop(self, seconds: float) -> None:
        """Close the connections; requests under way get so many seconds. Idempotent."""
        self._stopping = True
        for _ in range(round(min(seconds, _NEWCOMER_SECONDS) / _LOOK_SECONDS)):
            if not self._close_but_newcomers():
                break
            await asyncio.sleep(_LOOK_SECONDS)
        for front in self:
            front.close()
        answers = [front.answered_last() for front in self if front.answering]
        if answers:
            await asyncio.wait(answers, timeout=seconds)
        self.abort()

    def _close_but_newcomers(self) -> bool:
        """Whether somebody has come so lately that the first request may still be on its way."""
        waiting = False
        for front in self:
            if front.waits_for_request and not front.looks:
                waiting = True
            else:
                front.close()
        return waiting

    def abort(self) -> None:
        """Cut off whoever is still there."""
        for front in self:
            front.abort()
        if self._overflow is not None:
            self._overflow.abort()
