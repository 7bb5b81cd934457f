"""The decision whether a group is due to be told, and why. Pure; the table of Alertmanager with exact repeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Why = Literal["first", "new_alerts", "some_resolved", "all_resolved", "repeat"]


class Standing(NamedTuple):
    """A group as its receiver should see it, against what it was told. All by fingerprint."""

    told: Mapping[str, str]
    visible: frozenset[str]
    """Alerts that fire and that nothing holds back."""
    held: frozenset[str]
    """Alerts that fire and that something holds back."""
    ended: frozenset[str]
    """Alerts whose end has not been dealt with."""

    @property
    def new(self) -> frozenset[str]:
        """What the receiver has not been told."""
        return self.visible - frozenset(self.told)

    @property
    def over(self) -> frozenset[str]:
        """Ends of what the receiver was told; one that it never heard of concerns it not."""
        return self.ended & frozenset(self.told)

    @property
    def left(self) -> frozenset[str]:
        """What the receiver will believe to fire."""
        return frozenset(self.told.keys() | self.visible) - self.ended


def change(standing: Standing) -> Why | None:
    """What has changed that is worth telling; None: nothing.

    An alert that fired and ended since the last notification is never told.
    """
    if standing.new:
        return "new_alerts" if standing.told else "first"
    if standing.over:
        return "some_resolved" if standing.left else "all_resolved"
    return None
