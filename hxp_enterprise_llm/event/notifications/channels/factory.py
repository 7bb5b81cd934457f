"""The channels of a configuration."""

from __future__ import annotations

from collections.abc import Callable

from hxp_enterprise_llm.config.streaming import NotificationsConfig
from hxp_enterprise_llm.event.log.model import EventLog
from hxp_enterprise_llm.event.notifications.channels.email import EmailChannel
from hxp_enterprise_llm.event.notifications.channels.model import Channel, ChannelFactory, Secret
from hxp_enterprise_llm.event.notifications.channels.slack import SlackChannel
from hxp_enterprise_llm.event.notifications.channels.stream import StreamChannel
from hxp_enterprise_llm.event.notifications.model import LOG_CHANNEL

SecretReader = Callable[[str, str], Secret | None]
"""Reads a secret from a file, or, when that is empty, the credential of a name; None when there is none."""


def channel_factory(event_log: EventLog, read: SecretReader) -> ChannelFactory:
    """Makes all channels of a configuration; what `read` raises goes to the caller."""

    def make(config: NotificationsConfig) -> list[Channel]:
        wanted = config.notification_channels
        channels: list[Channel] = [StreamChannel(name, event_log) for name in (LOG_CHANNEL, "websocket", "sse")]
        if "email" in wanted:
            password = read(config.email.password_file, "smtp-password") if config.email.username else None
            channels.append(EmailChannel(config.email, password))
        if "slack" in wanted:
            token = read(config.slack.token_file, "slack-bot-token")
            webhook = read(config.slack.webhook_url_file, "slack-webhook-url")
            channels.append(SlackChannel(config.slack, token, webhook))
        return channels

    return make
