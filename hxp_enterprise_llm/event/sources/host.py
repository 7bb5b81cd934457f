"""The host as a source of events: CPU, memory, disk and network, each interval as one batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import structlog

from hxp_enterprise_llm.config.processing import HostSourceConfig
from hxp_enterprise_llm.event.log.model import LogError
from hxp_enterprise_llm.event.model import Encoded, Event, encode, rfc3339
from hxp_enterprise_llm.event.sources.host_figures import Figures, Reading, figures, read_host
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.outage import Outage

log = structlog.get_logger("host")

Append = Callable[[list[Encoded]], Awaitable[Any]]

_FIRST_SPAN = 0.2
"""Seconds between the first two readings: rates need two, and nobody wants to wait long for the first event."""


class HostSource:
    """Reads the host each interval. It is a live source: what cannot be appended is dropped and counted."""

    def __init__(
        self,
        config: HostSourceConfig,
        append: Append,
        *,
        clock: Clock,
        disk_path: Path,
        node: str,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        read: Callable[[Path, float], Reading] = read_host,
    ) -> None:
        """`node` names the machine; `disk_path` lies on the disk to be watched."""
        self._interval, self._append, self._clock = config.interval, append, clock
        self._disk_path, self._node = disk_path, node
        self._sleep, self._read = sleep, read
        self._appending = Outage(log, "host.append")
        self._reading = Outage(log, "host.reading")
        self.dropped = 0
        """Events that could not be appended."""

    async def run(self) -> None:
        """Publish for ever: the first time after 0.2 s, then each interval on the monotonic clock."""
        before = await self._look()
        due = self._clock.monotonic() + min(_FIRST_SPAN, self._interval)
        while True:
            await self._until(due)
            now = await self._look()
            if before and now:
                await self._publish(figures(before, now, self._disk_path))
            before = now or before
            # Readings that a slow disk or log has made us miss are left out.
            due = max(due + self._interval, self._clock.monotonic())

    async def _until(self, due: float) -> None:
        while (left := due - self._clock.monotonic()) > 0:
            await self._sleep(left)

    async def _look(self) -> Reading | None:
        try:
            reading = await asyncio.to_thread(self._read, self._disk_path, self._clock.monotonic())
        except (OSError, psutil.Error) as error:
            self._reading.failed(error)
            return None
        self._reading.worked()
        return reading

    async def _publish(self, found: dict[str, Figures]) -> None:
        batch = [self._event(type, data) for type, data in found.items()]
        try:
            await self._append(batch)
        except LogError as error:
            self._appending.failed(error)
            self.dropped += len(batch)
        else:
            self._appending.worked()

    def _event(self, type: str, data: Figures) -> Encoded:
        return encode(
            Event(
                id=self._clock.new_id(),
                source=f"/host/{self._node}",
                type=type,
                time=rfc3339(self._clock.time()),
                subject=self._node,
                data=data,
            )
        )
