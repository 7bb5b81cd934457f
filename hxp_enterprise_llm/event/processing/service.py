"""Event processing (:9100) put together: ways in, the log, analytics, the host's own metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from hxp_enterprise_llm.config.processing import AnalyticsConfig, ProcessingConfig
from hxp_enterprise_llm.config.streaming import ChannelConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.log import SqliteLog
from hxp_enterprise_llm.event.log.model import EventLog
from hxp_enterprise_llm.event.processing import api as analytics_api
from hxp_enterprise_llm.event.processing.engine import AnalyticsEngine
from hxp_enterprise_llm.event.processing.export import api as export_api
from hxp_enterprise_llm.event.processing.export import figures, known, logged
from hxp_enterprise_llm.event.processing.export.model import Table
from hxp_enterprise_llm.event.processing.forecast import api as forecast_api
from hxp_enterprise_llm.event.processing.forecast.forecaster import Forecaster
from hxp_enterprise_llm.event.processing.history import api as history_api
from hxp_enterprise_llm.event.processing.history.history import History
from hxp_enterprise_llm.event.processing.platform import api as platform_api
from hxp_enterprise_llm.event.processing.platform.engine import PlatformEngine
from hxp_enterprise_llm.event.processing.platform.keeping import StateFile
from hxp_enterprise_llm.event.processing.prices.table import shipped
from hxp_enterprise_llm.event.sources import api as ingest_api
from hxp_enterprise_llm.event.sources.genai.ledger import Ledger
from hxp_enterprise_llm.event.sources.host import HostSource
from hxp_enterprise_llm.event.sources.ingest import Ingest
from hxp_enterprise_llm.event.sources.otlp import api as otlp_api
from hxp_enterprise_llm.event.sources.otlp.receiver import Receiver
from hxp_enterprise_llm.event.sources.otlp.traces import Traces
from hxp_enterprise_llm.event.sources.pollers import api as pollers_api
from hxp_enterprise_llm.event.sources.pollers.configured import Sources
from hxp_enterprise_llm.event.sources.pollers.poller import Poller
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.runtime.cleanup import CleanupStack
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.runtime.tasks import cancel
from hxp_enterprise_llm.security.body import BodyBudget
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.telemetry.health import Part, Status
from hxp_enterprise_llm.telemetry.history_metrics import ForecastMetrics, HistoryMetrics
from hxp_enterprise_llm.telemetry.metrics import LogMetrics, ProcessingMetrics
from hxp_enterprise_llm.telemetry.otlp_metrics import OtlpMetrics
from hxp_enterprise_llm.telemetry.platform_metrics import PlatformMetrics
from hxp_enterprise_llm.telemetry.source_metrics import SourceMetrics


class ProcessingService:
    """Owns the event log and everything that feeds or counts it."""

    def __init__(self, config: ProcessingConfig, context: Context) -> None:
        self.config, self._context = config, context
        self._directory = Path(config.state.directory)
        self._metrics = ProcessingMetrics(context.registry)
        self._log = SqliteLog(
            self._directory / "log",
            config=config.log,
            clock=context.clock,
            metrics=LogMetrics(context.registry),
            on_fatal=context.on_fatal,
        )
        self.catalogue = SchemaCatalogue.load(Path(config.ingest.schemas_directory))
        """The schemas of events' data in force."""
        self._ingest = Ingest(
            self._log,
            self.catalogue,
            config.ingest,
            context.clock,
            self._metrics,
            deadline=config.log.append_deadline,
        )
        self._platform = self._make_platform() if config.platform.enabled else None
        extras = [self._platform] if self._platform else []
        self._engine = AnalyticsEngine(
            config.analytics,
            self._log,
            clock=context.clock,
            metrics=self._metrics,
            extras=[*(each.extras for each in extras), lambda: self._forecaster.values()],
            extra_groups=[each.extra_groups for each in extras],
        )
        self._history = self._make_history()
        self._forecaster = Forecaster(
            config.forecast,
            self._history,
            self._log.append,
            clock=context.clock,
            telemetry=ForecastMetrics(context.registry),
        )
        self._source_metrics = SourceMetrics(context.registry)
        self._pollers: dict[str, Poller] = {}
        self._traces = self._make_traces(OtlpMetrics(context.registry))
        self._exports = export_api.Exports(self._tables(), context.clock)
        self._cleanup = CleanupStack()

    def _make_history(self) -> History:
        return History(
            self.config.history,
            self._engine.metrics,
            self._log,
            self._directory / "history" / "history.db",
            clock=self._context.clock,
            telemetry=HistoryMetrics(self._context.registry),
        )

    def _make_platform(self) -> PlatformEngine:
        return PlatformEngine(
            self.config.platform,
            self._log,
            StateFile(self._directory / "platform" / "state"),
            clock=self._context.clock,
            metrics=PlatformMetrics(self._context.registry),
            prices=shipped(),
        )

    def _make_traces(self, metrics: OtlpMetrics) -> Traces:
        otlp, clock = self.config.sources.otlp, self._context.clock
        traces = Traces(
            lambda: Ledger(quiet=seconds(otlp.quiet), max_spans=otlp.max_spans),
            self._ingest,
            self._log,
            mark=self._directory / "otlp.mark",
            clock=clock,
            metrics=metrics,
        )
        self._receiver = Receiver(traces, self._ingest, clock, metrics, self._times)
        return traces

    def _times(self) -> tuple[float, float]:
        return seconds(self.config.ingest.max_age), seconds(self.config.ingest.max_future)

    @property
    def event_log(self) -> EventLog:
        """The log, for services that run in the same process."""
        return self._log

    async def start(self) -> None:
        """Open the log, and begin to count and to read the host.

        Analytics fills its windows from the log meanwhile: with a million events that takes seconds, for which nobody
        who sends events should wait. Until then it says so, and there are no snapshots.
        """
        self._cleanup.push("log", lambda: self._log.close(5.0))
        await self._log.open()
        self._cleanup.push("history", self._history.close)
        spawn = self._context.supervisor.spawn
        tasks = [
            spawn("processing.follow", self._engine.run_follow()),
            spawn("processing.ticks", self._engine.run_ticks()),
            spawn("history", self._history.run()),
            spawn("forecast", self._forecaster.run()),
            spawn("log.scrub", self._log.run_scrub()),
            spawn("sources.otlp", self._traces.run()),
        ]
        if self._platform is not None:
            self._cleanup.push("platform", self._platform.close)
            tasks += [
                spawn("platform.follow", self._platform.run_follow()),
                spawn("platform.ticks", self._platform.run_ticks()),
                spawn("platform.saves", self._platform.run_saves()),
            ]
        if self.config.sources.host.enabled:
            tasks.append(spawn("sources.host", self._host_source().run()))
        tasks += [spawn(f"sources.{poller.source.name}", poller.run()) for poller in self._make_pollers()]
        for task in tasks:
            self._cleanup.push(task.get_name(), partial(cancel, task))

    def _host_source(self) -> HostSource:
        return HostSource(
            self.config.sources.host,
            self._log.append,
            clock=self._context.clock,
            disk_path=self._directory,
            node=self._context.node,
        )

    def _make_pollers(self) -> list[Poller]:
        context, sources = self._context, self.config.sources
        configured = Sources(sources, Egress(deny_private=self.config.security.egress.deny_private), context.clock)
        self._cleanup.push("sources", configured.close)
        pollers = [
            Poller(
                source,
                self._log.append,
                clock=context.clock,
                metrics=self._source_metrics,
                jitter=context.random.random,
            )
            for source in configured.make()
        ]
        self._pollers = {poller.source.name: poller for poller in pollers}
        return pollers

    async def farewell(self, within: float) -> None:
        """Followers of the log end with the log."""

    async def stop(self, within: float) -> None:
        """Stop counting, then close the log."""
        await self._cleanup.run(within)

    def routes(self) -> list[Route]:
        budget = BodyBudget()
        return [
            *ingest_api.routes(self._ingest, self._log, budget),
            *otlp_api.routes(self._receiver, budget, lambda: self._ingest.max_body_bytes),
            *analytics_api.routes(self._engine),
            *self.views(),
        ]

    def _tables(self) -> list[Table]:
        """What can be exported; a room that has a table of its own adds it here."""
        return [
            *figures.tables(self._history, self._context.clock),
            *(known.tables(self._platform) if self._platform is not None else []),
            *logged.tables(self._log),
        ]

    def views(self) -> list[Route]:
        """The routes that a gateway in the same process answers as well."""
        return [
            *history_api.routes(self._history, self._context.clock),
            *forecast_api.routes(self._forecaster),
            *(platform_api.routes(self._platform) if self._platform is not None else []),
            *pollers_api.routes(lambda: self._pollers, self._context.clock),
            *self._exports.routes(),
        ]

    def channels(self) -> Mapping[str, ChannelConfig]:
        return {}

    def bound(self, name: str, port: int) -> None:
        """A listener of ours is up."""

    def extra_ports(self) -> Mapping[str, int]:
        return {}

    async def health(self) -> Mapping[str, Part]:
        health = await self._log.health()
        status: Status = "degraded" if health.status == "read_only" else health.status
        if status == "ok" and health.findings:
            status = "degraded"
        reason = "; ".join(filter(None, (health.reason, *health.findings)))
        facts = {"durable": health.durable, "head": health.head, "first": health.first, "bytes": health.bytes}
        parts = {"log": Part(status, reason, facts), "analytics": self._engine.health()}
        parts["history"] = self._history.health()
        if self._platform is not None:
            parts["platform"] = self._platform.health()
        return parts | ({"sources": self._sources_part()} if self._pollers else {})

    def _sources_part(self) -> Part:
        """A source that is away is somebody else's fault: it is named, and this service is none the worse for it."""
        away = [name for name, poller in self._pollers.items() if poller.breaker.state == "away"]
        return Part("ok", f"away: {', '.join(away)}" if away else "", {"asked": len(self._pollers), "away": away})

    def prepare(self, config: ProcessingConfig, analytics: AnalyticsConfig) -> Callable[[], None]:
        """Compile the new schemas and metrics, then swap them in."""
        catalogue = SchemaCatalogue.load(Path(config.ingest.schemas_directory))
        commits = [self._engine.prepare(config.analytics)]
        if self._platform is not None:
            commits.append(self._platform.prepare(config.platform))
        commits.append(self._history.prepare(config.history, self._engine.compiled(config.analytics)))

        def commit() -> None:
            for each in commits:
                each()
            self._log.reconfigure(config.log)
            self._ingest.configure(config.ingest, catalogue)
            self.config, self.catalogue = config, catalogue

        return commit


if __name__ == "__main__":
    import sys

    from hxp_enterprise_llm.cli.serve import serve_service

    sys.exit(serve_service("processing"))
