"""The sources that are asked or listened to now: begun, given another configuration by a reload, ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from hxp_enterprise_llm.config.processing import SourcesConfig
from hxp_enterprise_llm.event.sources.heard import Connection, M, Meaning, SecretReader
from hxp_enterprise_llm.event.sources.nats.events import Meaning as NatsMeaning
from hxp_enterprise_llm.event.sources.nats.server import NatsServer
from hxp_enterprise_llm.event.sources.pollers.configured import Sources
from hxp_enterprise_llm.event.sources.pollers.kept import read_settings, write_settings
from hxp_enterprise_llm.event.sources.pollers.listener import Find, Listener
from hxp_enterprise_llm.event.sources.pollers.model import Settings, Source, State
from hxp_enterprise_llm.event.sources.pollers.poller import Append, Poller
from hxp_enterprise_llm.event.sources.pollers.tended import Tended
from hxp_enterprise_llm.event.sources.redis.events import Meaning as RedisMeaning
from hxp_enterprise_llm.event.sources.redis.server import RedisServer
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.tasks import cancel
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.telemetry.health import Part
from hxp_enterprise_llm.telemetry.source_metrics import SourceMetrics

Spawn = Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[Any]]


class Listening(NamedTuple):
    """What messages need on their way into the log."""

    take: Callable[[str, list[dict[str, Any]]], Awaitable[object]]
    """`Take` of a source by name."""
    find: Find
    read_secret: SecretReader
    max_message_bytes: int
    node: str
    """What this host is called."""


class Pollers:
    """A task for each source. Another configuration ends all of them and begins anew; the same one changes nothing."""

    def __init__(
        self,
        egress: Egress,
        append: Append,
        listening: Listening,
        kept: Path,
        *,
        clock: Clock,
        metrics: SourceMetrics,
        jitter: Callable[[], float],
        spawn: Spawn,
    ) -> None:
        """`append`: for what is asked, `listening`: for what is heard; `kept`: the file of what is set meanwhile."""
        self._egress, self._append, self._listening, self._clock = egress, append, listening, clock
        self._metrics, self._jitter, self._spawn = metrics, jitter, spawn
        self._sources: Sources | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._config: SourcesConfig | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._path, self._writing = kept, asyncio.Lock()
        self._set: dict[str, Settings] = {}
        self.running: dict[str, Tended] = {}
        """By name, those that run now."""

    def configure(self, config: SourcesConfig) -> None:
        """Ask these sources from now on. Needs a running event loop."""
        if self._config is not None and _asked(config) == _asked(self._config):
            return
        if self._sources is not None:
            self._leave(self._sources)
        self._config = config
        self._set = read_settings(self._path)
        self._sources = Sources(config, self._egress, self._clock)
        pollers = (self._poller(source) for source in self._sources.make())
        self.running = {source.name: source for source in (*pollers, *self._listeners(config))}
        for name, source in self.running.items():
            if found := self._set.get(name):
                source.apply(found)
        self._tasks = [self._spawn(f"sources.{name}", source.run()) for name, source in self.running.items()]

    def _poller(self, source: Source) -> Poller:
        return Poller(source, self._append, clock=self._clock, metrics=self._metrics, jitter=self._jitter)

    def _listeners(self, config: SourcesConfig) -> Iterator[Tended]:
        listening, nats, redis = self._listening, config.nats, config.redis
        read, limit = listening.read_secret, listening.max_message_bytes
        if nats.endpoint:
            connect = NatsServer(nats, self._egress, read, limit).connect
            yield self._listener("nats", connect, NatsMeaning(nats.subjects, self._clock.new_id), nats.failures)
        if redis.endpoint:
            server = RedisServer(redis, self._egress, read, limit, listening.node, self._clock)
            yield self._listener("redis", server.connect, RedisMeaning(redis.streams, self._clock), redis.failures)

    def _listener(
        self, name: str, connect: Callable[[], Awaitable[Connection[M]]], meaning: Meaning[M], failures: int
    ) -> Listener[M]:
        return Listener(
            name,
            partial(_connected, connect, tuple(self._closing)),
            meaning,
            partial(self._listening.take, name),
            self._listening.find,
            failures,
            clock=self._clock,
            metrics=self._metrics,
            jitter=self._jitter,
        )

    async def change(self, name: str, settings: Settings) -> None:
        """Go by these from now on and after a restart. Raises KeyError: no such source is asked; OSError: not kept."""
        source = self.running[name]
        async with self._writing:
            made = self._set | {name: settings}
            await asyncio.to_thread(write_settings, self._path, made)
            self._set = made
        source.apply(settings)

    def _leave(self, sources: Sources) -> None:
        """Ask no more. What still runs ends before its connections do, beside whoever comes next."""
        for name in self.running:
            self._metrics.end(name)
        closing = asyncio.get_running_loop().create_task(_closed(list(self.running.values()), self._tasks, sources))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self._sources, self._tasks, self.running = None, [], {}

    async def close(self) -> None:
        """Ask no more, and wait until all has ended."""
        if self._sources is not None:
            self._leave(self._sources)
        await asyncio.gather(*self._closing)

    def health(self) -> Part:
        """A source that is away is somebody else's fault: it is named, and this service is none the worse for it."""
        away, off = self._in("away"), self._in("off")
        words = [f"{state}: {', '.join(names)}" for state, names in (("away", away), ("off", off)) if names]
        return Part("ok", "; ".join(words), {"asked": len(self.running) - len(off), "away": away, "off": off})

    def _in(self, state: State) -> list[str]:
        return [name for name, source in self.running.items() if source.breaker.state == state]


def _asked(config: SourcesConfig) -> tuple[object, ...]:
    asked = config.analytics_engine, config.prometheus, config.scrape, config.gateway, config.activity
    return *asked, config.nats, config.redis


async def _connected(
    connect: Callable[[], Awaitable[Connection[M]]], former: Sequence[asyncio.Task[None]]
) -> Connection[M]:
    """Connected once the former connections have been left: a message on two of them would be two events."""
    await asyncio.gather(*former)
    return await connect()


async def _closed(running: list[Tended], tasks: list[asyncio.Task[Any]], sources: Sources) -> None:
    for each in running:
        await each.leave()
    for task in tasks:
        await cancel(task)
    await sources.close()
