"""How often one address may do what is dear: buckets of tokens in a table that cannot grow without bound."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from hxp_enterprise_llm.security.networks import network

MOST_BUCKETS = 100_000
MINUTE = 60.0

Dear = Literal["bad_credentials", "notify"]
"""What is counted: credentials that were refused, and notifications sent by hand."""


class _Bucket:
    __slots__ = ("at", "tokens")

    def __init__(self, tokens: float, at: float) -> None:
        self.tokens, self.at = tokens, at


class Rates:
    """Rates by kind and peer (an IPv4 address, or the /64 of an IPv6 address)."""

    def __init__(self, monotonic: Callable[[], float], most: int = MOST_BUCKETS) -> None:
        self._monotonic, self._most = monotonic, most
        self._buckets: OrderedDict[tuple[Dear, str], _Bucket] = OrderedDict()
        # Who comes when the table is full of others who are being limited shares one bucket a kind.
        self._shared: dict[Dear, _Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, kind: Dear, address: str, per_minute: int) -> int:
        """Count one. Answers 0 when it is within the rate, else the whole seconds to wait; 0 a minute is no bound."""
        if not per_minute:
            return 0
        now = self._monotonic()
        bucket = self._find(kind, network(address), per_minute, now)
        _fill(bucket, per_minute, now)
        if bucket.tokens < 1:
            return max(1, math.ceil((1 - bucket.tokens) * MINUTE / per_minute))
        bucket.tokens -= 1
        return 0

    def _find(self, kind: Dear, peer: str, per_minute: int, now: float) -> _Bucket:
        found = self._buckets.get((kind, peer))
        if found is None:
            if len(self._buckets) >= self._most and not self._forget_oldest(now):
                return self._shared.setdefault(kind, _Bucket(per_minute, now))
            found = self._buckets[kind, peer] = _Bucket(per_minute, now)
        self._buckets.move_to_end((kind, peer))
        return found

    def _forget_oldest(self, now: float) -> bool:
        """Drop the bucket that was not used for longest, if it is full again and so says nothing."""
        oldest = next(iter(self._buckets))
        if now - self._buckets[oldest].at < MINUTE:
            return False
        del self._buckets[oldest]
        return True


def _fill(bucket: _Bucket, per_minute: int, now: float) -> None:
    bucket.tokens = min(per_minute, bucket.tokens + (now - bucket.at) * per_minute / MINUTE)
    bucket.at = now
