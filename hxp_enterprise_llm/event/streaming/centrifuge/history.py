"""Publications of a channel that the log still has, forwards or backwards."""

from __future__ import annotations

from typing import Any

from hxp_enterprise_llm.event.log.model import Ahead, Bounds, EpochChanged, EventLog, Gone
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.event.streaming.centrifuge.codes import UNRECOVERABLE, Refused
from hxp_enterprise_llm.event.streaming.centrifuge.model import AskHistory
from hxp_enterprise_llm.event.streaming.channel import Channel
from hxp_enterprise_llm.event.streaming.encode import Message
from hxp_enterprise_llm.event.streaming.publication import content_of

MOST_OFFSETS = 200_000
"""How much of the log one answer looks through; a client goes on from the last publication it was given."""
FIRST_WINDOW, LARGEST_WINDOW = 512, 16_384


class History:
    """Answers one question. A channel has all that it has now; what the hub has not read yet is not there."""

    def __init__(self, event_log: EventLog, channel: Channel, ask: AskHistory) -> None:
        self._log, self._channel, self._ask = event_log, channel, ask
        self._epoch, self._settled = channel.position.epoch, channel.settled

    async def read(self) -> list[dict[str, Any]]:
        """The publications as they are sent. Raises LogError, and Refused 112 when the log was recreated."""
        try:
            bounds = await self._log.bounds()
            return await (self._backwards(bounds) if self._ask.reverse else self._forwards(bounds))
        except (EpochChanged, Gone):  # trimmed or recreated while we read
            raise Refused(UNRECOVERABLE) from None
        except Ahead:
            return []

    async def _forwards(self, bounds: Bounds) -> list[dict[str, Any]]:
        since = self._ask.since
        begin = max(since.offset if since is not None else 0, bounds.first - 1)
        messages = await self._stretch(begin, min(self._settled, begin + MOST_OFFSETS), self._ask.limit)
        return [_members(message) for message in messages[: self._ask.limit]]

    async def _backwards(self, bounds: Bounds) -> list[dict[str, Any]]:
        since = self._ask.since
        end = self._settled if since is None else min(self._settled, since.offset - 1)
        oldest = max(bounds.first - 1, end - MOST_OFFSETS)
        found: list[Message] = []
        window = FIRST_WINDOW
        while end > oldest and len(found) < self._ask.limit:
            begin = max(oldest, end - window)
            found += reversed(await self._stretch(begin, end))
            end, window = begin, min(2 * window, LARGEST_WINDOW)
        return [_members(message) for message in found[: self._ask.limit]]

    async def _stretch(self, after: int, upto: int, limit: int | None = None) -> list[Message]:
        """Messages with after < offset <= upto; with a limit not many more than so many."""
        messages: list[Message] = []
        while after < upto and (limit is None or len(messages) < limit):
            batch = await self._log.read(Offset(after), types=self._channel.scan_types, epoch=self._epoch)
            found = self._channel.select(batch.events, self._epoch, upto)
            messages += [each for each in found if not content_of(each.type, each.raw).skip_history]
            if batch.next == after:
                break
            after = batch.next
        return messages


def _members(message: Message) -> dict[str, Any]:
    content = content_of(message.type, message.raw)
    members: dict[str, Any] = {"data": content.data, "offset": message.offset}
    return members | {"tags": content.tags} if content.tags else members
