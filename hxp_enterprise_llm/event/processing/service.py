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
from hxp_enterprise_llm.event.sources import api as ingest_api
from hxp_enterprise_llm.event.sources.genai.ledger import Ledger
from hxp_enterprise_llm.event.sources.host import HostSource
from hxp_enterprise_llm.event.sources.ingest import Ingest
from hxp_enterprise_llm.event.sources.otlp import api as otlp_api
from hxp_enterprise_llm.event.sources.otlp.receiver import Receiver
from hxp_enterprise_llm.event.sources.otlp.traces import Traces
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.runtime.cleanup import CleanupStack
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.runtime.tasks import cancel
from hxp_enterprise_llm.security.body import BodyBudget
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.telemetry.health import Part, Status
from hxp_enterprise_llm.telemetry.metrics import LogMetrics, ProcessingMetrics
from hxp_enterprise_llm.telemetry.otlp_metrics import OtlpMetrics


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
        self._engine = AnalyticsEngine(config.analytics, self._log, clock=context.clock, metrics=self._metrics)
        self._traces = self._make_traces(OtlpMetrics(context.registry))
        self._cleanup = CleanupStack()

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
        spawn = self._context.supervisor.spawn
        tasks = [
            spawn("processing.follow", self._engine.run_follow()),
            spawn("processing.ticks", self._engine.run_ticks()),
            spawn("log.scrub", self._log.run_scrub()),
            spawn("sources.otlp", self._traces.run()),
        ]
        if self.config.sources.host.enabled:
            tasks.append(spawn("sources.host", self._host_source().run()))
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
        return {"log": Part(status, reason, facts), "analytics": self._engine.health()}

    def prepare(self, config: ProcessingConfig, analytics: AnalyticsConfig) -> Callable[[], None]:
        """Compile the new schemas and metrics, then swap them in."""
        catalogue = SchemaCatalogue.load(Path(config.ingest.schemas_directory))
        commit_engine = self._engine.prepare(config.analytics)

        def commit() -> None:
            commit_engine()
            self._log.reconfigure(config.log)
            self._ingest.configure(config.ingest, catalogue)
            self.config, self.catalogue = config, catalogue

        return commit


if __name__ == "__main__":
    import sys

    from hxp_enterprise_llm.cli.serve import serve_service

    sys.exit(serve_service("processing"))
