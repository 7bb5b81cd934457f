"""Checks of the way of alerts: durations that make sense. The rest is checked where it is compiled."""

from __future__ import annotations

from collections.abc import Iterator

from hxp_enterprise_llm.config.findings import Finding, duration
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.routing import GroupingConfig, RouteConfig

_PACE = ("group_wait", "group_interval", "repeat_interval")


def routing(path: str, section: NotificationsConfig) -> Iterator[Finding]:
    """Every duration of the routing."""
    yield from _pace(f"{path}.grouping", section.grouping)
    for index, route in enumerate(section.routes):
        yield from _pace(f"{path}.routes[{index}]", route)
        for step, escalation in enumerate(route.escalate):
            yield from duration(f"{path}.routes[{index}].escalate[{step}].after", escalation.after)
    yield from duration(f"{path}.silence_notice", section.silence_notice, least=-1)
    yield from duration(f"{path}.foreign.resolve_timeout", section.foreign.resolve_timeout)
    yield from duration(f"{path}.foreign.webhook_timeout", section.foreign.webhook_timeout)
    for name, beat in section.heartbeats.items():
        yield from duration(f"{path}.heartbeats.{name}.every", beat.every)


def _pace(path: str, section: GroupingConfig | RouteConfig) -> Iterator[Finding]:
    for key in _PACE:
        text = getattr(section, key)
        if text:
            yield from duration(f"{path}.{key}", text, least=-1)
