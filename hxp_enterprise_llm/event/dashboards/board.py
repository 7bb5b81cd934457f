"""One dashboard at work: its definition, its data, what was last sent of it, and when it is due."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hxp_enterprise_llm.event.dashboards.delta import same
from hxp_enterprise_llm.event.dashboards.model import Definition, Loaded, Name, PanelData, View
from hxp_enterprise_llm.event.dashboards.panels import NOTHING, compute
from hxp_enterprise_llm.event.dashboards.promql import Answer
from hxp_enterprise_llm.event.dashboards.state import DashboardState
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.runtime.clock import Clock


class Board:
    """Computes and remembers. `run` is unique to this run of the process: revisions of two runs never agree."""

    def __init__(self, loaded: Loaded, *, clock: Clock, run: str) -> None:
        self.name: Name = loaded.name
        self.definition: Definition | None = loaded.definition
        self.faults = loaded.faults
        self.view: View | None = None
        self.published: View | None = None
        self._clock, self._run = clock, run
        self._revisions = 0
        self._computed: dict[str, float] = {}
        self._updated = clock.monotonic()
        self._interval = 0.0
        self._hurried = False

    @property
    def title(self) -> str:
        """What stands over it."""
        return self.definition.title if self.definition else self.name

    def redefine(self, loaded: Loaded) -> None:
        """Take a new definition; one that is unusable leaves the last good one in use and only brings its faults."""
        if loaded.faults != self.faults:
            self.faults = loaded.faults
            self.published, self._hurried = None, True  # who looks is to see them
        if loaded.definition is not None and loaded.definition != self.definition:
            self.definition = loaded.definition
            self.view = self.published = None
            self._computed.clear()

    def due(self, now: float, *, least: float = 0) -> tuple[str, ...]:
        """Panels whose time has come (monotonic seconds), when the dashboard's own has; not before `least` seconds."""
        if self.definition is None:
            return ()
        waits = self.view is not None and not self._hurried
        if waits and now - self._updated < max(self.definition.update_frequency, least) - 0.25:
            return ()  # a quarter second of grace: timers are never exact, and a missed turn costs a whole one
        return self._old_panels(now)

    def _old_panels(self, now: float) -> tuple[str, ...]:
        panels = self.definition.panels if self.definition else ()
        return tuple(
            panel.panel_id
            for panel in panels
            if now - self._computed.get(panel.panel_id, -1e9) >= panel.refresh_interval - 0.25
        )

    def hurry(self) -> None:
        """Be due at the next look, whatever the definition's frequency."""
        self._hurried = True

    def fresh(self, within: float) -> bool:
        """Whether its data was computed within so many seconds."""
        return self.view is not None and self._clock.monotonic() - self._updated < within

    def interval(self) -> float:
        """Seconds between the last two updates, or since the last when that is longer already.

        In tenths: a timer's few milliseconds are not what an alert at ten seconds is about.
        """
        return round(max(self._interval, self._clock.monotonic() - self._updated), 1)

    def update(
        self, state: DashboardState, only: tuple[str, ...] | None = None, answers: Mapping[str, Answer] = NOTHING
    ) -> View:
        """Compute these panels (None: all) and answer the whole."""
        assert self.definition is not None
        now = self._clock.monotonic()
        panels = self._merged(state, only, answers)
        self._interval, self._updated, self._hurried = now - self._updated, now, False
        self.view = View(
            dashboard=self.name,
            at=rfc3339(self._clock.time()),
            position=state.position,
            revision=self._revision(panels),
            panels=panels,
        )
        return self.view

    def _revision(self, panels: dict[str, PanelData]) -> str:
        if self.view is not None and same(self.view.panels, panels):
            return self.view.revision
        self._revisions += 1
        return f"{self._run}.{self._revisions}"

    def _merged(
        self, state: DashboardState, only: tuple[str, ...] | None, answers: Mapping[str, Answer]
    ) -> dict[str, PanelData]:
        assert self.definition is not None
        known = self.view.panels if self.view else {}
        panels: dict[str, PanelData] = {}
        for panel in self.definition.panels:
            if only is None or panel.panel_id in only or panel.panel_id not in known:
                panels[panel.panel_id] = compute(panel, state, self._clock.time(), answers)
                self._computed[panel.panel_id] = self._clock.monotonic()
            else:
                panels[panel.panel_id] = known[panel.panel_id]
        return panels

    def panel_ids(self) -> list[str]:
        """Its panels, in their order."""
        return [panel.panel_id for panel in self.definition.panels] if self.definition else []

    def data(self) -> dict[str, Any]:
        """Its part of the data answer."""
        if self.view is None:
            return {"at": None, "position": 0, "revision": None, "panels": []}
        view = self.view
        head = {"at": view.at, "position": view.position, "revision": view.revision}
        return head | {"panels": list(view.panels.values())}

    def panel_faults(self) -> list[str]:
        """What is wrong with panels at the moment."""
        panels = self.view.panels.values() if self.view else ()
        return [panel["fault"] for panel in panels if panel["kind"] == "fault"]

    def status(self) -> dict[str, Any]:
        """How it is, for the status answer."""
        faults = list(dict.fromkeys([*map(str, self.faults), *self.panel_faults()]))
        definition, view = self.definition, self.view
        return {
            "status": "fault" if faults else "ok",
            "faults": faults,
            "title": self.title,
            "type": definition.dashboard_type if definition else None,
            "file": definition.file if definition else None,
            "panels": len(definition.panels) if definition else 0,
            "data_sources": list(definition.data_sources) if definition else [],
            "update_frequency": definition.update_frequency if definition else None,
            "updated_at": view.at if view else None,
            "revision": view.revision if view else None,
            "interval_seconds": round(self.interval(), 3),
        }
