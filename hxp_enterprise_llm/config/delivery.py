"""The ways by which people and programs are told."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hxp_enterprise_llm.config.types import Duration, Name, Port, Positive, Section, about

DeliveryChannel = Literal["websocket", "sse", "email", "slack", "webhook", "alertmanager"]


class RateConfig(Section, frozen=True, kw_only=True):
    """How many messages one recipient gets. What waits for it is told as one message."""

    per_minute: Annotated[float, about("Messages a minute to one recipient; 0: no bound", live=True, ge=0)] = 0
    burst: Annotated[Positive, about("Messages at once after a quiet time", live=True)] = 1


class EmailConfig(Section, frozen=True, kw_only=True):
    """E-mail delivery. Off until `to` names somebody."""

    host: Annotated[str, about("SMTP server", live=True)] = "localhost"
    port: Annotated[
        Port, about("SMTP port: 587 with starttls, 465 with implicit TLS, 25 for a local relay", live=True)
    ] = 587
    tls: Annotated[
        Literal["starttls", "implicit", "none"],
        about("TLS policy; there is no silent fallback to clear text", live=True),
    ] = "starttls"
    ca_file: Annotated[
        str, about("PEM file with the authority of the server's certificate; empty: the system's", live=True)
    ] = ""
    username: Annotated[str, about("User to log in as; empty: no log-in", live=True)] = ""
    password_file: Annotated[
        str, about("File with the password; empty: $CREDENTIALS_DIRECTORY/smtp-password", live=True)
    ] = ""
    sender: Annotated[str, about("Envelope and header sender; a mailbox that takes bounces", live=True)] = (
        msgspec.field(name="from", default="citadel@localhost")
    )
    to: Annotated[list[str], about("Recipients", live=True)] = []
    rate: RateConfig = RateConfig(per_minute=20, burst=20)


class SlackConfig(Section, frozen=True, kw_only=True):
    """Slack delivery. Off until a token or a webhook URL is found."""

    channel: Annotated[str, about("Channel to post to, e.g. #llm-ops or its id (bot token)", live=True)] = ""
    token_file: Annotated[
        str, about("File with the bot token; empty: $CREDENTIALS_DIRECTORY/slack-bot-token", live=True)
    ] = ""
    webhook_url_file: Annotated[
        str,
        about("File with an incoming-webhook URL; empty: $CREDENTIALS_DIRECTORY/slack-webhook-url", live=True),
    ] = ""
    api_url: Annotated[str, about("Base of the Web API", live=True)] = "https://slack.com/api/"
    rate: RateConfig = RateConfig(per_minute=60, burst=5)


class WebhookEndpoint(Section, frozen=True, kw_only=True):
    """A receiver of webhooks."""

    name: Annotated[Name, about("Name of the receiver: a target of the channel `webhook`", live=True)]
    url: Annotated[str, about("Where to post; empty: it is in url_file", live=True)] = ""
    url_file: Annotated[str, about("File with the URL, where that is a secret", live=True)] = ""
    secret_file: Annotated[
        str,
        about(
            "File with the key of the signature; empty: $CREDENTIALS_DIRECTORY/webhook-secret-NAME, else unsigned",
            live=True,
        ),
    ] = ""
    max_alerts: Annotated[
        int, about("Most alerts in one payload; 0: all that one notification carries, 200", live=True, ge=0)
    ] = 0


class WebhookConfig(Section, frozen=True, kw_only=True):
    """Webhooks with Alertmanager's payload. Off until an endpoint is named."""

    endpoints: Annotated[list[WebhookEndpoint], about("The receivers; each is told", live=True)] = []
    external_url: Annotated[
        str, about("Former place of `real_time_notifications.external_url`: taken where that is empty", live=True)
    ] = ""
    rate: RateConfig = RateConfig(per_minute=600, burst=100)


class AlertmanagerConfig(Section, frozen=True, kw_only=True):
    """Prometheus' Alertmanager as a channel: it routes, groups and wakes people. Off until a URL is named."""

    urls: Annotated[list[str], about("Alertmanagers, e.g. http://127.0.0.1:9093; each is told", live=True)] = []
    resend_interval: Annotated[
        Duration, about("How often they are told of what fires; four times that unheard, and it ends", live=True)
    ] = "1m"
    username: Annotated[str, about("User of HTTP basic authentication; empty: none", live=True)] = ""
    password_file: Annotated[
        str, about("File with the password; empty: $CREDENTIALS_DIRECTORY/alertmanager-password", live=True)
    ] = ""
