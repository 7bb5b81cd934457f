"""The open connections of one transport, and how many there may be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from hxp_enterprise_llm.event.streaming.encode import Transport
from hxp_enterprise_llm.event.streaming.signal import Signal
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics

RETRY_AFTER_SECONDS = 5
TITLES: dict[Transport, str] = {"websocket": "WebSocket", "sse": "SSE"}

Connection = TypeVar("Connection")


class Census(Protocol):
    """Counts connections over all processes that share a limit."""

    def enter(self, transport: str, limit: int) -> bool:
        """Count one in, unless there are `limit` already."""
        ...

    def leave(self, transport: str) -> None:
        """Count one out."""
        ...


class Places(Generic[Connection]):
    """Who is connected. A connection takes its place before it is accepted and gives it back exactly once."""

    def __init__(
        self, transport: Transport, limit: int, metrics: StreamingMetrics, census: Census | None = None
    ) -> None:
        """`census`: the limit holds for it, not for this process alone."""
        self._census = census
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
        free = self._census.enter(self._transport, self._limit) if self._census else len(self._taken) < self._limit
        if not free:
            self._refuse()
        self._taken[connection] = None
        self._metrics.connected(self._transport, 1)

    def give_back(self, connection: Connection, reason: str) -> None:
        """The connection is over, for a reason of a few fixed words. Idempotent."""
        if connection in self._taken:
            del self._taken[connection]
            if self._census:
                self._census.leave(self._transport)
            self._metrics.connected(self._transport, -1)
            self._metrics.closed.labels(self._transport, reason).inc()
            self.left.fire()

    def _refuse(self) -> None:
        self._metrics.refused.labels(self._transport, "limit").inc()
        raise Problem(
            503,
            "too_many_connections",
            f"all {self._limit} {TITLES[self._transport]} connections are in use",
            f"Try again in {RETRY_AFTER_SECONDS} seconds, or raise {self._transport}.max_connections.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            limit=self._limit,
        )
