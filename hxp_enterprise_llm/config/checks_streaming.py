"""Checks of StreamingConfig: channels that exist, ports of known dashboards, rules that reach somebody."""

from __future__ import annotations

from collections.abc import Iterator

from hxp_enterprise_llm.config import checks_rules
from hxp_enterprise_llm.config.addresses import is_address
from hxp_enterprise_llm.config.checks_routing import routing
from hxp_enterprise_llm.config.delivery import EmailConfig
from hxp_enterprise_llm.config.faults import shown
from hxp_enterprise_llm.config.findings import (
    Check,
    Finding,
    Given,
    duration,
    endpoint,
    networks,
    origins,
    page,
    unique,
)
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.paths import suggestion
from hxp_enterprise_llm.config.streaming import StreamingConfig

STRATEGIES = ("full_refresh", "incremental_update", "delta_sync", "smart_refresh")
_NOTIFICATIONS = "real_time_notifications"


def security(config: StreamingConfig, _given: Given) -> Iterator[Finding]:
    """Networks, origins and hosts."""
    yield from networks(config.security)
    yield from origins(config.security)


def websocket_channels(config: StreamingConfig, _given: Given) -> Iterator[Finding]:
    """The channels listed for WebSocket exist."""
    yield from _channels(config, "websocket.channels", config.websocket.channels)


def sse_streams(config: StreamingConfig, _given: Given) -> Iterator[Finding]:
    """The streams listed for SSE exist."""
    yield from _channels(config, "sse.streams", config.sse.streams)


def high_frequency_streams(config: StreamingConfig, _given: Given) -> Iterator[Finding]:
    """The high-frequency streams exist."""
    yield from _channels(config, "high_frequency_streams.streams", config.high_frequency_streams.streams)


def dashboards(config: StreamingConfig, given: Given) -> Iterator[Finding]:
    """Dashboards are listed once; ports belong to dashboards and to one of them each."""
    section = config.live_dashboard
    yield from unique("live_dashboard.dashboards", section.dashboards)
    if not given("live_dashboard.ports"):
        return  # the default ports hold for whichever of their dashboards are served
    taken = {config.service.port: "service.port"}
    for name, port in section.ports.items():
        path = f"live_dashboard.ports.{name}"
        if name not in section.dashboards:
            near = suggestion(name, section.dashboards)
            yield Finding(path, f"unknown dashboard {name!r}{near}; live_dashboard.dashboards lists the known ones")
        if port and port in taken:
            yield Finding(path, f"the port {port} is taken by {taken[port]}")
        taken.setdefault(port, path)


def refresh_strategies(config: StreamingConfig, _given: Given) -> Iterator[Finding]:
    """Each strategy is a map of one known name."""
    for index, strategy in enumerate(config.dashboard_refresh.refresh_strategies):
        path = f"dashboard_refresh.refresh_strategies[{index}]"
        if len(strategy) != 1:
            yield Finding(path, f"must be a map of one strategy to true or false, has {len(strategy)} keys")
        for name in strategy:
            if name not in STRATEGIES:
                near = suggestion(name, STRATEGIES)
                yield Finding(f"{path}.{name}", f"must be one of {', '.join(STRATEGIES)}, is {shown(name)}{near}")


def notifications(config: StreamingConfig, given: Given) -> Iterator[Finding]:
    """Rules have names of their own and go to channels that may be used; addresses and durations can be read."""
    section = config.real_time_notifications
    path = f"{_NOTIFICATIONS}.notification_rules"
    yield from checks_rules.rules(path, section.notification_rules)
    yield from unique(f"{_NOTIFICATIONS}.notification_channels", section.notification_channels)
    yield from _rule_channels(section, path, given(path))
    yield from duration(f"{_NOTIFICATIONS}.give_up_after", section.give_up_after)
    yield from routing(_NOTIFICATIONS, section)
    yield from _addresses(section.email)
    yield from _page(section)
    yield from endpoint(f"{_NOTIFICATIONS}.slack.api_url", section.slack.api_url)
    yield from _programs(section)


