"""How fast connections may come: one bucket of tokens for all of a transport, and one for each address."""

from __future__ import annotations

import math
from collections.abc import Callable

import structlog

from hxp_enterprise_llm.event.streaming.encode import Transport
from hxp_enterprise_llm.event.streaming.limits import TITLES
from hxp_enterprise_llm.security.networks import network
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics

log = structlog.get_logger("streaming")

MOST_ADDRESSES = 10_000
SPREAD_SECONDS = 5
"""Those who are refused in the same second are asked to come back within so many seconds of each other."""


class Bucket:
    """Fills with `rate` tokens a second, up to those of one second and at least one."""

    __slots__ = ("_at", "_tokens")

    def __init__(self, rate: float, now: float) -> None:
        self._tokens, self._at = max(1.0, rate), now

    def fill(self, rate: float, now: float) -> float:
        """How many tokens there are now."""
        self._tokens = min(max(1.0, rate), self._tokens + (now - self._at) * rate)
        self._at = now
        return self._tokens

    def take(self) -> None:
        self._tokens -= 1


class ConnectionRate:
    """The limits of one transport, in connections a second; 0 is none. Both can be changed at any time."""

    def __init__(
        self,
        transport: Transport,
        metrics: StreamingMetrics,
        *,
        monotonic: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._transport, self._monotonic, self._random = transport, monotonic, random
        self._refused = metrics.refused.labels(transport, "rate")
        self.per_second = self.per_address = 0.0
        self._all = Bucket(0.0, monotonic())
        self._addresses: dict[str, Bucket] = {}

    def has_room(self, address: str) -> bool:
        """Whether `take` would let a connection in now."""
        if not self.per_second and not self.per_address:
            return True
        now = self._monotonic()
        if self.per_second and self._all.fill(self.per_second, now) < 1:
            return False
        return not self.per_address or self._bucket(network(address), now).fill(self.per_address, now) >= 1

    def take(self, address: str) -> None:
        """Count a connection in. Raises Problem 503 when it comes too early."""
        if not self.per_second and not self.per_address:
            return
        now = self._monotonic()
        mine = self._bucket(network(address), now) if self.per_address else None
        if mine is not None and mine.fill(self.per_address, now) < 1:
            raise self._refusal("connection_rate_per_address", self.per_address)
        if self.per_second:
            if self._all.fill(self.per_second, now) < 1:
                raise self._refusal("connection_rate", self.per_second)
            self._all.take()
        if mine is not None:
            mine.take()

    def _bucket(self, address: str, now: float) -> Bucket:
        found = self._addresses.get(address)
        if found is None:
            if len(self._addresses) >= MOST_ADDRESSES:
                self._forget(now)
            found = self._addresses[address] = Bucket(self.per_address, now)
        return found

    def _forget(self, now: float) -> None:
        # A full bucket says nothing that a new one would not say.
        full = max(1.0, self.per_address)
        self._addresses = {
            name: bucket for name, bucket in self._addresses.items() if bucket.fill(self.per_address, now) < full
        }
        while len(self._addresses) >= MOST_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]

    def _refusal(self, key: str, rate: float) -> Problem:
        self._refused.inc()
        log.warning("connection.refused", transport=self._transport, reason="rate", what=key, limit=rate)
        pause = math.ceil(1 / rate) + int(self._random() * SPREAD_SECONDS)
        return Problem(
            503,
            "too_many_at_once",
            f"more than {rate:g} {TITLES[self._transport]} connections a second",
            f"Try again in {pause} seconds, or raise {self._transport}.{key}.",
            headers={"Retry-After": str(pause)},
            limit=rate,
        )
