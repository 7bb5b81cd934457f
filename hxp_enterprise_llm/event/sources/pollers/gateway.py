"""Whether the platform's API gateway is well."""

from __future__ import annotations

from collections.abc import Sequence

from hxp_enterprise_llm.event.sources.pollers.model import Item, Reading
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.fetch import Fetch

METRIC = "api_gateway_up"
MAX_ANSWER_BYTES = 64 * 1024


class GatewayHealth:
    """Asks the gateway's health path; what it says beyond 2xx is not looked at."""

    def __init__(self, fetch: Fetch, path: str, clock: Clock) -> None:
        self._fetch, self._path, self._clock = fetch, path, clock

    async def ask(self) -> Reading:
        """Ask once. Raises PollError."""
        began = self._clock.monotonic()
        await self._fetch.get(self._path, accept="*/*")
        latency_ms = round(1000 * (self._clock.monotonic() - began), 3)
        return Reading([_item(1.0, latency_ms=latency_ms)])


def down(_items: Sequence[Item], _since: str) -> Sequence[Item]:
    """What is said while it is away."""
    return [_item(0.0)]


def _item(value: float, **more: float) -> Item:
    return Item("poll.metric", {"metric": METRIC, "value": value, "poller": "gateway", **more}, METRIC)
