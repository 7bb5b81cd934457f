"""What a refresh carries, and which dashboard has its turn. Pure decisions.

`mode` says what is wanted, `refresh_strategies` what is allowed: a mode whose strategy is off is replaced by the
nearest one that is on, and by itself when none is. A strategy that is not named is on.

    full          every panel, whole
    incremental   the panels that changed, whole
    delta         of the panels that changed only what changed (see `delta`)
    smart         incremental or delta, whichever is shorter; at once when an alert begins or ends;
                  and every ten seconds only while nobody looks

Without a base (nothing was sent since the start, or the panels are others) a refresh is full in every mode.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal, NamedTuple

import msgspec

from hxp_enterprise_llm.event.dashboards.delta import diff
from hxp_enterprise_llm.event.dashboards.model import Name, View

Mode = Literal["full", "incremental", "delta", "smart"]

_STRATEGY: dict[Mode, str] = {
    "full": "full_refresh",
    "incremental": "incremental_update",
    "delta": "delta_sync",
    "smart": "smart_refresh",
}
_NEAREST: dict[Mode, tuple[Mode, ...]] = {
    "full": ("full", "incremental", "delta", "smart"),
    "incremental": ("incremental", "delta", "smart", "full"),
    "delta": ("delta", "incremental", "smart", "full"),
    "smart": ("smart", "delta", "incremental", "full"),
}
IDLE_SECONDS = 10
"""Least seconds between updates that nobody sees: as many as the alert DashboardUpdateFrequencyLow allows."""
_FIRST = ("system_health", "operational_overview")


def mode_in_use(mode: Mode, strategies: Iterable[Mapping[str, bool]]) -> Mode:
    """The wanted mode, or the nearest that the strategies allow."""
    allowed: dict[str, bool] = {}
    for strategy in strategies:
        allowed |= strategy
    return next((near for near in _NEAREST[mode] if allowed.get(_STRATEGY[near], True)), mode)


def carry(mode: Mode, base: View | None, new: View) -> dict[str, Any] | None:
    """Data of the `dashboard.refreshed` event that brings `base` to `new`; None when nothing changed."""
    if base is not None and base.revision == new.revision:
        return None
    if base is None or mode == "full" or base.panels.keys() != new.panels.keys():
        return _head(new, "full", None) | {"panels": list(new.panels.values())}
    changes = {name: diff(base.panels[name], panel) for name, panel in new.panels.items()}
    changes = {name: delta for name, delta in changes.items() if delta}
    by_panel = _head(new, "incremental", base) | {"panels": [new.panels[name] for name in changes]}
    by_leaf = _head(new, "delta", base) | {"delta": changes}
    if mode == "smart":
        return min(by_leaf, by_panel, key=lambda data: len(msgspec.json.encode(data)))
    return by_leaf if mode == "delta" else by_panel


def _head(new: View, mode: Mode, base: View | None) -> dict[str, Any]:
    return {
        "dashboard": new.dashboard,
        "mode": mode,
        "at": new.at,
        "position": new.position,
        "revision": new.revision,
        "base": base.revision if base else None,
    }


class Due(NamedTuple):
    """Panels of a dashboard that are to be computed."""

    dashboard: Name
    panels: tuple[str, ...]


def plan(
    due: Sequence[Due], *, batch_size: int, priority: bool, waiting: AbstractSet[Name] = frozenset()
) -> tuple[list[Due], list[Due]]:
    """Who is refreshed in this go of at most `batch_size` panels, and who waits for the next.

    Who waited goes first, so that nobody waits for ever; then, with `priority`, health before business.
    """
    order = sorted(due, key=lambda item: (item.dashboard not in waiting, _rank(item.dashboard) if priority else 0))
    now: list[Due] = []
    later: list[Due] = []
    left = batch_size
    for item in order:
        taken, rest = item.panels[:left], item.panels[left:]
        left -= len(taken)
        now += [Due(item.dashboard, taken)] if taken else []
        later += [Due(item.dashboard, rest)] if rest else []
    return now, later


def _rank(name: Name) -> int:
    if name in _FIRST:
        return _FIRST.index(name)
    return 9 if name.startswith("business") else 5
