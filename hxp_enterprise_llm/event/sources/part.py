"""The ways in, put together: events over HTTP, OTLP, the host's own figures, sources that are asked or
listened to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.secrets import Secret, read_secret
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.log.model import EventLog
from hxp_enterprise_llm.event.sources import api as ingest_api
from hxp_enterprise_llm.event.sources.genai.ledger import Ledger
from hxp_enterprise_llm.event.sources.host import HostSource
from hxp_enterprise_llm.event.sources.ingest import Ingest
from hxp_enterprise_llm.event.sources.otlp import api as otlp_api
from hxp_enterprise_llm.event.sources.otlp.receiver import Receiver
from hxp_enterprise_llm.event.sources.otlp.traces import Traces
from hxp_enterprise_llm.event.sources.pollers import api as pollers_api
from hxp_enterprise_llm.event.sources.pollers.running import Listening, Pollers
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.event.sources.tail import found_in
from hxp_enterprise_llm.runtime.cleanup import CleanupStack
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.runtime.tasks import cancel
from hxp_enterprise_llm.security.body import BodyBudget
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.telemetry.health import Part
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics
from hxp_enterprise_llm.telemetry.otlp_metrics import OtlpMetrics
from hxp_enterprise_llm.telemetry.source_metrics import SourceMetrics


class WaysIn:
    """All that puts events into the log; `start` pushes the ends of what it starts onto the stack it is given."""

    def __init__(
        self, config: ProcessingConfig, context: Context, event_log: EventLog, metrics: ProcessingMetrics
    ) -> None:
        self._config, self._context, self._log = config, context, event_log
        self._directory = Path(config.state.directory)
        self.catalogue = SchemaCatalogue.load(Path(config.ingest.schemas_directory))
        """The schemas of events' data in force."""
        self._ingest = Ingest(
            event_log, self.catalogue, config.ingest, context.clock, metrics, deadline=config.log.append_deadline
        )
        otlp = OtlpMetrics(context.registry)
        self._traces = self._make_traces(otlp)
        self._receiver = Receiver(self._traces, self._ingest, context.clock, otlp, self._times)
        self._pollers = self._make_pollers()

    def _make_traces(self, metrics: OtlpMetrics) -> Traces:
        otlp = self._config.sources.otlp
        return Traces(
            lambda: Ledger(quiet=seconds(otlp.quiet), max_spans=otlp.max_spans),
            self._ingest,
            self._log,
            mark=self._directory / "otlp.mark",
            clock=self._context.clock,
            metrics=metrics,
        )

    def _times(self) -> tuple[float, float]:
        return seconds(self._config.ingest.max_age), seconds(self._config.ingest.max_future)

    def _make_pollers(self) -> Pollers:
        context = self._context
        return Pollers(
            Egress(deny_private=self._config.security.egress.deny_private),
            self._log.append,
            Listening(
                self._take_messages,
                partial(found_in, self._log),
                self._read_secret,
                self._config.log.limits.max_event_bytes,
                context.node,
            ),
            self._directory / "sources.json",
            clock=context.clock,
            metrics=SourceMetrics(context.registry),
            jitter=context.random.random,
            spawn=context.supervisor.spawn,
        )

    async def _take_messages(self, name: str, events: list[dict[str, Any]]) -> object:
        return await self._ingest.accept(events, source=f"/sources/{name}", partial=True, way=name)

    def _read_secret(self, file: str, credential: str) -> Secret | None:
        secret = read_secret(file, credential, self._context.environ)
        if secret is not None:
            self._context.hide(secret.reveal())
        return secret

    def start(self, cleanup: CleanupStack) -> None:
        """Begin to read the host, to ask and listen, and to decide on spans."""
        spawn = self._context.supervisor.spawn
        tasks = [spawn("sources.otlp", self._traces.run())]
        if self._config.sources.host.enabled:
            tasks.append(spawn("sources.host", self._host().run()))
        for task in tasks:
            cleanup.push(task.get_name(), partial(cancel, task))
        self._pollers.configure(self._config.sources)
        cleanup.push("sources", self._pollers.close)

    def _host(self) -> HostSource:
        context = self._context
        return HostSource(
            self._config.sources.host,
            self._log.append,
            clock=context.clock,
            disk_path=self._directory,
            node=context.node,
        )

    def routes(self) -> list[Route]:
        """Ways in over HTTP."""
        budget = BodyBudget()
        return [
            *ingest_api.routes(self._ingest, self._log, budget),
            *otlp_api.routes(self._receiver, budget, lambda: self._ingest.max_body_bytes),
        ]

    def views(self) -> list[Route]:
        """The routes that a gateway answers as well."""
        return pollers_api.routes(self._pollers, self._context.clock)

    def health(self) -> Mapping[str, Part]:
        """How the sources are that are asked, when there are any."""
        return {"sources": self._pollers.health()} if self._pollers.running else {}

    def prepare(self, config: ProcessingConfig) -> Callable[[], None]:
        """Read the new schemas; the answer swaps them in and asks the sources that are named now."""
        catalogue = SchemaCatalogue.load(Path(config.ingest.schemas_directory))

        def commit() -> None:
            self._ingest.configure(config.ingest, catalogue)
            self._pollers.configure(config.sources)
            self._config, self.catalogue = config, catalogue

        return commit
