"""The gateway: hub, connections, heartbeat and limits put together, and the way in of every client."""

from __future__ import annotations

import asyncio
import random as randomness
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import structlog
from aiohttp import web

from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.log.model import EventLog, LogError
from hxp_enterprise_llm.event.streaming.admission import ConnectionRate
from hxp_enterprise_llm.event.streaming.channel import Channel
from hxp_enterprise_llm.event.streaming.compress import wanted
from hxp_enterprise_llm.event.streaming.cursor import (
    EARLIEST_CURSOR,
    PAGE,
    Cursor,
    Wish,
    lean_wish,
    parse_wish,
    suggestion,
)
from hxp_enterprise_llm.event.streaming.encode import Transport
from hxp_enterprise_llm.event.streaming.heartbeat import Heartbeat, Wheel
from hxp_enterprise_llm.event.streaming.hub import Hub
from hxp_enterprise_llm.event.streaming.leaving import GOODBYE_SECONDS, STEP_SECONDS, drain_time, slices
from hxp_enterprise_llm.event.streaming.limits import PAGES, TITLES, Census, Places, Quota
from hxp_enterprise_llm.event.streaming.link import Link, adopt, detach, refuse_body
from hxp_enterprise_llm.event.streaming.sse import SseLink, offered_coding, open_stream, stream_headers
from hxp_enterprise_llm.event.streaming.tuning import options, ranks, tune
from hxp_enterprise_llm.event.streaming.websocket import WebSocketLink, offered_deflate, switching, upgrade_key
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.gate import address_of
from hxp_enterprise_llm.security.model import Asked, OpenStream, StepAside
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.telemetry.debugging import debugging
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics

log = structlog.get_logger("streaming")

READY_SECONDS = 5.0
FAREWELL_SECONDS = 5.0
DASHBOARD_CHANNEL = "dashboard_updates"
SWITCHED, STREAMING = 101, 200

Answer = TypeVar("Answer")


class Opening(NamedTuple):
    """A stream that is asked for, as a configuration has it: how its link and the head of the answer are made."""

    config: StreamingConfig
    enabled: bool
    channel: str
    link: Callable[[], Link]
    head: Callable[[str, str], bytes]
    """At a position, to the key of a WebSocket."""


