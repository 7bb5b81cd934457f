"""Decisions about deliveries: who is told, when to try again, when to give up. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.rules import Priority
from hxp_enterprise_llm.event.notifications.channels.model import Channel, Dead, Retry
from hxp_enterprise_llm.event.notifications.model import LOG_CHANNEL, Delivery

DeliveryState = Literal["queued", "in_flight", "retry", "merged", "sent", "dead"]
"""`merged`: another delivery tells it as well, and decides what becomes of it."""
WAITING: tuple[DeliveryState, ...] = ("queued", "in_flight", "retry", "merged")
STREAMS = (LOG_CHANNEL, "websocket", "sse")
"""Channels that are events in the log: told one by one, never joined or left out."""

BACKOFF_SECONDS = (15.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Pause after the first, second, … failed attempt; the last one repeats."""
_JITTER = 0.2

Recipient = tuple[str, str]
"""Channel and target within it."""


class Verdict(NamedTuple):
    """What becomes of a delivery after an attempt. `next_at` is steady seconds."""

    state: Literal["sent", "retry", "dead"]
    next_at: float
    error: str = ""


def backoff(attempts: int, random: Callable[[], float]) -> float:
    """Seconds to wait after so many attempts, 20 % more or less so that many do not come at once."""
    delay = BACKOFF_SECONDS[min(attempts, len(BACKOFF_SECONDS)) - 1]
    return delay * (1 - _JITTER + 2 * _JITTER * random())


def judge(
    delivery: Delivery, failure: Retry | Dead | None, now: float, left: float, random: Callable[[], float]
) -> Verdict:
    """The verdict on an attempt that ended at `now`, steady seconds; None means that the peer accepted.

    `left`: seconds for which it may still be tried.
    """
    if failure is None:
        return Verdict("sent", now)
    # A drill is answered at once: who tries something out waits for the outcome.
    if isinstance(failure, Dead) or delivery.notification.test:
        return Verdict("dead", now, failure.reason)
    delay = backoff(delivery.attempts, random) if failure.after is None else failure.after
    if delay > left:
        return Verdict("dead", now, f"given up after {_tries(delivery.attempts)}: {failure.reason}")
    return Verdict("retry", now + delay, failure.reason)


def _tries(count: int) -> str:
    return "one attempt" if count == 1 else f"{count} attempts"


def switched_on(config: NotificationsConfig, priority: Priority) -> bool:
    """Whether notifications of this priority are delivered."""
    return {
        "critical": config.critical_enabled,
        "warning": config.warning_enabled,
        "info": config.info_enabled,
    }[priority]


def recipients(choice: str, config: NotificationsConfig, channels: Mapping[str, Channel]) -> list[Recipient]:
    """Who is told when a rule or a sender names `choice`: one channel, or `all` that are on and ready."""
    names = config.notification_channels if choice == "all" else [choice]
    usable = [channels[name] for name in names if name in channels and name in config.notification_channels]
    return [(channel.name, target) for channel in usable if channel.readiness.ready for target in channel.targets]
