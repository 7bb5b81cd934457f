"""Rules over snapshots of the past: what they would have told. Nothing is stored, nobody is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hxp_enterprise_llm.event.notifications.model import Notification
from hxp_enterprise_llm.event.notifications.rules.alerts import Moment
from hxp_enterprise_llm.event.notifications.rules.compiled import Rule
from hxp_enterprise_llm.event.notifications.rules.evaluation import Evaluator, evaluate
from hxp_enterprise_llm.event.notifications.rules.snapshots import MAX_AGE_SECONDS, Snapshot
from hxp_enterprise_llm.event.notifications.rules.telling import Watched


class Rehearsal:
    """Rules that are given one snapshot after the other."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._evaluator = Evaluator(rules)
        self._watched = 0.0
        self._last: float | None = None
        self.alerts: dict[str, Watched] = {}
        self.snapshots = 0
        self.first = self.last = 0.0
        """Wall-clock seconds of the first and the last snapshot."""

    def see(self, snapshot: Snapshot) -> Iterator[Notification]:
        """Evaluate one; answers what would be told."""
        if self._last is not None:
            # A gap in the log is time in which nobody watched.
            self._watched += min(max(0.0, snapshot.at - self._last), MAX_AGE_SECONDS)
        self.first = self.first or snapshot.at
        self._last = self.last = snapshot.at
        self.snapshots += 1
        result = evaluate(self._evaluator, self.alerts, snapshot, Moment(snapshot.at, self._watched))
        self.alerts = result.alerts
        for told in result.told:
            yield told.notification
