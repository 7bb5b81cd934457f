"""HTTP routes of the gateway: the streams themselves, their list and their state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from hxp_enterprise_llm.event.streaming import described
from hxp_enterprise_llm.event.streaming.channel import Channel
from hxp_enterprise_llm.event.streaming.cursor import parse_count, suggestion
from hxp_enterprise_llm.event.streaming.encode import Message
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.problems import Problem, json_response
from hxp_enterprise_llm.telemetry.channels import ChannelFigures

if TYPE_CHECKING:
    from hxp_enterprise_llm.event.streaming.gateway import Gateway

DEFAULT_LAST = 10


def routes(gateway: Gateway, clock: Clock) -> list[Route]:
    """All routes of the streaming room."""
    api = StreamingApi(gateway, clock)
    return [
        Route(
            "GET",
            "/ws/{channel}",
            gateway.open_websocket,
            "read",
            "A channel by WebSocket",
            upgrade="websocket",
            lean=gateway.take_websocket,
            described=described.WEBSOCKET,
        ),
        Route(
            "GET",
            "/sse/{stream}",
            api.sse,
            "read",
            "A channel by server-sent events",
            upgrade="sse",
            lean=gateway.take_sse,
            described=described.SSE,
        ),
        Route("GET", "/streams", api.streams, "read", "All streams and channels", described=described.STREAMS),
        Route("GET", "/streams/status", api.status, "read", "State of each channel", described=described.STATUS),
        Route(
            "GET",
            "/streams/high_frequency/{name}",
            api.high_frequency,
            "read",
            "The latest events of a high-frequency stream; with Accept: text/event-stream the stream itself",
            described=described.HIGH_FREQUENCY,
        ),
        Route(
            "GET",
            "/websocket/status",
            api.websocket_status,
            "read",
            "State of the WebSocket service",
            described=described.WEBSOCKET_STATUS,
        ),
    ]


class StreamingApi:
    """The handlers that answer and end; and SSE."""

    def __init__(self, gateway: Gateway, clock: Clock) -> None:
        self._gateway, self._clock = gateway, clock
        self._looks: dict[str, tuple[float, int]] = {}
        """High-frequency stream → when it was last looked at, and the offset up to which it went then."""

    async def sse(self, request: web.Request) -> web.StreamResponse:
        """The stream of a channel."""
        return await self._gateway.open_sse(request, request.match_info["stream"])

    async def streams(self, request: web.Request) -> web.StreamResponse:
        """Names by transport, and what each channel carries."""
        config, hub = self._gateway.config, self._gateway.hub
        described = {name: hub.describe(name) for name in hub.channels}
        return json_response(
            {
                "streams": config.websocket.channels,
                "sse": config.sse.streams,
                "high_frequency": config.high_frequency_streams.streams,
                "channels": {
                    name: {"types": channel.types, "description": channel.description}
                    for name, channel in described.items()
                },
            }
        )

    async def status(self, request: web.Request) -> web.StreamResponse:
        """How far the gateway has read, and each channel with those that narrow it."""
        hub = self._gateway.hub
        figures = hub.figures()
        return json_response(
            {
                "status": "degraded" if hub.problem else "ok",
                "reason": hub.problem,
                "epoch": hub.position.epoch,
                "offset": hub.position.offset,
                "behind_head": hub.lag,
                "filtered_channels": figures.filters,
                "most_filtered_channels": figures.most_filters,
                "connections": {transport: len(places) for transport, places in self._gateway.places.items()},
                "max_connections": {transport: places.limit for transport, places in self._gateway.places.items()},
                "messages_per_second": round(sum(each.rate.per_second() for each in hub.channels.values()), 3),
                "channels": {each.name: self._channel(each) for each in figures.channels},
            }
        )

    def _channel(self, figures: ChannelFigures) -> dict[str, Any]:
        channel = self._gateway.hub.channels[figures.name]
        return {
            "subscribers": figures.subscribers,
            "behind": figures.behind,
            "lag": figures.lag,
            "ring_events": len(channel.ring),
            "ring_bytes": channel.ring.bytes,
            "settled": channel.settled,
            "messages": channel.rate.count,
            "messages_per_second": round(channel.rate.per_second(), 3),
        }

    async def high_frequency(self, request: web.Request) -> web.StreamResponse:
        """The latest events of a stream, or the stream."""
        config, name = self._gateway.config.high_frequency_streams, request.match_info["name"]
        self._require_fast(name)
        if "text/event-stream" in request.headers.get("Accept", ""):
            return await self._gateway.open_sse(request, name)
        count = parse_count(request.query.get("last", str(DEFAULT_LAST)), "last", config.buffer_size)
        latest = self._latest(self._gateway.hub.channels[name], count, config.update_rate)
        events = [msgspec.Raw(message.payload()) for message in latest]
        return json_response({"stream": name, "update_rate": config.update_rate, "events": events})

    def _latest(self, channel: Channel, count: int, update_rate: float) -> list[Message]:
        """Up to the same place for all who ask within `update_rate`, unless memory does not reach back to it."""
        now = self._clock.monotonic()
        at, offset = self._looks.get(channel.name, (-math.inf, 0))
        if now - at < update_rate and (kept := channel.ring.last(count, offset)):
            return kept
        self._looks[channel.name] = now, channel.position.offset
        return channel.ring.last(count, channel.position.offset)

    def _require_fast(self, name: str) -> None:
        config = self._gateway.config.high_frequency_streams
        if not config.enabled:
            raise Problem(
                404,
                "disabled",
                "high-frequency streams are switched off on this server",
                "Set high_frequency_streams.enabled to true.",
            )
        if name not in config.streams:
            hint = suggestion(name, config.streams) or "GET /streams lists them under high_frequency."
            raise Problem(
                404, "unknown_stream", f"there is no high-frequency stream {name!r}", hint, streams=config.streams
            )
        self._gateway.require_channel(name)

    async def websocket_status(self, request: web.Request) -> web.StreamResponse:
        """The WebSocket service as an operator asks for it."""
        config, places = self._gateway.config.websocket, self._gateway.places["websocket"]
        channels: dict[str, int] = {}
        behind = lag = 0
        hub = self._gateway.hub
        for link in places:
            for subscription in link.subscriptions:
                name = subscription.channel.name
                channels[name] = channels.get(name, 0) + 1
                if subscription.behind:
                    behind += 1
                    lag = max(lag, hub.position.offset - subscription.cursor)
        return json_response(
            {
                "enabled": config.enabled,
                "connections": len(places),
                "max_connections": places.limit,
                "behind": behind,
                "lag": lag,
                "messages_per_second": round(
                    sum(channel.rate.per_second() for name, channel in hub.channels.items() if name in channels), 3
                ),
                "heartbeat_interval": config.heartbeat_interval,
                "message_size_limit": config.message_size_limit,
                "channels": channels,
            }
        )
