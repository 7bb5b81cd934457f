"""The section `real_time_notifications`: rules and the way of an alert to people."""

from __future__ import annotations

from typing import Annotated

import msgspec

from hxp_enterprise_llm.config.delivery import (
    AlertmanagerConfig,
    DeliveryChannel,
    EmailConfig,
    SlackConfig,
    WebhookConfig,
)
from hxp_enterprise_llm.config.routing import (
    ForeignConfig,
    GroupingConfig,
    Heartbeats,
    InhibitRules,
    Receivers,
    Routes,
    TimeIntervals,
)
from hxp_enterprise_llm.config.rules import RuleConfig, default_rules
from hxp_enterprise_llm.config.types import Duration, Seconds, Section, about


class NotificationsConfig(Section, frozen=True, kw_only=True):
    enabled: Annotated[bool, about("Whether rules are evaluated and notifications delivered", live=True)] = True
    critical_enabled: Annotated[bool, about("Whether critical notifications are delivered", live=True)] = True
    warning_enabled: Annotated[bool, about("Whether warnings are delivered", live=True)] = True
    info_enabled: Annotated[bool, about("Whether informational notifications are delivered", live=True)] = True
    external_url: Annotated[
        str,
        about(
            "Address under which people reach the page, e.g. https://citadel.example.org: every message links to it;"
            " empty: no links",
            live=True,
        ),
    ] = ""
    delivery_timeout: Annotated[Seconds, about("Seconds one delivery attempt may take", live=True)] = 10
    notification_channels: Annotated[list[DeliveryChannel], about("Delivery channels that may be used", live=True)] = (
        msgspec.field(default_factory=lambda: ["websocket", "sse", "email", "slack"])
    )
    notification_rules: Annotated[
        list[RuleConfig], about("The rules; a list here replaces the shipped set", live=True)
    ] = msgspec.field(default_factory=default_rules)
    directory: Annotated[
        str, about("Directory with further rules: each file `*.yaml` in it has a list `rules`", live=True)
    ] = "config/notifications"
    give_up_after: Annotated[
        Duration,
        about(
            "How long a failed delivery is retried; the time of the process that delivers, so a restart begins anew",
            live=True,
        ),
    ] = "4h"
    email: EmailConfig = msgspec.field(default_factory=EmailConfig)
    slack: SlackConfig = msgspec.field(default_factory=SlackConfig)
    receivers: Receivers = {}
    routes: Routes = []
    grouping: GroupingConfig = msgspec.field(default_factory=GroupingConfig)
    inhibit_rules: InhibitRules = []
    time_intervals: TimeIntervals = {}
    silence_notice: Annotated[
        Duration, about("How long before its end a silence is announced once more; 0s: never", live=True)
    ] = "15m"
    heartbeats: Heartbeats = {}
    foreign: ForeignConfig = msgspec.field(default_factory=ForeignConfig)
    decisions: Annotated[
        int, about("Most decisions that GET /notifications/log can look back on", live=True, ge=100)
    ] = 100_000
    webhook: WebhookConfig = msgspec.field(default_factory=WebhookConfig)
    alertmanager: AlertmanagerConfig = msgspec.field(default_factory=AlertmanagerConfig)
    templates: Annotated[
        str,
        about("Directory with templates title.j2, text.j2, html.j2, slack.j2; empty: the shipped ones", live=True),
    ] = ""

    @property
    def page_url(self) -> str:
        """Address of the page without a slash at its end; empty where none is configured."""
        return (self.external_url or self.webhook.external_url).rstrip("/")
