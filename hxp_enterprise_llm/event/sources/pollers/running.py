"""The sources that are asked or listened to now: begun, given another configuration by a reload, ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from hxp_enterprise_llm.config.processing import SourcesConfig
from hxp_enterprise_llm.config.sources import NatsConfig
from hxp_enterprise_llm.event.sources.nats.connection import Connection
from hxp_enterprise_llm.event.sources.nats.events import Meaning
from hxp_enterprise_llm.event.sources.nats.server import NatsServer, SecretReader
from hxp_enterprise_llm.event.sources.pollers.configured import Sources
from hxp_enterprise_llm.event.sources.pollers.kept import read_settings, write_settings
from hxp_enterprise_llm.event.sources.pollers.listener import NAME as NATS
from hxp_enterprise_llm.event.sources.pollers.listener import Listener, Take
from hxp_enterprise_llm.event.sources.pollers.model import Settings, Source, State
from hxp_enterprise_llm.event.sources.pollers.poller import Append, Poller
from hxp_enterprise_llm.event.sources.pollers.tended import Tended
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.tasks import cancel
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.telemetry.health import Part
from hxp_enterprise_llm.telemetry.source_metrics import SourceMetrics

Spawn = Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[Any]]


class Listening(NamedTuple):
    """What messages need on their way into the log."""

    take: Take
    read_secret: SecretReader
    max_message_bytes: int


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
        self.running = {source.name: self._poller(source) for source in self._sources.make()}
        if config.nats.endpoint:
            self.running[NATS] = self._listener(config.nats)
        for name, source in self.running.items():
            if found := self._set.get(name):
                source.apply(found)
        self._tasks = [self._spawn(f"sources.{name}", source.run()) for name, source in self.running.items()]

    def _poller(self, source: Source) -> Poller:
        return Poller(source, self._append, clock=self._clock, metrics=self._metrics, jitter=self._jitter)

    def _listener(self, config: NatsConfig) -> Listener:
        read, limit = self._listening.read_secret, self._listening.max_message_bytes
        server = NatsServer(config, self._egress, read, limit)
        return Listener(
            partial(_connected, server, tuple(self._closing)),
            Meaning(config.subjects, self._clock.new_id),
            self._listening.take,
            config.failures,
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
    return config.analytics_engine, config.prometheus, config.scrape, config.gateway, config.nats, config.activity


async def _connected(server: NatsServer, former: tuple[asyncio.Task[None], ...]) -> Connection:
    """Connected once the former connections have been left: a message on two of them would be two events."""
    await asyncio.gather(*former)
    return await server.connect()


async def _closed(running: list[Tended], tasks: list[asyncio.Task[Any]], sources: Sources) -> None:
    for each in running:
        await each.leave()
    for task in tasks:
        await cancel(task)
    await sources.close()
