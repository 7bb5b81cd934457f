"""A source that is listened to: the messages of a server become events."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, Generic, NamedTuple, TypeVar

from hxp_enterprise_llm.event.log.model import EventTooLarge, LogError
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.sources.faults import Interrupted, Invalid, OwnTypes, Rejected
from hxp_enterprise_llm.event.sources.heard import PATIENCE, Connection, M, Meaning
from hxp_enterprise_llm.event.sources.pollers.model import Item, PollError, Settings
from hxp_enterprise_llm.event.sources.pollers.tended import Tended, log
from hxp_enterprise_llm.event.sources.strict_json import JsonFault
from hxp_enterprise_llm.event.sources.tail import Identity
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.outage import Outage
from hxp_enterprise_llm.telemetry.source_metrics import SourceMetrics
from hxp_enterprise_llm.telemetry.text import clean

Take = Callable[[list[dict[str, Any]]], Awaitable[object]]
"""Stores events in order, none of them twice. Raises Rejected, OwnTypes, Interrupted, LogError."""

Find = Callable[[Collection[Identity]], Awaitable[set[Identity]]]
"""Those of the events that are stored already, however long ago. Raises LogError."""

_PAUSE = 1.0
"""Seconds until what the log did not take is offered again."""
_TOLD = 60.0
"""Seconds that a drop is told at least."""
_PLACES = 100
"""Subjects or streams whose messages are counted apart."""
A = TypeVar("A")
B = TypeVar("B")
_UNUSABLE = (Rejected, OwnTypes, EventTooLarge)


class _Offered(NamedTuple):
    """An event, and how people find the message that it was made of."""

    event: dict[str, Any]
    name: str


class Listener(Tended, Generic[M]):
    """Has one long turn: connects, and stores what comes until the connection is lost or somebody ends it.

    What the log does not take at present waits, and the server with it; what is no event is dropped and counted.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Awaitable[Connection[M]]],
        meaning: Meaning[M],
        take: Take,
        find: Find,
        failures: int,
        *,
        clock: Clock,
        metrics: SourceMetrics,
        jitter: Callable[[], float],
    ) -> None:
        """`connect` raises PollError."""
        super().__init__(name, 0.0, failures, clock=clock, metrics=metrics, jitter=jitter)
        self._connect, self._meaning, self._take, self._find = connect, meaning, take, find
        self._stored: set[Identity] = set()
        self._searched = False
        self._connection: Connection[M] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._heard: OrderedDict[str, tuple[str, int, str]] = OrderedDict()
        self._storing = Outage(log, "sources.append")
        self._told_until = 0.0

    def apply(self, settings: Settings, reason: str = "switched off") -> None:
        """Go by these from now on; switched off, it takes what is under way and leaves."""
        super().apply(settings, reason)
        if self._connection is not None and not settings.live:
            self._connection.leave()

    async def leave(self) -> None:
        """Listen no more, and take what is under way."""
        if self._connection is not None:
            self._connection.leave()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._idle.wait()

    async def poll(self) -> None:
        """Connect and listen until that ends."""
        began = self._clock.monotonic()
        try:
            self._connection = await self._connect()
        except PollError as error:
            if self.breaker.settings.live:
                self._failed(str(error))
            return
        finally:
            self._metrics.duration.labels(self.name).observe(self._clock.monotonic() - began)
        self._idle.clear()
        try:
            await self._listen(self._connection)
        except PollError as error:
            if self.breaker.settings.live:
                self._failed(str(error))
        finally:
            await self._connection.close()
            self._connection = None
            self._idle.set()

    async def _listen(self, connection: Connection[M]) -> None:
        if not self.breaker.settings.live:
            return  # switched off while it connected
        self.last_at = self._clock.time()
        self._metrics.succeeded(self.name, self.last_at)
        self._succeeded()
        self.breaker.due = math.inf  # it stays connected
        while (messages := await connection.receive()) is not None:
            if connection.problem or self._clock.monotonic() >= self._told_until:
                self._note(connection.problem)
            offered = self._events(messages)
            await self._take_all(await self._not_stored(offered) if connection.again else offered)
            self._told(messages)
            try:
                await connection.taken(messages)
            except PollError:
                self._stored = {self._identity(each) for each in offered}
                raise

    def _events(self, messages: Sequence[M]) -> list[_Offered]:
        offered: list[_Offered] = []
        for message in messages:
            name = self._meaning.name_of(message)
            try:
                offered.append(_Offered(self._meaning.of(message), name))
            except (Invalid, JsonFault) as error:
                self._drop(name, str(error))
        return offered

    def _identity(self, offered: _Offered) -> Identity:
        event = offered.event
        return str(event.get("source", f"/sources/{self.name}")), str(event["id"])

    async def _not_stored(self, offered: Sequence[_Offered]) -> list[_Offered]:
        """Those that are not stored. The log knows repeats for some minutes; a server may be away for longer.

        What is stored and not acknowledged is one batch at most: ours of just now, or that of the process before.
        """
        if not self._searched:
            self._stored |= await self._patiently(self._find, [self._identity(each) for each in offered])
            self._searched = True
        return [each for each in offered if self._identity(each) not in self._stored]

    def _told(self, messages: Sequence[M]) -> None:
        self.last_at = self._clock.time()
        self._metrics.last_success.labels(self.name).set(self.last_at)
        self._count(messages)

    async def _take_all(self, offered: Sequence[_Offered]) -> None:
        """All that are events; one that is none does not cost the others."""
        try:
            if offered:
                await self._taken([each.event for each in offered])
        except _UNUSABLE as error:
            if len(offered) == 1:
                self._drop(offered[0].name, _words(error))
                return
            half = len(offered) // 2
            await self._take_all(offered[:half])
            await self._take_all(offered[half:])

    async def _taken(self, events: list[dict[str, Any]]) -> None:
        await self._patiently(self._take, events)

    async def _patiently(self, ask: Callable[[A], Awaitable[B]], about: A) -> B:
        """The log's answer, once it can give one. Raises Rejected, OwnTypes, EventTooLarge."""
        while True:
            try:
                answer = await ask(about)
                break
            except (LogError, Interrupted) as error:
                cause = error.cause if isinstance(error, Interrupted) else error
                if isinstance(cause, EventTooLarge):
                    raise cause from error
                self._storing.failed(cause)
                self.problem = f"{self._meaning.words.many} wait, for the log takes nothing: {clean(str(cause))}"
            await asyncio.sleep(_PAUSE)
        if self._storing.reason:
            self._storing.worked()
            self.problem = ""
        return answer

    def _drop(self, name: str, why: str) -> None:
        self._metrics.dropped.labels(self.name).inc()
        self._told_until = self._clock.monotonic() + _TOLD
        self._note(f"{self._meaning.words.one} {name} was dropped: {why}")

    def _count(self, messages: Sequence[M]) -> None:
        assert self.last_at is not None
        for place, count in Counter(map(self._meaning.place_of, messages)).items():
            _, before, _ = self._heard.pop(place, ("", 0, ""))
            self._heard[place] = (self._meaning.type_of(place), before + count, rfc3339(self.last_at))
        while len(self._heard) > _PLACES:
            self._heard.popitem(last=False)
        _, many, where = self._meaning.words
        self.last = [
            Item(type, {where: clean(place, 200), many: count, "last": last}, place)
            for place, (type, count, last) in reversed(self._heard.items())
        ]


def _words(error: Exception) -> str:
    fault = error.faults[0] if isinstance(error, Rejected) and error.faults else None
    return f"{fault.path} {fault.message}".strip() if fault else str(error)
