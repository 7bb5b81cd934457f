"""The channels of a configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hxp_enterprise_llm.config.delivery import AlertmanagerConfig, WebhookEndpoint
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.log.model import EventLog
from hxp_enterprise_llm.event.notifications.channels.alertmanager import AlertmanagerChannel
from hxp_enterprise_llm.event.notifications.channels.email import EmailChannel
from hxp_enterprise_llm.event.notifications.channels.http import checked_url
from hxp_enterprise_llm.event.notifications.channels.model import Channel, ChannelFactory, ChannelFault, Plain, Secret
from hxp_enterprise_llm.event.notifications.channels.stream import StreamChannel
from hxp_enterprise_llm.event.notifications.channels.webhook import Endpoint, WebhookChannel
from hxp_enterprise_llm.event.notifications.channels.wording import Wording, plainly
from hxp_enterprise_llm.event.notifications.model import LOG_CHANNEL
from hxp_enterprise_llm.security.egress import Egress

SecretReader = Callable[[str, str], Secret | None]
"""Reads a secret from a file, or, when that is empty, the credential of a name; None when there is none."""


def channel_factory(
    event_log: EventLog,
    read: SecretReader,
    is_on: Callable[[str], bool] = lambda transport: True,
    egress: Egress | None = None,
    *,
    time: Callable[[], float],
    words: Callable[[NotificationsConfig], Wording] = lambda config: plainly,
) -> ChannelFactory:
    """Makes all channels of a configuration; what `read` raises goes to the caller.

    `is_on`: whether clients can come by `websocket`, by `sse`; `egress`: to which addresses channels connect;
    `time`: wall-clock seconds; `words`: how people are told.
    """
    egress = egress or Egress()

    def make(config: NotificationsConfig) -> list[Channel]:
        wanted = config.notification_channels
        wording = words(config)
        streams = [StreamChannel(name, event_log, partial(is_on, name), time=time) for name in ("websocket", "sse")]
        channels: list[Channel] = [StreamChannel(LOG_CHANNEL, event_log, time=time), *streams]
        if "email" in wanted:
            password = read(config.email.password_file, "smtp-password") if config.email.username else None
            channels.append(EmailChannel(config.email, password, egress, wording))
        if "slack" in wanted:
            token = read(config.slack.token_file, "slack-bot-token")
            webhook = read(config.slack.webhook_url_file, "slack-webhook-url")
            channels.append(_slack(config, token, webhook, egress, wording))
        if "webhook" in wanted:
            endpoints = [_endpoint(index, each, read) for index, each in enumerate(config.webhook.endpoints)]
            channels.append(WebhookChannel(endpoints, time=time, egress=egress, page_url=config.page_url))
        if "alertmanager" in wanted:
            channels.append(_alertmanager(config.alertmanager, read, time, egress, config.page_url))
        return channels

    return make


def _slack(
    config: NotificationsConfig, token: Secret | None, webhook: Secret | None, egress: Egress, wording: Wording
) -> Channel:
    # Only now: Slack's library takes time at each start, and most have no use for it.
    from hxp_enterprise_llm.event.notifications.channels.slack import SlackChannel

    return SlackChannel(config.slack, token, webhook, egress, wording)


def _endpoint(index: int, config: WebhookEndpoint, read: SecretReader) -> Endpoint:
    path = f"real_time_notifications.webhook.endpoints[{index}]"
    if bool(config.url) == bool(config.url_file):
        raise ChannelFault(path, "must have either url or url_file")
    url = read(config.url_file, "") if config.url_file else Plain(config.url)
    assert url is not None
    checked_url(f"{path}.{'url_file' if config.url_file else 'url'}", url.reveal())
    secret = read(config.secret_file, f"webhook-secret-{config.name}")
    return Endpoint(config.name, url, secret, config.max_alerts)


def _alertmanager(
    config: AlertmanagerConfig, read: SecretReader, time: Callable[[], float], egress: Egress, page_url: str
) -> AlertmanagerChannel:
    path = "real_time_notifications.alertmanager.urls"
    return AlertmanagerChannel(
        [checked_url(f"{path}[{index}]", url) for index, url in enumerate(config.urls)],
        time=time,
        egress=egress,
        resend_seconds=seconds(config.resend_interval),
        username=config.username,
        password=read(config.password_file, "alertmanager-password") if config.username else None,
        page_url=page_url,
    )
