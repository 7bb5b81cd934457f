"""Event processing (:9100) put together: the log, the ways into it, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.processing import AnalyticsConfig, ProcessingConfig
from hxp_enterprise_llm.config.streaming import ChannelConfig
from hxp_enterprise_llm.event.log import SqliteLog
from hxp_enterprise_llm.event.log.model import EventLog
from hxp_enterprise_llm.event.processing.apart import Elsewhere, FollowersApart
from hxp_enterprise_llm.event.processing.part import Followers
from hxp_enterprise_llm.event.sources import inside
from hxp_enterprise_llm.event.sources.part import WaysIn
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.runtime.cleanup import CleanupStack
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.runtime.tasks import cancel
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.telemetry.health import Part, Status
from hxp_enterprise_llm.telemetry.metrics import LogMetrics, ProcessingMetrics


class ProcessingService:
    """Owns the event log and everything that feeds or counts it."""

    def __init__(self, config: ProcessingConfig, context: Context, elsewhere: Elsewhere | None = None) -> None:
        """`elsewhere` is the process that follows the log; None: this one does."""
        self.config, self._context = config, context
        self._log = SqliteLog(
            Path(config.state.directory) / "log",
            config=config.log,
            clock=context.clock,
            metrics=LogMetrics(context.registry),
            on_fatal=context.on_fatal,
        )
        self._metrics = ProcessingMetrics(context.registry)
        self._ways_in = WaysIn(config, context, self._log, self._metrics)
        self._followers = self._make_followers(elsewhere)
        self._cleanup = CleanupStack()

    def _make_followers(self, elsewhere: Elsewhere | None) -> Followers | FollowersApart:
        if elsewhere is None:
            return Followers(self.config, self._context, self._log, self._metrics)
        # What they would measure is measured where they run.
        unseen = replace(self._context, registry=CollectorRegistry())
        return FollowersApart(Followers(self.config, unseen, self._log, ProcessingMetrics(unseen.registry)), elsewhere)

    def lag_is(self, lag: Callable[[], float]) -> None:
        """What this process says of the lag of followers elsewhere; on the joined page the larger word holds."""
        self._metrics.lag.set_function(lag)

    @property
    def event_log(self) -> EventLog:
        """The log, for services that run in the same process."""
        return self._log

    @property
    def head(self) -> int:
        """Offset of the last event."""
        return self._log.bounds_nowait().head

    @property
    def catalogue(self) -> SchemaCatalogue:
        """The schemas of events' data in force."""
        return self._ways_in.catalogue

    async def start(self) -> None:
        """Open the log, and begin to count and to take in."""
        self._cleanup.push("log", lambda: self._log.close(5.0))
        await self._log.open()
        scrub = self._context.supervisor.spawn("log.scrub", self._log.run_scrub())
        self._cleanup.push("log.scrub", partial(cancel, scrub))
        self._followers.start(self._cleanup)
        self._ways_in.start(self._cleanup)

    async def farewell(self, within: float) -> None:
        """Followers of the log end with the log."""

    async def stop(self, within: float) -> None:
        """Stop taking in and counting, then close the log."""
        await self._cleanup.run(within)

    def routes(self) -> list[Route]:
        return [*self._ways_in.routes(), *self._followers.routes(), *self.views()]

    def inner_log_routes(self) -> list[Route]:
        """The log for a process of ours that follows it."""
        bounds = [route for route in self._ways_in.routes() if route.path == "/events/bounds"]
        return [*bounds, *inside.routes(self._log)]

    def views(self) -> list[Route]:
        """The routes that a gateway in the same process answers as well."""
        return [*self._followers.views(), *self._ways_in.views()]

    def channels(self) -> Mapping[str, ChannelConfig]:
        return {}

    def bound(self, name: str, port: int) -> None:
        """A listener of ours is up."""

    def extra_ports(self) -> Mapping[str, int]:
        return {}

    async def health(self) -> Mapping[str, Part]:
        return {"log": await self._log_part(), **await self._followers.health(), **self._ways_in.health()}

    async def _log_part(self) -> Part:
        health = await self._log.health()
        status: Status = "degraded" if health.status == "read_only" else health.status
        if status == "ok" and health.findings:
            status = "degraded"
        reason = "; ".join(filter(None, (health.reason, *health.findings)))
        facts = {"durable": health.durable, "head": health.head, "first": health.first, "bytes": health.bytes}
        return Part(status, reason, facts)

    def prepare(self, config: ProcessingConfig, analytics: AnalyticsConfig) -> Callable[[], None]:
        """Compile the new schemas and metrics, then swap them in."""
        commits = [self._ways_in.prepare(config), self._followers.prepare(config)]

        def commit() -> None:
            for each in commits:
                each()
            self._log.reconfigure(config.log)
            self.config = config

        return commit


if __name__ == "__main__":
    import sys

    from hxp_enterprise_llm.cli.serve import serve_service

    sys.exit(serve_service("processing"))
