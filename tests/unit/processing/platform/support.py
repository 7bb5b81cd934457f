"""A platform of its own, fed with events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hxp_enterprise_llm.config.platform import PlatformConfig, PriceConfig
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.processing.platform.platform import Platform, Views

from ..events import NOW, stored

HOUR, DAY = 3600.0, 86400.0
PRICES = [
    PriceConfig(model="m", input_usd=1.0, output_usd=2.0, cache_read_usd=0.1),
    PriceConfig(model="dear", input_usd=100.0, output_usd=200.0),
]
CONFIG = PlatformConfig(prices=PRICES)
VIEWS = (
    "active_agents",
    "agents",
    "tokens",
    "costs",
    "tier_stats",
    "knowledge",
    "gaps",
    "collaboration",
    "hypotheses",
    "models",
    "recommendations",
    "business",
    "extras",
)


def platform(events: Iterable[Stored] = (), config: PlatformConfig = CONFIG, batch: int = 1000) -> Platform:
    """A platform that has taken events in."""
    made, listed = Platform(config), list(events)
    for start in range(0, len(listed), batch):
        made.take(listed[start : start + batch])
    return made


def views(events: Iterable[Stored] = (), config: PlatformConfig = CONFIG, now: float = NOW) -> Views:
    """What is known after events."""
    return platform(events, config).views(now)


def everything(made: Platform, now: float = NOW) -> dict[str, Any]:
    """Every view."""
    return {name: getattr(made.views(now), name)() for name in VIEWS}


def requests(count: int, at: float = NOW, **data: Any) -> list[Stored]:
    """Requests that are alike."""
    whole = {"model": "m", "input_tokens": 100, "output_tokens": 10} | data
    return [stored(number, "llm.request.completed", at, **whole) for number in range(1, count + 1)]


def events(type: str, data: Sequence[dict[str, Any]], at: float = NOW) -> list[Stored]:
    """Events of one type, a second apart, the last at `at`."""
    return [stored(n + 1, type, at - len(data) + n + 1, **each) for n, each in enumerate(data)]
