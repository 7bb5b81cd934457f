"""Tells channels that want it again and again what still holds: Alertmanager forgets what it hears no more of."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from typing import Protocol, runtime_checkable

import structlog
from sqlalchemy import Connection

from hxp_enterprise_llm.event.notifications.channels.model import Channel, Dead, Retry
from hxp_enterprise_llm.event.notifications.delivery import rows
from hxp_enterprise_llm.event.notifications.delivery.office import Office
from hxp_enterprise_llm.event.notifications.model import Kept

log = structlog.get_logger("notifications")
_IDLE_SECONDS = 60.0


@runtime_checkable
class Resending(Channel, Protocol):
    """What such a channel has beside the rest."""

    @property
    def resend_seconds(self) -> float: ...

    async def resend(self, target: str, kept: list[Kept], timeout: float) -> None:
        """Tell it again. Raises Retry, Dead."""
        ...

    def over(self, kept: Kept) -> bool:
        """Whether there is nothing more to tell."""
        ...


class Resender:
    """One channel's; runs under the lease of the dispatcher."""

    def __init__(self, name: str, office: Office) -> None:
        self._name, self._office = name, office

    async def run(self) -> None:
        """At once, for what another run has left, then for ever."""
        while True:
            channel = self._office.channels.get(self._name)
            wait = _IDLE_SECONDS
            if isinstance(channel, Resending) and channel.readiness.ready:
                wait = channel.resend_seconds
                if self._office.settings.enabled:
                    await self._round(channel, channel.targets)
            await asyncio.sleep(wait)

    async def _round(self, channel: Resending, targets: tuple[str, ...]) -> None:
        kept = await self._office.stored(partial(rows.all_kept, channel=self._name))
        by_target: defaultdict[str, list[Kept]] = defaultdict(list)
        over: list[rows.KeptThread] = []
        for each in kept:
            if each.untold or each.target not in targets or channel.over(each.kept):
                over.append(each)
            else:
                by_target[each.target].append(each.kept)
        await asyncio.gather(*(self._resend(channel, target, found) for target, found in by_target.items()))
        if over:

            def forget(connection: Connection) -> None:
                rows.forget(connection, self._name, over)

            await self._office.stored(forget)

    async def _resend(self, channel: Resending, target: str, kept: list[Kept]) -> None:
        try:
            await channel.resend(target, kept, self._office.settings.timeout)
        except (Retry, Dead) as failure:
            # The next round is the next attempt.
            self._office.metrics.deliveries.failures.labels(self._name, failure.failure).inc()
            log.warning("delivery.resend_failed", channel=self._name, target=target, reason=failure.reason)
