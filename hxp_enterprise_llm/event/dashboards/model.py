"""A dashboard as it was defined, and the data of its panels."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from hxp_enterprise_llm.config.faults import Fault
from hxp_enterprise_llm.event.dashboards.queries import PanelType, Query

Name = str
PanelData = dict[str, Any]
"""One panel as it is sent: JSON values only."""


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One panel. With a `fault` it keeps its place and says so instead of showing data."""

    panel_id: str
    panel_type: PanelType
    title: str
    unit: str | None = None
    scale: float = 1.0
    limit: float | None = None
    description: str = ""
    width: int | None = None
    """Columns of twelve."""
    refresh_interval: int = 0
    """Seconds for which its data is good; 0: computed with each update."""
    text: str = ""
    query: Query | None = None
    fault: str = ""


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A dashboard that can be shown."""

    name: Name
    file: str
    dashboard_id: str
    dashboard_type: Literal[
        "operational_overview", "business_intelligence", "performance_metrics", "system_health", "real_time_analytics"
    ]
    title: str
    update_frequency: int
    """Least seconds between its updates."""
    data_sources: tuple[str, ...]
    panels: tuple[Panel, ...]
    pushed: bool = True
    """Whether refreshes go out as events; off when both transports are off in its `streaming_config`."""
    compressed: bool = True


class Loaded(NamedTuple):
    """What came of one file: a definition unless it is unusable, and everything that is wrong with it."""

    name: Name
    definition: Definition | None
    faults: tuple[Fault, ...]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A dashboard's data at one moment."""

    dashboard: Name
    at: str
    """When it was computed, RFC 3339."""
    position: int
    """Offset up to which the log is in it."""
    revision: str
    """Names this state of the panels; it changes when they do."""
    panels: dict[str, PanelData]
