"""What is made of the log, put together: analytics, the platform, the history, the forecast, exports of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.event.log.model import EventLog
from hxp_enterprise_llm.event.processing import api as analytics_api
from hxp_enterprise_llm.event.processing.engine import AnalyticsEngine
from hxp_enterprise_llm.event.processing.export import figures, known, logged
from hxp_enterprise_llm.event.processing.export.api import Exports
from hxp_enterprise_llm.event.processing.export.model import Table
from hxp_enterprise_llm.event.processing.forecast import api as forecast_api
from hxp_enterprise_llm.event.processing.forecast.forecaster import Forecaster
from hxp_enterprise_llm.event.processing.history import api as history_api
from hxp_enterprise_llm.event.processing.history.history import YIELD, YIELD_APART, History
from hxp_enterprise_llm.event.processing.platform import api as platform_api
from hxp_enterprise_llm.event.processing.platform.engine import PlatformEngine
from hxp_enterprise_llm.event.processing.platform.keeping import StateFile
from hxp_enterprise_llm.event.processing.prices.table import shipped
from hxp_enterprise_llm.event.processing.stored import AnalyticsFile
from hxp_enterprise_llm.runtime.cleanup import CleanupStack
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.runtime.tasks import cancel
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.telemetry.health import Part
from hxp_enterprise_llm.telemetry.history_metrics import ForecastMetrics, HistoryMetrics
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics
from hxp_enterprise_llm.telemetry.platform_metrics import PlatformMetrics


class Followers:
    """All that follows the log; `start` pushes the ends of what it starts onto the stack it is given."""

    def __init__(
        self,
        config: ProcessingConfig,
        context: Context,
        event_log: EventLog,
        metrics: ProcessingMetrics,
        *,
        apart: bool = False,
    ) -> None:
        """`apart`: no events are taken in by this process."""
        self._apart = apart
        self._config, self._context, self._log = config, context, event_log
        self._directory = Path(config.state.directory)
        self._platform = self._make_platform() if config.platform.enabled else None
        self._engine = self._make_engine(metrics)
        self._history = self._make_history()
        self._forecaster = self._make_forecaster()
        self._exports = Exports(self._tables(), context.clock)

    def _make_platform(self) -> PlatformEngine:
        return PlatformEngine(
            self._config.platform,
            self._log,
            StateFile(self._directory / "platform" / "state"),
            clock=self._context.clock,
            metrics=PlatformMetrics(self._context.registry),
            prices=shipped(),
        )

    def _make_engine(self, metrics: ProcessingMetrics) -> AnalyticsEngine:
        platform = [self._platform] if self._platform is not None else []
        return AnalyticsEngine(
            self._config.analytics,
            self._log,
            AnalyticsFile(self._directory / "analytics" / "state"),
            clock=self._context.clock,
            metrics=metrics,
            extras=[*(each.extras for each in platform), lambda: self._forecaster.values()],
            extra_groups=[each.extra_groups for each in platform],
        )

    def _make_history(self) -> History:
        return History(
            self._config.history,
            self._engine.metrics,
            self._log,
            self._directory / "history" / "history.db",
            clock=self._context.clock,
            telemetry=HistoryMetrics(self._context.registry),
            yields=YIELD_APART if self._apart else YIELD,
        )

    def _make_forecaster(self) -> Forecaster:
        return Forecaster(
            self._config.forecast,
            self._history,
            self._log.append,
            clock=self._context.clock,
            telemetry=ForecastMetrics(self._context.registry),
        )

    def _tables(self) -> list[Table]:
        """What can be exported; a room that has a table of its own adds it here."""
        return [
            *figures.tables(self._history, self._context.clock),
            *(known.tables(self._platform) if self._platform is not None else []),
            *logged.tables(self._log),
        ]

    def start(self, cleanup: CleanupStack) -> None:
        """Begin to count.

        Analytics fills its windows meanwhile, from the saved ones and the log: when none are saved that takes seconds
        with a million events, for which nobody who sends events should wait. Until then it says so, and there are no
        snapshots.
        """
        cleanup.push("analytics", self._engine.close)
        cleanup.push("history", self._history.close)
        spawn = self._context.supervisor.spawn
        tasks = [
            spawn("processing.follow", self._engine.run_follow()),
            spawn("processing.ticks", self._engine.run_ticks()),
            spawn("processing.saves", self._engine.run_saves()),
            spawn("history", self._history.run()),
            spawn("forecast", self._forecaster.run()),
        ]
        if self._platform is not None:
            cleanup.push("platform", self._platform.close)
            tasks += [
                spawn("platform.follow", self._platform.run_follow()),
                spawn("platform.ticks", self._platform.run_ticks()),
                spawn("platform.saves", self._platform.run_saves()),
            ]
        for task in tasks:
            cleanup.push(task.get_name(), partial(cancel, task))

    def routes(self) -> list[Route]:
        """What event processing alone answers."""
        return analytics_api.routes(self._engine)

    def views(self) -> list[Route]:
        """The routes that a gateway answers as well."""
        return [
            *history_api.routes(self._history, self._context.clock),
            *forecast_api.routes(self._forecaster),
            *(platform_api.routes(self._platform) if self._platform is not None else []),
            *self._exports.routes(),
        ]

    @property
    def names(self) -> Sequence[str]:
        """Names of the parts that `health` tells of."""
        return ["analytics", "history", *(["platform"] if self._platform is not None else [])]

    @property
    def position(self) -> int:
        """Offset up to which analytics has taken in the log."""
        return self._engine.position

    async def health(self) -> Mapping[str, Part]:
        """How each of them is."""
        parts = {"analytics": self._engine.health(), "history": self._history.health()}
        return parts | ({"platform": self._platform.health()} if self._platform is not None else {})

    def prepare(self, config: ProcessingConfig) -> Callable[[], None]:
        """Compile the new metrics; the answer swaps everything in."""
        commits = [self._engine.prepare(config.analytics)]
        if self._platform is not None:
            commits.append(self._platform.prepare(config.platform))
        commits.append(self._history.prepare(config.history, self._engine.compiled(config.analytics)))

        def commit() -> None:
            for each in commits:
                each()

        return commit
