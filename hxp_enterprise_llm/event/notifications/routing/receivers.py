"""Receivers: the names in routes, and the recipients behind them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.event.notifications.channels.model import Channel
from hxp_enterprise_llm.event.notifications.outbox import Recipient, recipients

STREAMS = ("websocket", "sse")
"""They carry each alert by itself, as the event that it is in the log."""
MACHINES = ("webhook", "alertmanager")
"""They pass alerts on to programs, which may pass them back."""
LEDGERS = ("alertmanager",)
"""Of these, they keep each alert by itself: what they are not told of does not fire for them."""


class Receivers:
    """Who is behind the names of one configuration, with the channels as they are now."""

    def __init__(self, config: NotificationsConfig, channels: Mapping[str, Channel]) -> None:
        self._config, self._channels = config, channels

    def recipients(self, name: str) -> list[Recipient]:
        """Recipients of a receiver, or of a channel named as one; none when the channel is not ready."""
        given = self._config.receivers.get(name)
        if given is None or not given.to:
            return recipients(given.channel if given else name, self._config, self._channels)
        channel = self._channels.get(given.channel)
        if channel is None or given.channel not in self._config.notification_channels:
            return []
        return [(given.channel, target) for target in given.to if channel.reaches(target).ready]

    def named(self, name: str) -> list[Recipient] | None:
        """Recipients of a receiver; None when none has that name."""
        return self.recipients(name) if name in self._config.receivers else None

    def tells_ends(self, name: str) -> bool:
        """Whether the receiver is told that alerts end."""
        given = self._config.receivers.get(name)
        return given is None or given.send_resolved

    def absence(self, name: str) -> str:
        """Why a receiver has no recipients."""
        given = self._config.receivers.get(name)
        choice = given.channel if given else name
        channel = self._channels.get(choice)
        if choice == "all":
            return "no channel is ready"
        if channel is None or choice not in self._config.notification_channels:
            return f"the channel {choice} is not in use"
        named = [channel.reaches(target) for target in given.to] if given else []
        reason = next((each.reason for each in (*named, channel.readiness) if not each.ready), "")
        return f"the channel {choice} is not ready: {reason}" if reason else f"the channel {choice} has no recipients"
