"""The newest publication of a channel whose ring has none: looked up once for all who come back in the same moment."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from hxp_enterprise_llm.event.log.model import EventLog
from hxp_enterprise_llm.event.streaming.centrifuge.history import History
from hxp_enterprise_llm.event.streaming.centrifuge.model import AskHistory
from hxp_enterprise_llm.event.streaming.centrifuge.tags import TagsFilter
from hxp_enterprise_llm.event.streaming.channel import Channel
from hxp_enterprise_llm.event.streaming.encode import Message

MOST_KEPT = 1000

Key = tuple[str, TagsFilter | None]


class Found(NamedTuple):
    """What a look through the log found, and how far the channel was then."""

    epoch: str
    upto: int
    message: Message | None


class Newest:
    """One look at a time. What was found holds as long as the ring has everything since."""

    def __init__(self, event_log: EventLog) -> None:
        self._log = event_log
        self._found: dict[Key, Found] = {}
        self._turn = asyncio.Lock()

    async def find(self, channel: Channel, filter: TagsFilter | None) -> Message | None:
        """The newest publication in the log; None: there is none in reach. The ring may have a newer one by now.

        Raises LogError, and Refused 112 when the log was recreated meanwhile.
        """
        key = (channel.name, filter)
        async with self._turn:
            found = self._found.get(key)
            if found is None or found.epoch != channel.position.epoch or found.upto < channel.ring.floor:
                found = await self._look(channel, filter)
                if len(self._found) >= MOST_KEPT:
                    self._found.clear()
                self._found[key] = found
            return found.message

    async def _look(self, channel: Channel, filter: TagsFilter | None) -> Found:
        epoch, upto = channel.position.epoch, channel.settled
        ask = AskHistory(channel.name, 1, None, reverse=True)
        messages = await History(self._log, channel, ask, filter).messages()
        return Found(epoch, upto, messages[0] if messages else None)
