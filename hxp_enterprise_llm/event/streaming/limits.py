"""The open connections of one transport, and how many there may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

import structlog

from hxp_enterprise_llm.event.streaming.encode import Transport
from hxp_enterprise_llm.event.streaming.signal import Signal
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics

log = structlog.get_logger("streaming")

RETRY_AFTER_SECONDS = 5
TITLES: dict[Transport, str] = {"websocket": "WebSocket", "sse": "SSE"}
PAGES = "dashboard"
"""The kind of connections that dashboard pages have."""

Connection = TypeVar("Connection")


class Census(Protocol):
    """Counts connections over all processes that share a limit."""

    def enter(self, transport: str, limit: int) -> bool:
        """Count one in, unless there are `limit` already."""
        ...

    def leave(self, transport: str) -> None:
        """Count one out."""
        ...

    def total(self, transport: str) -> int:
        """Connections of all processes."""
        ...


class Quota:
    """A limit within the limit of a transport, for connections of one kind."""

    def __init__(self, kind: str, limit: int, setting: str, census: Census | None = None) -> None:
        """`setting` is what raises it; `census`: the limit holds for it, not for this process alone."""
        self.kind, self.limit, self.setting, self._census = kind, limit, setting, census
        self._taken = 0

    def enter(self) -> bool:
        """Count one in, unless there are as many as there may be."""
        free = self._census.enter(self.kind, self.limit) if self._census else self._taken < self.limit
        self._taken += free
        return free

    @property
    def count(self) -> int:
        """How many there are, in all processes that share the limit."""
        return self._census.total(self.kind) if self._census else self._taken

    @property
    def full(self) -> bool:
        """Whether the next one is refused."""
        if not self.enter():
            return True
        self.leave()
        return False

    def leave(self) -> None:
        """Count one out."""
        self._taken -= 1
        if self._census:
            self._census.leave(self.kind)


class Places(Generic[Connection]):
    """Who is connected. A connection takes its place before it is accepted and gives it back exactly once."""

    def __init__(
        self,
        transport: Transport,
        limit: int,
        metrics: StreamingMetrics,
        census: Census | None = None,
        quota_of: Callable[[Connection], Quota | None] = lambda connection: None,
    ) -> None:
        """`census`: the limit holds for it, not for this process alone. `quota_of`: in which it counts besides."""
        self._census, self._quota_of = census, quota_of
        self._transport, self._metrics = transport, metrics
        self._taken: dict[Connection, None] = {}
        self.left = Signal()
        self.limit = limit

    @property
    def limit(self) -> int:
        """Most connections at a time. Lowering it closes none."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self._metrics.limit.labels(self._transport).set(limit)

    def __len__(self) -> int:
        return len(self._taken)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._taken))

    def take(self, connection: Connection) -> None:
        """Let a connection in. Raises Problem 503 when all places are taken."""
        if not self.try_take(connection):
            self._refuse(self._quota_of(connection))

    def try_take(self, connection: Connection) -> bool:
        """Let a connection in, if there is a place. A refusal is not counted."""
        quota = self._quota_of(connection)
        if quota is not None and not quota.enter():
            return False
        free = self._census.enter(self._transport, self._limit) if self._census else len(self._taken) < self._limit
        if not free and quota is not None:
            quota.leave()
        if free:
            self._taken[connection] = None
            self._metrics.connected(self._transport, 1)
            if quota is not None:
                self._metrics.looked(1)
        return free

    def give_back(self, connection: Connection, reason: str) -> None:
        """The connection is over, for a reason of a few fixed words. Idempotent."""
        if connection in self._taken:
            del self._taken[connection]
            if self._census:
                self._census.leave(self._transport)
            if (quota := self._quota_of(connection)) is not None:
                quota.leave()
                self._metrics.looked(-1)
            self._metrics.connected(self._transport, -1)
            self._metrics.closed.labels(self._transport, reason).inc()
            self.left.fire()

    def _refuse(self, quota: Quota | None) -> None:
        full = quota is not None and quota.full
        limit, what, setting = self._limit, TITLES[self._transport], f"{self._transport}.max_connections"
        if quota is not None and full:
            limit, what, setting = quota.limit, quota.kind, quota.setting
        self._metrics.refused.labels(self._transport, "quota" if full else "limit").inc()
        log.warning("connection.refused", transport=self._transport, reason="limit", what=what, limit=limit)
        raise Problem(
            503,
            "too_many_connections",
            f"all {limit} {what} connections are in use",
            f"Try again in {RETRY_AFTER_SECONDS} seconds, or raise {setting}.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            limit=limit,
        )
