"""What is told about silences, and what goes into the log alone. Pure."""

from __future__ import annotations

from typing import Literal

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.instant import Instant
from hxp_enterprise_llm.event.notifications.model import LOG_CHANNEL, Notification
from hxp_enterprise_llm.event.notifications.routing.draft import Queued
from hxp_enterprise_llm.event.notifications.routing.model import Silence
from hxp_enterprise_llm.event.notifications.routing.silences import words

SilenceEvent = Literal["created", "changed", "expired", "expiring", "ended"]
_TEXTS: dict[SilenceEvent, str] = {
    "created": "{by} silenced {what} until {until}: {comment}",
    "changed": "The silence of {by} over {what} now lasts until {until}: {comment}",
    "expired": "The silence of {by} over {what} was ended by hand",
    "expiring": "The silence of {by} over {what} ends at {until}; {held} that fire will be told then",
    "ended": "The silence of {by} over {what} has ended; it held {held} that still fire",
}


def silence_notice(silence: Silence, what: SilenceEvent, now: Instant, held: int = 0) -> Notification:
    """A message about a silence; `held`: alerts that fire and that it holds back."""
    alerts = "no alerts" if held == 0 else "one alert" if held == 1 else f"{held} alerts"
    text = _TEXTS[what].format(
        by=silence.created_by,
        what=words(silence),
        until=rfc3339(silence.ends_at),
        comment=silence.comment,
        held=alerts,
    )
    id = f"silence-{silence.id}-{what}-{int(silence.updated_at * 1000)}"
    return Notification(
        id=id,
        episode=f"silence-{silence.id}",
        seq=0,
        kind="message",
        priority="info",
        title=f"Silence {what}",
        text=text,
        at=now.wall,
        type="silence",
    )


def log_only(notification: Notification) -> Queued:
    """A notification that becomes an event, whoever else is told."""
    return Queued(notification, ((LOG_CHANNEL, ""),))
