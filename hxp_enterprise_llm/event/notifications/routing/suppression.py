"""Whether an alert that fires may be told now: inhibition, times, silences. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.instant import Instant
from hxp_enterprise_llm.event.notifications.routing.draft import Draft
from hxp_enterprise_llm.event.notifications.routing.inhibition import Inhibitor
from hxp_enterprise_llm.event.notifications.routing.model import Known, Silence, Stage
from hxp_enterprise_llm.event.notifications.routing.silences import silenced_by, words
from hxp_enterprise_llm.event.notifications.routing.table import Path, RoutingTable

Reason = Literal["inhibited", "muted", "silenced"]
REASONS: tuple[Reason, ...] = ("inhibited", "muted", "silenced")


class Hold(NamedTuple):
    """Why an alert is not told now."""

    stage: Stage
    reason: Reason
    text: str


class Suppression:
    """Everything that holds alerts back at one moment, in Alertmanager's order."""

    def __init__(self, table: RoutingTable, draft: Draft, now: Instant) -> None:
        self._now = now
        self._inhibitor = Inhibitor(table.inhibit, draft.all_alerts() if table.inhibit else ())
        self._silences: Sequence[Silence] = [one for one in draft.all_silences() if one.state(now.wall) == "active"]

    def holds(self, known: Known, path: Path) -> Hold | None:
        """Why an alert on this route is not told; None: nothing holds it."""
        source = self._inhibitor.inhibits(known)
        if source is not None:
            name = source.labels.get("alertname", source.fingerprint)
            return Hold("inhibit", "inhibited", f"inhibited by {name} ({source.alert.episode})")
        shut = path.shut(self._now.wall)
        if shut:
            return Hold("mute", "muted", shut)
        silences = self.silences(known)
        if silences:
            return Hold("silence", "silenced", "; ".join(map(_silenced, silences)))
        return None

    def inhibitor(self, known: Known) -> Known | None:
        """The alert that inhibits this one."""
        return self._inhibitor.inhibits(known)

    def silences(self, known: Known) -> list[Silence]:
        """The silences that hold an alert."""
        return silenced_by(self._silences, known.labels, self._now.wall)


def _silenced(silence: Silence) -> str:
    until = rfc3339(silence.ends_at)
    return f"silenced by {silence.created_by} with {words(silence)} until {until}: {silence.comment} ({silence.id})"
