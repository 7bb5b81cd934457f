"""The sources that are asked now: begun, given another configuration by a reload, ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from hxp_enterprise_llm.config.processing import SourcesConfig
from hxp_enterprise_llm.event.sources.pollers.configured import Sources
from hxp_enterprise_llm.event.sources.pollers.kept import read_settings, write_settings
from hxp_enterprise_llm.event.sources.pollers.model import Settings, Source, State
from hxp_enterprise_llm.event.sources.pollers.poller import Append, Poller
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.tasks import cancel
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.telemetry.health import Part
from hxp_enterprise_llm.telemetry.source_metrics import SourceMetrics

Spawn = Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[Any]]


class Pollers:
    """A task for each source. Another configuration ends all of them and begins anew; the same one changes nothing."""

    def __init__(
        self,
        egress: Egress,
        append: Append,
        kept: Path,
        *,
        clock: Clock,
        metrics: SourceMetrics,
        jitter: Callable[[], float],
        spawn: Spawn,
    ) -> None:
        """`kept`: the file of what is set while they run."""
        self._egress, self._append, self._clock = egress, append, clock
        self._metrics, self._jitter, self._spawn = metrics, jitter, spawn
        self._sources: Sources | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._config: SourcesConfig | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._path, self._writing = kept, asyncio.Lock()
        self._set: dict[str, Settings] = {}
        self.running: dict[str, Poller] = {}
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
        self._tasks = [self._spawn(f"sources.{name}", poller.run()) for name, poller in self.running.items()]

    def _poller(self, source: Source) -> Poller:
        poller = Poller(source, self._append, clock=self._clock, metrics=self._metrics, jitter=self._jitter)
        if found := self._set.get(source.name):
            poller.apply(found)
        return poller

    async def change(self, name: str, settings: Settings) -> None:
        """Go by these from now on and after a restart. Raises KeyError: no such source is asked; OSError: not kept."""
        poller = self.running[name]
        async with self._writing:
            made = self._set | {name: settings}
            await asyncio.to_thread(write_settings, self._path, made)
            self._set = made
        poller.apply(settings)

    def _leave(self, sources: Sources) -> None:
        """Ask no more. What still runs ends before its connections do, beside whoever comes next."""
        for name in self.running:
            self._metrics.end(name)
        closing = asyncio.get_running_loop().create_task(_closed(self._tasks, sources))
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
        return [name for name, poller in self.running.items() if poller.breaker.state == state]


def _asked(config: SourcesConfig) -> tuple[object, ...]:
    return config.analytics_engine, config.prometheus, config.scrape, config.gateway


async def _closed(tasks: list[asyncio.Task[Any]], sources: Sources) -> None:
    for task in tasks:
        await cancel(task)
    await sources.close()
