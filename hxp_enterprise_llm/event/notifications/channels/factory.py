"""The channels of a configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.event.log.model import EventLog
from hxp_enterprise_llm.event.notifications.channels.email import EmailChannel
from hxp_enterprise_llm.event.notifications.channels.model import Channel, ChannelFactory, Secret
from hxp_enterprise_llm.event.notifications.channels.slack import SlackChannel
from hxp_enterprise_llm.event.notifications.channels.stream import StreamChannel
from hxp_enterprise_llm.event.notifications.model import LOG_CHANNEL
from hxp_enterprise_llm.security.egress import Egress

SecretReader = Callable[[str, str], Secret | None]
"""Reads a secret from a file, or, when that is empty, the credential of a name; None when there is none."""


def channel_factory(
    event_log: EventLog,
    read: SecretReader,
    is_on: Callable[[str], bool] = lambda transport: True,
    egress: Egress | None = None,
) -> ChannelFactory:
    """Makes all channels of a configuration; what `read` raises goes to the caller.

    `is_on`: whether clients can come by `websocket`, by `sse`; `egress`: to which addresses channels connect.
    """
    egress = egress or Egress()

    def make(config: NotificationsConfig) -> list[Channel]:
        wanted = config.notification_channels
        streams = [StreamChannel(name, event_log, partial(is_on, name)) for name in ("websocket", "sse")]
        channels: list[Channel] = [StreamChannel(LOG_CHANNEL, event_log), *streams]
        if "email" in wanted:
            password = read(config.email.password_file, "smtp-password") if config.email.username else None
            channels.append(EmailChannel(config.email, password, egress))
        if "slack" in wanted:
            token = read(config.slack.token_file, "slack-bot-token")
            webhook = read(config.slack.webhook_url_file, "slack-webhook-url")
            channels.append(SlackChannel(config.slack, token, webhook, egress))
        return channels

    return make
