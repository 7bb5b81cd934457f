"""One look at a gateway: its channels, connections, log, alerts and host, put together from its status pages."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import msgspec

from hxp_enterprise_llm.client.answers import Refused
from hxp_enterprise_llm.client.asking import ask


class ChannelView(msgspec.Struct, frozen=True):
    """A channel now. `lag` is that of its slowest subscriber, in offsets."""

    subscribers: int
    behind: int
    lag: int
    messages: int
    messages_per_second: float


class Alert(msgspec.Struct, frozen=True):
    """A rule that fires or is about to."""

    name: str
    state: str
    priority: str = ""
    since: str | None = None


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `hxp top` shows; `cpu_percent` is None while the host is not measured."""

    status: str
    reason: str
    epoch: str
    offset: int
    head: int
    messages_per_second: float
    connections: dict[str, int]
    max_connections: dict[str, int]
    channels: dict[str, ChannelView]
    alerts: tuple[Alert, ...]
    cpu_percent: float | None


class _Streams(msgspec.Struct):
    status: str
    reason: str
    epoch: str
    offset: int
    behind_head: int
    messages_per_second: float
    connections: dict[str, int]
    max_connections: dict[str, int]
    channels: dict[str, ChannelView]


class _Notifications(msgspec.Struct):
    rules: list[Alert]


class _Event(msgspec.Struct):
    type: str
    data: Any = None


class _Latest(msgspec.Struct):
    events: list[_Event]


async def look(session: aiohttp.ClientSession, base_url: str) -> View:
    """The state of the gateway at `base_url`. Raises Unreachable, Refused, BadAnswer."""
    base = base_url.rstrip("/")
    streams, notifications, cpu = await asyncio.gather(
        ask(session, f"{base}/streams/status", _Streams),
        ask(session, f"{base}/notifications/status", _Notifications),
        _cpu(session, base),
    )
    return View(
        status=streams.status,
        reason=streams.reason,
        epoch=streams.epoch,
        offset=streams.offset,
        head=streams.offset + streams.behind_head,
        messages_per_second=streams.messages_per_second,
        connections=streams.connections,
        max_connections=streams.max_connections,
        channels=streams.channels,
        alerts=tuple(rule for rule in notifications.rules if rule.state != "ok"),
        cpu_percent=cpu,
    )


async def _cpu(session: aiohttp.ClientSession, base: str) -> float | None:
    """The newest figure of the host, out of the stream that carries it."""
    try:
        latest = await ask(session, f"{base}/streams/high_frequency/system_metrics?last=20", _Latest)
    except Refused:
        return None  # the operator has switched the stream off
    for event in reversed(latest.events):
        if event.type == "host.cpu" and isinstance(event.data, dict):
            percent = event.data.get("percent")
            return float(percent) if isinstance(percent, int | float) else None
    return None
