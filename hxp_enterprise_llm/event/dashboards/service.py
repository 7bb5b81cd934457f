"""Dashboards at work: follow the log, compute what is shown, put each refresh into the log as an event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from hxp_enterprise_llm.config.streaming import DashboardRefreshConfig, LiveDashboardConfig, StreamingConfig
from hxp_enterprise_llm.event.dashboards import keeping
from hxp_enterprise_llm.event.dashboards.board import Board
from hxp_enterprise_llm.event.dashboards.definitions import load_definitions
from hxp_enterprise_llm.event.dashboards.follower import Firing, Follower
from hxp_enterprise_llm.event.dashboards.model import Loaded, Name, Panel
from hxp_enterprise_llm.event.dashboards.panels import compute
from hxp_enterprise_llm.event.dashboards.prometheus import Prometheus
from hxp_enterprise_llm.event.dashboards.promql import Answer
from hxp_enterprise_llm.event.dashboards.queries import MOST_EVENTS
from hxp_enterprise_llm.event.dashboards.refresh import IDLE_SECONDS, Due, Mode, carry, mode_in_use, plan
from hxp_enterprise_llm.event.dashboards.state import DashboardState
from hxp_enterprise_llm.event.log.model import EventLog, Health, LogError
from hxp_enterprise_llm.event.model import Event, encode, parse_patterns, rfc3339
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.telemetry.health import Part
from hxp_enterprise_llm.telemetry.metrics import DashboardMetrics

log = structlog.get_logger("dashboards")

REFRESHED = "dashboard.refreshed"
SOURCE = "/dashboards"


class Refreshed(NamedTuple):
    """One refresh that is in the log."""

    dashboard: Name
    mode: str
    panels: int
    """Panels that it carries, whole or in part."""
    revision: str
    offset: int


class Dashboards:
    """All dashboards of a service.

    `firing` is asked after each rebuild of the state: an alert may have begun before the part of the log that is
    read back. `watched` answers whether somebody looks. `prometheus` None: its
    panels stay empty.
    """

    def __init__(
        self,
        config: StreamingConfig,
        log: EventLog,
        *,
        clock: Clock,
        metrics: DashboardMetrics,
        firing: Firing | None = None,
        watched: Callable[[], bool] = lambda: True,
        prometheus: Prometheus | None = None,
    ) -> None:
        self._log, self._clock, self._metrics, self._watched = log, clock, metrics, watched
        self.follower = Follower(log, clock=clock, firing=firing, watched=watched)
        self._prometheus = prometheus
        self._run = clock.new_id()[:8]
        self._hurry = asyncio.Event()
        self._alert_changes = 0
        self._waiting: dict[Name, tuple[str, ...]] = {}
        self._unstored: set[Name] = set()
        self.enabled = config.live_dashboard.enabled
        """Whether dashboards are served; a reload does not change it."""
        self._live: LiveDashboardConfig = config.live_dashboard
        self._refresh: DashboardRefreshConfig = config.dashboard_refresh
        self._stamps = keeping.stamps(Path(self._live.directory), self._live.dashboards)
        self.boards: Mapping[Name, Board] = {}
        """The dashboards by name, in the configured order."""
        self._define(_load(config))

    @property
    def state(self) -> DashboardState:
        """What is known of the log."""
        return self.follower.state

    @property
    def mode(self) -> Mode:
        """What refreshes carry, after the strategies had their say."""
        return mode_in_use(self._refresh.mode, self._refresh.refresh_strategies)

    def prepare(self, config: StreamingConfig) -> Callable[[], None]:
        """Read the definitions of a new configuration; the answer swaps them in."""
        loaded = _load(config)

        def swap() -> None:
            self._live, self._refresh = config.live_dashboard, config.dashboard_refresh
            self._stamps = keeping.stamps(Path(self._live.directory), self._live.dashboards)
            self._define(loaded)

        return swap

    def _define(self, loaded: Mapping[Name, Loaded]) -> None:
        for name in self.boards.keys() - loaded.keys():
            self._metrics.interval.remove(name)
        boards = {}
        for name, each in loaded.items():
            for fault in each.faults:
                log.warning("dashboards.definition_faulty", dashboard=name, fault=str(fault))
            board = boards[name] = self.boards.get(name) or Board(each, clock=self._clock, run=self._run)
            board.redefine(each)
            self._metrics.interval.labels(name).set_function(board.interval)
        self.boards = boards

    async def definition(self, name: Name) -> str:
        """The text of a definition. Raises OSError."""
        return await asyncio.to_thread(keeping.source, Path(self._live.directory), name)

    async def save(self, name: Name, text: str) -> None:
        """Write a definition that was checked, and take it into use. Raises OSError."""
        await asyncio.to_thread(keeping.write, Path(self._live.directory), name, text)
        self.look_at_files()

    def look_at_files(self) -> None:
        """Read the definitions again when one of their files was changed."""
        directory = Path(self._live.directory)
        stamps = keeping.stamps(directory, self._live.dashboards)
        if stamps == self._stamps:
            return
        changed = sorted(name for name, _ in stamps.items() ^ self._stamps.items())
        self._stamps = stamps
        log.info("dashboards.definitions_read", changed=sorted(set(changed)))
        self._define(load_definitions(directory, self._live.dashboards))

    # --- what is shown

    def latest(self, types: Sequence[str]) -> list[dict[str, Any]]:
        """The latest events of these types, the newest last."""
        return self.state.latest.latest(parse_patterns(types), MOST_EVENTS)

    async def publish(self, type: str, data: Mapping[str, Any]) -> int:
        """Put an event of our own into the log; answers its offset. Raises LogError."""
        event = Event(
            id=self._clock.new_id(), source=SOURCE, type=type, time=rfc3339(self._clock.time()), data=dict(data)
        )
        appended = await self._log.append([encode(event)])
        return appended[0].offset

    def is_compressed(self, name: Name) -> bool:
        """Whether the answer for a dashboard may be compressed."""
        definition = self.boards[name].definition
        return self._live.compression_enabled and (definition is None or definition.compressed)

    async def look_outside(self, panels: Iterable[Panel], within: float | None = None) -> bool:
        """Ask Prometheus what these panels show of it, unless its answer is fresh; answers whether it has answered.

        `within`: seconds after which it is not waited for; who looks gets its answer with a refresh.
        """
        try:
            async with asyncio.timeout(within):
                return self._prometheus is not None and await self._prometheus.ask(panels)
        except TimeoutError:
            return False

    def panels(self, name: Name) -> Sequence[Panel]:
        """The panels of a dashboard; none while it has no usable definition. Raises KeyError."""
        definition = self.boards[name].definition
        return definition.panels if definition else ()

    @property
    def _answers(self) -> Mapping[str, Answer]:
        return self._prometheus.answers if self._prometheus else {}

    def data(self, name: Name, *, anew: bool = False) -> dict[str, Any]:
        """What `GET /dashboards/{name}/data` answers; `anew`: not from the cache. Raises KeyError."""
        board = self.boards[name]
        cached = not anew and self._live.caching_enabled and board.fresh(self._live.update_interval)
        if board.definition is not None and not cached:
            self._update(board)
        return self._about(board) | board.data() | self._moment()

    def answers(self, panels: Sequence[Panel]) -> dict[str, Any]:
        """What these panels show now, and the moment that it is true of. `now`: unix seconds of our clock."""
        now = self._clock.time()
        moment = {"now": now, "position": self.state.position} | self._moment()
        return moment | {"answers": [compute(panel, self.state, now, self._answers) for panel in panels]}

    async def log_health(self) -> Health:
        """How the log is."""
        return await self._log.health()

    def health(self) -> Part:
        """How the dashboards are, in words."""
        if not self.enabled:
            return Part("ok", "switched off")
        faulty = [name for name, board in self.boards.items() if board.faults]
        if faulty:
            return Part("degraded", f"faulty definition: {', '.join(faulty)}; see /dashboards/status")
        if not self.follower.ready.is_set():
            return Part("degraded", "the event log is not read yet")
        return Part("ok", facts={"dashboards": len(self.boards)})

    def status(self) -> dict[str, Any]:
        """What `GET /dashboards/status` answers."""
        moment = self._moment()
        return {
            "enabled": self.enabled,
            "refresh": {
                "enabled": self._refresh.enabled,
                "interval": self._refresh.interval,
                "mode": self._refresh.mode,
                "mode_in_use": self.mode,
            },
            "dashboards": {name: board.status() for name, board in self.boards.items()},
            **{key: moment[key] for key in ("stale", "data_age_seconds", "epoch")},
            "position": self.state.position,
            "unreadable_events": self.state.unreadable,
        }

    def _about(self, board: Board) -> dict[str, Any]:
        definition = board.definition
        pushed = self._refresh.enabled and definition is not None and definition.pushed
        return {
            "dashboard": board.name,
            "title": board.title,
            "faults": [str(fault) for fault in board.faults],
            "refresh": {"pushed": pushed, "interval": self._refresh.interval},
        }

    def _moment(self) -> dict[str, Any]:
        state, now = self.state, self._clock.time()
        age = state.age(now)
        return {
            "epoch": state.epoch,
            "head": state.position,
            "stale": state.is_stale(now),
            "data_age_seconds": None if age is None else round(age, 3),
            "tick_seconds": state.figures.tick_s if state.figures else None,
            "alerts": state.alerts.firing(),
            "spine": state.spine(now),
        }

    # --- refreshes

    async def refresh(self, names: Iterable[Name] | None = None) -> list[Refreshed]:
        """Compute these dashboards (None: all) now and send them whole. Raises KeyError, LogError."""
        boards = [self.boards[name] for name in (self.boards if names is None else names)]
        refreshed = []
        for board in boards:
            if board.definition is not None:
                self._update(board)
                refreshed.append(await self._send(board, "full", forced=True))
        return [each for each in refreshed if each is not None]

    async def refresh_due(self) -> list[Refreshed]:
        """Refresh what is due, at most `batch_size` panels; what is left waits for the next call."""
        now = self._clock.monotonic()
        waiting = {name: panels for name, panels in self._waiting.items() if name in self.boards}
        least = IDLE_SECONDS if self.mode == "smart" and not self._watched() else 0
        due = [Due(name, waiting.get(name) or board.due(now, least=least)) for name, board in self.boards.items()]
        turn, later = plan(
            due, batch_size=self._refresh.batch_size, priority=self._refresh.priority_queue, waiting=waiting.keys()
        )
        self._waiting = dict(later)
        refreshed = [await self._refresh_one(self.boards[name], panels) for name, panels in turn]
        return [each for each in refreshed if each is not None]

    async def _refresh_one(self, board: Board, panels: tuple[str, ...]) -> Refreshed | None:
        self._update(board, panels)
        if board.definition is None or not board.definition.pushed:
            return None
        try:
            refreshed = await self._send(board, self.mode)
        except LogError as error:
            # Told once for each outage; the base stays what was stored last, so the next try carries everything.
            if board.name not in self._unstored:
                log.warning("dashboards.refresh_not_stored", dashboard=board.name, reason=str(error))
            self._unstored.add(board.name)
            return None
        self._unstored.discard(board.name)
        return refreshed

    def _update(self, board: Board, only: tuple[str, ...] | None = None) -> None:
        board.update(self.state, only, self._answers)
        self._metrics.updates.labels(board.name).inc()
        self._metrics.errors.labels(board.name).inc(len(board.panel_faults()))

    async def _send(self, board: Board, mode: Mode, *, forced: bool = False) -> Refreshed | None:
        view = board.view
        base = None if forced else board.published
        data = None if view is None else carry(mode, base, view)
        if view is None or data is None:
            return None
        if base is None:
            data |= {"title": board.title, "faults": [str(fault) for fault in board.faults]}
        # A whole refresh may send a revision again on purpose: the log must not take it for a repeat.
        again = f"/{self._clock.new_id()}" if base is None else ""
        event = Event(
            id=f"{board.name}/{view.revision}{again}",
            source=SOURCE,
            type=REFRESHED,
            time=view.at,
            subject=board.name,
            data=data,
        )
        appended = await self._log.append([encode(event)])
        board.published = view
        panels = len(data["panels"] if "panels" in data else data["delta"])
        return Refreshed(board.name, data["mode"], panels, view.revision, appended[0].offset)

    # --- in time

    async def run(self) -> None:
        """Follow the log and refresh in time, until cancelled. Waits idly when dashboards are off."""
        if not self.enabled:
            await asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.follower.run(self._moved), name="dashboards-follow")
            tasks.create_task(self._refresh_in_time(), name="dashboards-refresh")
            tasks.create_task(self._ask_in_time(), name="dashboards-prometheus")

    def _moved(self) -> None:
        changes = self.state.alerts.changes
        if changes != self._alert_changes and self.mode == "smart":
            self._hurry.set()
        self._alert_changes = changes

    async def _refresh_in_time(self) -> None:
        await self.follower.ready.wait()
        while True:
            self.look_at_files()
            if self._refresh.enabled:
                await self.refresh_due()
            await self._next_turn()

    async def _ask_in_time(self) -> None:
        """Nobody's look costs Prometheus nothing."""
        while True:
            if self._refresh.enabled and self._watched():
                await self.look_outside([panel for name in self.boards for panel in self.panels(name)])
            await asyncio.sleep(self._refresh.interval)

    async def _next_turn(self) -> None:
        """Wait for the next multiple of the interval, or for an alert that cannot wait."""
        interval = self._refresh.interval
        rest = interval - self._clock.monotonic() % interval
        try:
            async with asyncio.timeout(rest):
                await self._hurry.wait()
        except TimeoutError:
            return
        self._hurry.clear()
        for board in self.boards.values():
            board.hurry()


def _load(config: StreamingConfig) -> dict[Name, Loaded]:
    live = config.live_dashboard
    return load_definitions(Path(live.directory), live.dashboards)
