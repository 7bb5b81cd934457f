"""The sources that a configuration names, each over the connections of its host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import aiohttp

from hxp_enterprise_llm.config.processing import SourcesConfig
from hxp_enterprise_llm.config.sources import AnalyticsEngineConfig
from hxp_enterprise_llm.event.sources.pollers import activity, engine, gateway, samples
from hxp_enterprise_llm.event.sources.pollers.model import Ask, Fallback, Item, Source
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.security.fetch import Fetch

NAMES = ("engine_system", "engine_memory", "engine_graph", "prometheus", "scrape", "gateway", "activity")
"""All that there can be."""


class Sources:
    """Makes sources and keeps the sessions that they use."""

    def __init__(self, config: SourcesConfig, egress: Egress, clock: Clock) -> None:
        self._config, self._egress, self._clock = config, egress, clock
        self._sessions: list[aiohttp.ClientSession] = []

    def make(self) -> list[Source]:
        """The sources that have an endpoint. Needs a running event loop."""
        return [*self._engine(), *self._prometheus(), *self._scrape(), *self._gateway(), *self._activity()]

    async def close(self) -> None:
        """Close their connections."""
        for session in self._sessions:
            await session.close()

    def _fetch(self, endpoint: str, timeout: float, limit: int, *, keep: int = 1) -> Fetch:
        session = self._egress.session(timeout, keep=keep)
        self._sessions.append(session)
        return Fetch(session, endpoint, timeout=timeout, limit=limit)

    def _engine(self) -> Iterator[Source]:
        config = self._config.analytics_engine
        if config.endpoint:
            fetch = self._fetch(config.endpoint, config.timeout, engine.MAX_ANSWER_BYTES, keep=config.connections)
            for part in ("system", "memory", "graph"):
                view = engine.EngineView(fetch, getattr(config, f"{part}_path"), f"engine.{part}", config.fields)
                yield self._engine_source(f"engine_{part}", config, view.ask)

    @staticmethod
    def _engine_source(name: str, config: AnalyticsEngineConfig, ask: Ask) -> Source:
        return Source(name, config.endpoint, config.interval, config.failures, ask, engine.stale)

    def _prometheus(self) -> Iterator[Source]:
        config = self._config.prometheus
        if config.endpoint:
            fetch = self._fetch(config.endpoint, config.timeout, samples.MAX_ANSWER_BYTES)
            queries = {query.name: query.query for query in config.queries}
            ask = samples.Queries(fetch, queries, config.max_series).ask
            yield Source("prometheus", config.endpoint, config.interval, config.failures, ask, _nothing)

    def _scrape(self) -> Iterator[Source]:
        config = self._config.scrape
        if config.endpoint:
            base, path = _page(config.endpoint)
            fetch = self._fetch(base, config.timeout, samples.MAX_ANSWER_BYTES)
            ask = samples.Page(fetch, path, config.families, config.max_series).ask
            yield Source("scrape", config.endpoint, config.interval, config.failures, ask, _nothing)

    def _gateway(self) -> Iterator[Source]:
        config = self._config.gateway
        if config.endpoint:
            fetch = self._fetch(config.endpoint, config.timeout, gateway.MAX_ANSWER_BYTES)
            ask = gateway.GatewayHealth(fetch, config.path, self._clock).ask
            fallback: Fallback = gateway.down
            yield Source("gateway", config.endpoint, config.interval, config.failures, ask, fallback)

    def _activity(self) -> Iterator[Source]:
        config = self._config.activity
        if config.directories:
            ask = activity.Activity(config.directories, config.max_files).ask
            yield Source("activity", config.directories[0].path, config.interval, config.failures, ask, _nothing)


def _nothing(_items: Sequence[Item], _since: str) -> Sequence[Item]:
    """Old values of metrics are no values: a series that ends says it better. What was done is over."""
    return ()


def _page(endpoint: str) -> tuple[str, str]:
    """Address and path of a page of metrics; `/metrics` when the address has none."""
    parts = urlsplit(endpoint)
    return parts._replace(path="", query="", fragment="").geturl(), parts.path if parts.path not in (
        "",
        "/",
    ) else "/metrics"
