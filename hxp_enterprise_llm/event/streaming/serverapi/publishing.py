"""Publications on their way into the log: what is asked for together is stored together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog

from hxp_enterprise_llm.config.streaming import ChannelConfig
from hxp_enterprise_llm.event.log.model import EventLog, LogError
from hxp_enterprise_llm.event.model import Encoded, rfc3339
from hxp_enterprise_llm.event.streaming.centrifuge.codes import (
    INTERNAL,
    LIMIT_EXCEEDED,
    NOT_AVAILABLE,
    UNKNOWN_CHANNEL,
    Error,
)
from hxp_enterprise_llm.event.streaming.publication import Publication, encode_publication
from hxp_enterprise_llm.event.streaming.serverapi.commands import Broadcast, Publish
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.model import Principal
from hxp_enterprise_llm.telemetry.text import clean

log = structlog.get_logger("streaming")

Entry = Encoded | Error
"""A publication that can be stored, or why it cannot."""


def source_of(principal: Principal) -> str:
    """The source of what somebody publishes; ids are told apart within it."""
    return f"/api/{principal.id}" if principal.id else "/api"


class Publisher:
    """Turns commands into events and stores them."""

    def __init__(self, event_log: EventLog, clock: Clock) -> None:
        self._log, self._clock = event_log, clock

    def entries(
        self, command: Publish | Broadcast, channels: Mapping[str, ChannelConfig], principal: Principal
    ) -> list[Entry]:
        """One for each channel of the command. Nothing is stored yet."""
        names = command.channels if isinstance(command, Broadcast) else [command.channel]
        return [self._entry(command, name, channels, source_of(principal)) for name in names]

    def _entry(
        self, command: Publish | Broadcast, name: str, channels: Mapping[str, ChannelConfig], source: str
    ) -> Entry:
        channel = channels.get(name)
        if channel is None:
            return UNKNOWN_CHANNEL._replace(message=f"unknown channel: {clean(name, 60)!r}; GET /streams lists all")
        if not channel.publications:
            return NOT_AVAILABLE._replace(message=f"not available: channels.{name}.publications is off")
        publication = Publication(
            channel=name, data=command.data, tags=command.tags or None, skip_history=command.skip_history
        )
        # The key counts for one channel, so that a broadcast with one key reaches all of its channels.
        id = f"{name}:{command.idempotency_key}" if command.idempotency_key else self._clock.new_id()
        event = encode_publication(publication, source=source, id=id, time=rfc3339(self._clock.time()))
        limit = self._log.limits.max_event_bytes
        if len(event.raw) > limit:
            text = f"limit exceeded: the event has {len(event.raw):,} bytes, at most {limit:,} are taken"
            return LIMIT_EXCEEDED._replace(message=text)
        return event

    async def store(self, entries: Sequence[Entry], epoch: str) -> list[dict[str, Any]]:
        """`{"result": …}` or `{"error": …}` for each, once all that could be stored are, durably and in this order."""
        answers = iter(await self._append([entry for entry in entries if isinstance(entry, Encoded)], epoch))
        return [next(answers) if isinstance(entry, Encoded) else failed(entry) for entry in entries]

    async def _append(self, events: Sequence[Encoded], epoch: str) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = []
        try:
            for record in _records(events, *self._log.limits[:2]):
                stored = await self._log.append(record)
                answers += [{"result": {"offset": offset, "epoch": epoch}} for offset, _ in stored]
        except LogError as error:
            log.warning("publication.failed", events=len(events) - len(answers), error=str(error))
            answer = failed(INTERNAL._replace(message=f"internal server error: {error}"))
            answers += [answer] * (len(events) - len(answers))
        return answers


def failed(error: Error) -> dict[str, Any]:
    """The answer to a command that cannot be done."""
    return {"error": {"code": error.code, "message": error.message}}


def _records(events: Sequence[Encoded], most: int, max_bytes: int) -> Iterator[Sequence[Encoded]]:
    """The events in order, cut to what one append may carry."""
    start = size = 0
    for at, event in enumerate(events):
        if at - start == most or (at > start and size + len(event.raw) > max_bytes):
            yield events[start:at]
            start, size = at, 0
        size += len(event.raw)
    if start < len(events):
        yield events[start:]