class Gateway:
    """Gives the log to WebSocket and SSE clients. Must be made inside a running loop."""

    def __init__(
        self,
        config: StreamingConfig,
        event_log: EventLog,
        *,
        clock: Clock,
        metrics: StreamingMetrics,
        spawn: Callable[..., asyncio.Task[Any]],
        random: randomness.Random,
        census: Census | None = None,
    ) -> None:
        self.config, self._log, self._clock, self._metrics = config, event_log, clock, metrics
        self._spawn, self._random = spawn, random
        self.hub = Hub(
            event_log,
            config.all_channels(),
            clock=clock,
            metrics=metrics,
            spawn=spawn,
            options=options(config),
            ranks=ranks(config),
        )
        pages = config.live_dashboard.max_connections
        self._pages = Quota(PAGES, pages, "live_dashboard.max_connections", census)
        self.places: dict[Transport, Places[Link]] = {
            "websocket": Places("websocket", config.websocket.max_connections, metrics, census, self._quota_of),
            "sse": Places("sse", config.sse.max_connections, metrics, census, self._quota_of),
        }
        self.rates: dict[Transport, ConnectionRate] = {
            transport: ConnectionRate(transport, metrics, monotonic=clock.monotonic, random=random.random)
            for transport in self.places
        }
        self._set_rates()
        metrics.channels.source = self.hub.figures
        now = asyncio.get_running_loop().time()
        self._wheels: dict[Transport, Wheel] = {
            "websocket": Wheel(config.websocket.heartbeat_interval, now),
            "sse": Wheel(config.sse.keep_alive_interval, now),
        }
        self._heartbeat = Heartbeat(*self._wheels.values())
        self._task: asyncio.Task[Any] | None = None
        self._leaving = False

    # Life

    async def start(self, within: float = READY_SECONDS) -> None:
        """Begin to follow the log, and wait so many seconds at most until clients can be served.

        A log that cannot be reached yet is no error: clients are answered 503 until it is.
        """
        self._task = self._spawn("streaming.hub", self.hub.run())
        self._heartbeat.start()
        config = self.config
        log.info("gateway.opened", websocket=config.websocket.max_connections, sse=config.sse.max_connections)
        try:
            async with asyncio.timeout(within):
                while not self.hub.ready:
                    await self.hub.position.moved.wait()
        except TimeoutError:
            log.warning("gateway.waiting", problem=self.hub.problem)

    async def stop(self, within: float = FAREWELL_SECONDS) -> None:
        """Take leave of all clients, then follow no more. Idempotent."""
        await self.farewell(within)
        self._heartbeat.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def farewell(self, within: float) -> None:
        """Let nobody in, and ask all clients, spread over the drain time, to connect again.

        Who has not left two seconds after the last was asked, or after `within` seconds, is cut off.
        """
        self._leaving = True
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        try:
            async with asyncio.timeout_at(end) as bound:
                await self._send_all_away(drain_time(self.config.service.drain_seconds, within))
                bound.reschedule(min(end, loop.time() + GOODBYE_SECONDS))
                for places in self.places.values():
                    while len(places):
                        await places.left.wait()
        except TimeoutError:
            for link in self._links():
                link.abort("shutdown")

    async def _send_all_away(self, seconds: float) -> None:
        for number, links in enumerate(slices(self._links(), seconds, self._random)):
            if number:
                await asyncio.sleep(STEP_SECONDS)
            # What waits is written before the goodbye; who stays still gets what comes.
            self.hub.drain()
            for count, link in enumerate(links, 1):
                link.farewell("the server restarts", self._retry_ms())
                if not count % self.hub.options.slice:
                    await asyncio.sleep(0)

    def _links(self) -> list[Link]:
        return [link for places in self.places.values() for link in places]

    def _retry_ms(self) -> int:
        """One to two times the usual pause, so that the clients of a restart do not come back all at once."""
        return int(self.config.sse.retry_timeout * (1 + self._random.random()))

    def prepare(self, config: StreamingConfig) -> Callable[[], None]:
        """Check a new configuration. Raises ValueError. The answer puts into force what needs no restart."""
        swap_channels = self.hub.prepare(config.all_channels())

        def swap() -> None:
            self.config = config
            self.places["websocket"].limit = config.websocket.max_connections
            self.places["sse"].limit = config.sse.max_connections
            self._pages.limit = config.live_dashboard.max_connections
            self._set_rates()
            self._wheels["websocket"].interval = config.websocket.heartbeat_interval
            self._wheels["sse"].interval = config.sse.keep_alive_interval
            tune(self.hub.options, config.performance_optimization)
            self._send_away(swap_channels())

        return swap

    def _send_away(self, stale: set[Channel]) -> None:
        for link in self._links():
            link.drop(stale)
            if link.subscription is not None and link.subscription.channel in stale:
                link.farewell("the channel was changed", self._retry_ms())

    def _set_rates(self) -> None:
        for rate, config in (
            (self.rates["websocket"], self.config.websocket),
            (self.rates["sse"], self.config.sse),
        ):
            # The kernel spreads new connections evenly over the processes of the port.
            share = self.config.service.workers
            rate.per_second = config.connection_rate / share
            rate.per_address = config.connection_rate_per_address / share

    # Clients

    async def open_websocket(self, request: web.Request) -> web.StreamResponse:
        """`WS /ws/{channel}`. Raises Problem."""
        self.require_enabled(self.config.websocket.enabled, "websocket")
        return await self._open(request, self._websocket(request, request.match_info["channel"]), SWITCHED)

    async def open_sse(self, request: web.Request, stream: str) -> web.StreamResponse:
        """`GET /sse/{stream}`. Raises Problem."""
        self.require_enabled(self.config.sse.enabled, "sse")
        if request.method == "HEAD":
            self.require_channel(stream)
            return web.Response(headers=stream_headers(request, self._position(self.hub.position.offset)))
        return await self._open(request, self._sse(request, stream), STREAMING)

    def take_websocket(self, asked: Asked) -> OpenStream:
        """The same before aiohttp, for all with this head. Raises StepAside or Problem."""
        upgrade_key(asked)
        return self._taking(asked, self._websocket, asked.match_info["channel"])

    def take_sse(self, asked: Asked) -> OpenStream:
        """The same before aiohttp, for all with this head. Raises StepAside or Problem."""
        return self._taking(asked, self._sse, asked.match_info["stream"])

    def _taking(self, asked: Asked, read: Callable[[Asked, str], Opening], channel: str) -> OpenStream:
        wish, opening = lean_wish(asked), read(asked, channel)

        def take(transport: asyncio.Transport, key: str) -> None:
            nonlocal opening
            if opening.config is not self.config:
                opening = read(asked, channel)
            self._take(asked, opening, wish, transport, key)

        return take

    def _websocket(self, asked: Asked, channel: str) -> Opening:
        self.require_channel(channel)
        config = self.config
        deflate, extensions = offered_deflate(asked) if wanted(config, "websocket", channel) else (None, "")
        most, places = config.websocket.message_size_limit, self.places["websocket"]
        link = partial(WebSocketLink, places, self._left, self._high_water, most, deflate)
        return Opening(
            config, config.websocket.enabled, channel, link, lambda position, key: switching(key, position, extensions)
        )

    def _sse(self, asked: Asked, stream: str) -> Opening:
        self.require_channel(stream)
        config, page = self.config, PAGE in asked.query
        coding = offered_coding(asked) if wanted(config, "sse", stream) else None
        link = partial(SseLink, self.places["sse"], self._left, self._high_water, coding, page=page)
        retry = config.sse.retry_timeout
        return Opening(
            config, config.sse.enabled, stream, link, lambda position, key: open_stream(asked, position, retry, coding)
        )

    def _quota_of(self, link: Link) -> Quota | None:
        return self._pages if link.page else None

    @property
    def watched(self) -> bool:
        """Whether somebody looks at dashboards: a page is open in any process, or a client of this one follows them."""
        channel = self.hub.channels.get(DASHBOARD_CHANNEL)
        return self._pages.count > 0 or (channel is not None and bool(channel.subscribers))

    async def _open(self, request: web.Request, opening: Opening, status: int) -> web.StreamResponse:
        link = opening.link()
        self.rates[link.transport].take(address_of(request))
        wish = parse_wish(request.query, request.headers)
        self._require_ready(link.transport)
        after = await self._earliest() if wish.after == EARLIEST_CURSOR else wish.after
        refuse_body(request)

        def admit(position: str) -> web.StreamResponse:
            head = opening.head(position, upgrade_key(request) if status == SWITCHED else "")
            self.places[link.transport].take(link)
            return detach(request, link, status, head)

        return self._seat(request, opening.channel, link, wish, after, admit)

    def _take(self, asked: Asked, opening: Opening, wish: Wish, transport: asyncio.Transport, key: str) -> None:
        link, address = opening.link(), asked.remote or ""
        places, rate = self.places[link.transport], self.rates[link.transport]
        # What would be refused, or would have to wait, is for `_open`.
        free = opening.enabled and self.hub.ready and not self._leaving and not transport.is_closing()
        if not free or not rate.has_room(address):
            raise StepAside

        def admit(position: str) -> None:
            if not places.try_take(link):
                raise StepAside
            rate.take(address)
            adopt(transport, link, opening.head(position, key))

        self._seat(asked, opening.channel, link, wish, wish.after, admit)

    def _seat(
        self,
        asked: Asked,
        name: str,
        link: Link,
        wish: Wish,
        after: Cursor | None,
        admit: Callable[[str], Answer],
    ) -> Answer:
        """Nothing waits here: the place, the transport and the subscription are taken in one step."""
        channel = self.hub.channel(name, wish.types, wish.filter)
        try:
            cursor = self._cursor(channel, wish, after)
            answer = admit(self._position(cursor.offset, cursor.epoch))
        except BaseException:
            self.places[link.transport].give_back(link, "refused")
            self.hub.release(channel)
            raise
        link.place = self._wheels[link.transport].add(link, self._random.random())
        came_back = wish.after is not None and wish.after.epoch != ""
        link.subscription = self.hub.subscribe(channel, link, cursor.offset, cursor.epoch, recovering=came_back)
        if debugging():
            log.debug("connection.opened", transport=link.transport, channel=name, peer=asked.remote)
        return answer

    def _cursor(self, channel: Channel, wish: Wish, after: Cursor | None) -> Cursor:
        epoch = self.hub.position.epoch
        if after is not None:
            return Cursor(after.offset, after.epoch or epoch)
        now = channel.position.offset
        return Cursor(channel.ring.before_last(wish.last, now) if wish.last else now, epoch)

    async def _earliest(self) -> Cursor:
        try:
            bounds = await self._log.bounds()
        except LogError as error:
            raise unavailable(str(error)) from error
        return Cursor(bounds.first - 1, bounds.epoch)

    def _position(self, offset: int, epoch: str = "") -> str:
        return f"{epoch or self.hub.position.epoch}.{offset}"

    def _left(self, link: Link) -> None:
        self._wheels[link.transport].remove(link, link.place)
        if link.subscription is not None:
            channel = link.subscription.channel
            self.hub.release(channel)
            if debugging():
                log.debug("connection.closed", transport=link.transport, channel=channel.name, reason=link.reason)

    @property
    def _high_water(self) -> int:
        return self.config.performance_optimization.buffer_size

    # Refusals

    def require_enabled(self, enabled: bool, transport: Transport) -> None:
        """Raises Problem 404 when a transport is switched off."""
        if not enabled:
            self._metrics.refused.labels(transport, "disabled").inc()
            raise Problem(
                404,
                "disabled",
                f"{TITLES[transport]} is switched off on this server",
                f"Set {transport}.enabled to true, or use the other transport.",
            )

    def require_channel(self, name: str) -> None:
        """Raises Problem 404 with the nearest name and all names when there is no such channel."""
        if name not in self.hub.channels:
            names = sorted(self.hub.channels)
            hint = suggestion(name, names) or "GET /streams lists all channels."
            raise Problem(404, "unknown_channel", f"there is no channel {name!r}", hint, channels=names)

    def require_open(self, request: web.Request, transport: Transport) -> None:
        """Raises Problem 503 while nobody is let in: too many at once, stopping, or no log yet."""
        self.rates[transport].take(address_of(request))
        self._require_ready(transport)

    def _require_ready(self, transport: Transport) -> None:
        if self._leaving:
            self._metrics.refused.labels(transport, "stopping").inc()
            raise Problem(503, "stopping", "the server is stopping", "Try again.", headers={"Retry-After": "5"})
        if not self.hub.ready:
            self._metrics.refused.labels(transport, "log_unavailable").inc()
            raise unavailable(self.hub.problem)


def unavailable(reason: str) -> Problem:
    """503: the log cannot be read now."""
    return Problem(
        503, "log_unavailable", f"the event log cannot be read: {reason}", "Try again.", headers={"Retry-After": "1"}
    )