def endpoints(config: StreamingConfig, _given: Given) -> Iterator[Finding]:
    """The endpoints are URLs."""
    monitoring = config.monitoring
    for key in monitoring.__struct_fields__:
        if key == "api_key_file":
            continue
        yield from endpoint(f"monitoring.{key}", getattr(monitoring, key))


CHECKS = (
    Check(("security",), security),
    Check(("channels", "websocket"), websocket_channels),
    Check(("channels", "sse"), sse_streams),
    Check(("channels", "high_frequency_streams"), high_frequency_streams),
    Check(("service", "live_dashboard"), dashboards),
    Check(("dashboard_refresh",), refresh_strategies),
    Check((_NOTIFICATIONS,), notifications),
    Check(("monitoring",), endpoints),
)


def _channels(config: StreamingConfig, path: str, names: list[str]) -> Iterator[Finding]:
    known = config.all_channels()
    yield from unique(path, names)
    for index, name in enumerate(names):
        if name not in known:
            advice = suggestion(name, known) or "; define it under channels"
            yield Finding(f"{path}[{index}]", f"unknown channel {name!r}{advice}")


def _rule_channels(section: NotificationsConfig, path: str, given: bool) -> Iterator[Finding]:
    """A rule of the operator must reach its channel; a shipped one that does not is worth a warning."""
    allowed = section.notification_channels
    for index, rule in enumerate(section.notification_rules):
        if rule.channel != "all" and rule.channel not in allowed:
            message = f"the rule {rule.name!r} goes to {rule.channel}, which notification_channels does not list"
            yield Finding(f"{path}[{index}].channel", message, warning=not given)


def _page(section: NotificationsConfig) -> Iterator[Finding]:
    """Where the page is; two places for one address must not contradict each other without a word."""
    former = section.webhook.external_url
    for key, text in (("external_url", section.external_url), ("webhook.external_url", former)):
        if text:
            yield from page(f"{_NOTIFICATIONS}.{key}", text)
    if section.external_url and former and former.rstrip("/") != section.page_url:
        message = f"{_NOTIFICATIONS}.external_url holds instead: remove it here"
        yield Finding(f"{_NOTIFICATIONS}.webhook.external_url", message, warning=True)


def _programs(section: NotificationsConfig) -> Iterator[Finding]:
    """Webhooks and Alertmanagers are URLs, named once, and may be used."""
    path = f"{_NOTIFICATIONS}.webhook.endpoints"
    yield from unique(path, [each.name for each in section.webhook.endpoints], "name")
    for index, each in enumerate(section.webhook.endpoints):
        if each.url:
            yield from endpoint(f"{path}[{index}].url", each.url)
    yield from unique(f"{_NOTIFICATIONS}.alertmanager.urls", section.alertmanager.urls)
    for index, url in enumerate(section.alertmanager.urls):
        yield from endpoint(f"{_NOTIFICATIONS}.alertmanager.urls[{index}]", url)
    yield from duration(f"{_NOTIFICATIONS}.alertmanager.resend_interval", section.alertmanager.resend_interval)
    named = {"webhook.endpoints": section.webhook.endpoints, "alertmanager.urls": section.alertmanager.urls}
    for key, recipients in named.items():
        channel = key.partition(".")[0]
        if recipients and channel not in section.notification_channels:
            message = f"nobody is told by {channel}: add it to {_NOTIFICATIONS}.notification_channels"
            yield Finding(f"{_NOTIFICATIONS}.{key}", message, warning=True)


def _addresses(email: EmailConfig) -> Iterator[Finding]:
    path = f"{_NOTIFICATIONS}.email"
    places = [(f"{path}.from", email.sender)]
    places += [(f"{path}.to[{index}]", address) for index, address in enumerate(email.to)]
    for place, text in places:
        if not is_address(text):
            yield Finding(place, f"must be a mail address such as ops@example.org, is {shown(text)}")
