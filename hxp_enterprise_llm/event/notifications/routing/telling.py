"""What a group's receiver is told: one notification for all its alerts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from hxp_enterprise_llm.config.rules import Priority
from hxp_enterprise_llm.event.notifications.instant import Instant
from hxp_enterprise_llm.event.notifications.model import Kind, Notification
from hxp_enterprise_llm.event.notifications.routing.model import HOP_LABEL, Group, Known

MOST_ALERTS = 200
"""Alerts that one notification carries; the rest is a number."""
_SHOWN = 5
_RANK: tuple[Priority, ...] = ("critical", "warning", "info")
_AGAIN = ("repeat", "escalation")


def tell(
    group: Group, firing: Sequence[Known], ended: Sequence[Known], why: str, now: Instant, reason: str = ""
) -> Notification:
    """The notification; at least one alert is in it. `reason`: why it is due, in words."""
    firing, ended = _sorted(firing), _sorted(ended)
    told = (*firing, *ended)
    concerned = [known.alert for known in firing or ended]
    base = told[0].notification if len(told) == 1 else _joined(group, firing, ended)
    return msgspec.structs.replace(
        base,
        id=f"{group.thread}.{group.id}.{group.seq}",
        episode=group.thread,
        seq=group.seq,
        kind="firing" if firing else "resolved",
        priority=min((alert.priority for alert in concerned), key=_RANK.index),
        # An end is told when it was; what fires may have been held back for hours, and must not look that old.
        at=now.wall if firing else max(known.notification.at for known in told),
        alerts=tuple(known.alert for known in told[:MOST_ALERTS]),
        thread=group.thread,
        receiver=group.receiver,
        group_key=group.key,
        group_labels=group.labels,
        why=why,
        because=reason if why in _AGAIN else "",
        truncated=max(0, len(told) - MOST_ALERTS),
        fires=len(firing),
        ended=len(ended),
    )


def tell_all(
    group: Group, firing: Sequence[Known], ended: Sequence[Known], why: str, now: Instant
) -> Iterator[Notification]:
    """The same in as many notifications as it takes to leave no alert out; each is of the kind of the whole."""
    told = (*_sorted(firing), *_sorted(ended))
    for start in range(0, len(told), MOST_ALERTS):
        part = told[start : start + MOST_ALERTS]
        one = tell(group, [each for each in part if each.fires], [each for each in part if not each.fires], why, now)
        id = f"{one.id}.{start // MOST_ALERTS}" if start else one.id
        kind: Kind = "firing" if firing else "resolved"
        yield msgspec.structs.replace(one, id=id, kind=kind, truncated=len(told) - len(part))


def unnamed(firing: Sequence[Known], ended: Sequence[Known]) -> frozenset[str]:
    """Fingerprints of the alerts that such a notification counts without naming them."""
    told = (*_sorted(firing), *_sorted(ended)) if len(firing) + len(ended) > MOST_ALERTS else ()
    return frozenset(known.fingerprint for known in told[MOST_ALERTS:])


def marked(notification: Notification, instance: str) -> Notification:
    """The notification for a program: its alerts carry the name of the daemon that passes them on."""
    replace = msgspec.structs.replace
    alerts = (replace(alert, labels={**alert.labels, HOP_LABEL: instance}) for alert in notification.alerts)
    return replace(notification, alerts=tuple(alerts))


def _sorted(alerts: Sequence[Known]) -> list[Known]:
    return sorted(alerts, key=_place)


def _place(known: Known) -> tuple[int, float, str]:
    return _RANK.index(known.alert.priority), known.alert.starts_at, known.fingerprint


def _joined(group: Group, firing: Sequence[Known], ended: Sequence[Known]) -> Notification:
    """What they have in common; both are sorted."""
    first = (firing or ended)[0].notification
    rules = {known.notification.rule for known in (*firing, *ended)}
    same = len(rules) == 1
    reasons = {known.notification.reason for known in firing or ended}
    return Notification(
        id="",
        episode="",
        seq=0,
        kind="firing",
        priority=first.priority,
        title=first.title if same else _title(group, firing, ended),
        text=_text(firing, ended),
        at=0.0,
        rule=first.rule if same else "",
        condition=first.condition if same else "",
        since=min(known.alert.starts_at for known in firing or ended),
        reason=first.reason if len(reasons) == 1 else "",
    )


def _title(group: Group, firing: Sequence[Known], ended: Sequence[Known]) -> str:
    named = ", ".join(f"{name}={value}" for name, value in group.labels.items())
    return f"{len(firing or ended)} alerts" + (f" ({named})" if named else "")


def _text(firing: Sequence[Known], ended: Sequence[Known]) -> str:
    return "; ".join(part for part in (_part(firing, "fire"), _part(ended, "ended")) if part)


def _part(alerts: Sequence[Known], verb: str) -> str:
    if not alerts:
        return ""
    lines = [known.notification.text or known.notification.title for known in alerts[:_SHOWN]]
    more = f", and {len(alerts) - _SHOWN} more" if len(alerts) > _SHOWN else ""
    return f"{len(alerts)} {verb}: {', '.join(lines)}{more}"
