"""Following the log: one loop for all who make something of it in memory."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from operator import attrgetter

from hxp_enterprise_llm.event.log.model import Batch, CursorError, EventLog, LogError, ReadsNow, Stored
from hxp_enterprise_llm.event.model import BEGINNING, Offset
from hxp_enterprise_llm.runtime.outage import Outage

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
_STRETCH = 1024
"""Most events that are taken in without a pause: one or two milliseconds."""
_CATCH_UP_READS = 8
"""Most reads that a question waits for, each as long as a stretch. Who is further behind says so by its position."""
_OFFSET = attrgetter("offset")


class Follower:
    """A place in the log. `take` takes in what is new there, once, whoever asks for it."""

    def __init__(
        self,
        event_log: EventLog,
        outage: Outage,
        take: Callable[[Sequence[Stored]], None],
        *,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """`outage` is told when the log cannot be followed, `take` is given events in the order of the log."""
        self._log, self.outage, self._take, self._sleep = event_log, outage, take, sleep
        self._memory = event_log if isinstance(event_log, ReadsNow) else None
        self.epoch = ""
        self.position: Offset = BEGINNING
        """Up to here the log is taken in."""
        self._head: Offset = BEGINNING

    def move(self, epoch: str, position: int, head: int = 0) -> None:
        """Go on elsewhere. `head`: that of the log, as far as it is known."""
        self.epoch, self.position, self._head = epoch, Offset(position), Offset(head)

    @property
    def lag(self) -> int:
        """Distance from the head of the log as far as it is known, in offsets."""
        return lag(self._log, self._head, self.position)

    def take(self, batch: Batch) -> None:
        """Take in what is new: a question may have been ahead of whoever follows."""
        events = batch.events[bisect_right(batch.events, self.position, key=_OFFSET) :]
        self._take(events)
        self.position, self._head = max(self.position, batch.next), max(self._head, batch.head)

    def catch_up(self) -> None:
        """Take in what the log has and whoever follows has not, as far as it is in memory."""
        if self._memory is None:
            return
        # What is wrong with the log is found and said by whoever follows.
        with suppress(LogError):
            for _ in range(_CATCH_UP_READS):
                batch = self._memory.read_nowait(self.position, epoch=self.epoch)
                if batch is None or batch.next == self.position:
                    return
                self.take(batch)

    async def run(
        self,
        begin: Callable[[], Awaitable[None]],
        taken: Callable[[Batch], Awaitable[None]],
        lost: Callable[[CursorError], Awaitable[None]],
    ) -> None:
        """Take in what comes, for ever.

        `begin` finds the place to follow from, each time; `taken` is told of each batch that was taken in, `lost` that
        the log does not serve the place. A log that is away is asked again.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                await begin()
                async for batch in self._log.follow(self.position, epoch=self.epoch):
                    self.outage.worked()
                    pause = FIRST_PAUSE
                    for stretch in _stretches(batch):
                        # Whoever delivers to people was woken by the same commit, and goes first.
                        await asyncio.sleep(0)
                        self.take(stretch)
                    await taken(batch)
            except CursorError as error:
                await lost(error)
            except LogError as error:
                self.outage.failed(error)
                await self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)


def lag(event_log: EventLog, head: int, position: int) -> int:
    """How far behind a position is. `head`: that of the last read, which a log that knows better has outrun."""
    known = event_log.head_nowait() if isinstance(event_log, ReadsNow) else head
    return max(0, max(head, known) - position)


def _stretches(batch: Batch) -> Iterator[Batch]:
    """The batch in parts between which the loop may turn; each is as good a place for a snapshot as a whole batch."""
    events = batch.events
    for end in range(_STRETCH, len(events), _STRETCH):
        yield Batch(events[end - _STRETCH : end], events[end - 1].offset, batch.head)
    yield batch._replace(events=events[max(0, len(events) - 1) // _STRETCH * _STRETCH :])
