"""Publications of a channel that the log still has, forwards or backwards."""

from __future__ import annotations

from typing import Any

from hxp_enterprise_llm.event.log.model import Ahead, Bounds, EpochChanged, EventLog, Gone
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.event.streaming.centrifuge.codes import UNRECOVERABLE, Refused
from hxp_enterprise_llm.event.streaming.centrifuge.model import AskHistory
from hxp_enterprise_llm.event.streaming.centrifuge.tags import TagsFilter
from hxp_enterprise_llm.event.streaming.channel import Channel
from hxp_enterprise_llm.event.streaming.encode import Message
from hxp_enterprise_llm.event.streaming.publication import content_of

MOST_OFFSETS = 200_000
"""How much of the log one answer looks through; a client goes on from the last publication it was given."""
FIRST_WINDOW, LARGEST_WINDOW = 512, 16_384


class History:
    """Answers one question. A channel has all that it has now; what the hub has not read yet is not there."""

    def __init__(
        self, event_log: EventLog, channel: Channel, ask: AskHistory, filter: TagsFilter | None = None
    ) -> None:
        self._log, self._channel, self._ask, self._filter = event_log, channel, ask, filter
        self._epoch, self._settled = channel.position.epoch, channel.settled

    async def read(self) -> list[dict[str, Any]]:
        """The publications as they are sent. Raises LogError, and Refused 112 when the log was recreated."""
        return [members_of(message) for message in await self.messages()]

    async def messages(self) -> list[Message]:
        """The publications. Raises LogError, and Refused 112 when the log was recreated."""
        try:
            bounds = await self._log.bounds()
            return await (self._backwards(bounds) if self._ask.reverse else self._forwards(bounds))
        except (EpochChanged, Gone):  # trimmed or recreated while we read
            raise Refused(UNRECOVERABLE) from None
        except Ahead:
            return []

    async def _forwards(self, bounds: Bounds) -> list[Message]:
        since = self._ask.since
        begin = max(since.offset if since is not None else 0, bounds.first - 1)
        messages = await self._stretch(begin, min(self._settled, begin + MOST_OFFSETS), self._ask.limit)
        return messages[: self._ask.limit]

    async def _backwards(self, bounds: Bounds) -> list[Message]:
        since = self._ask.since
        end = self._settled if since is None else min(self._settled, since.offset - 1)
        oldest = max(bounds.first - 1, end - MOST_OFFSETS)
        found: list[Message] = []
        window = FIRST_WINDOW
        while end > oldest and len(found) < self._ask.limit:
            begin = max(oldest, end - window)
            found += reversed(await self._stretch(begin, end))
            end, window = begin, min(2 * window, LARGEST_WINDOW)
        return found[: self._ask.limit]

    async def _stretch(self, after: int, upto: int, limit: int | None = None) -> list[Message]:
        """Messages with after < offset <= upto; with a limit not many more than so many."""
        messages: list[Message] = []
        while after < upto and (limit is None or len(messages) < limit):
            batch = await self._log.read(Offset(after), types=self._channel.scan_types, epoch=self._epoch)
            found = self._channel.select(batch.events, self._epoch, upto)
            messages += [each for each in found if in_history(each, self._filter)]
            if batch.next == after:
                break
            after = batch.next
        return messages


def in_history(message: Message, filter: TagsFilter | None) -> bool:
    """Whether the history of a channel, narrowed by a filter, tells of a message of it."""
    if content_of(message.type, message.raw).skip_history:
        return False
    return filter is None or filter.matches(message.fields())


def members_of(message: Message) -> dict[str, Any]:
    """A publication as it is sent."""
    content = content_of(message.type, message.raw)
    members: dict[str, Any] = {"data": content.data, "offset": message.offset}
    if content.tags:
        members["tags"] = content.tags
    if content.info:
        members["info"] = content.info
    return members
