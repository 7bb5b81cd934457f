"""Rules: conditions over the metrics snapshot, and whom they tell."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hxp_enterprise_llm.config.types import Duration, Section, about

Priority = Literal["critical", "warning", "info"]


class RuleConfig(Section, frozen=True, kw_only=True):
    """A condition over the metrics snapshot and whom it tells."""

    name: Annotated[str, about("Name of the rule", live=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
    condition: Annotated[
        str, about("CEL over the metrics, e.g. `error_rate > 0.2`", live=True, min_length=1, max_length=1024)
    ]
    channel: Annotated[
        Literal["all", "websocket", "sse", "email", "slack", "webhook", "alertmanager"],
        about("Delivery channel; all: every one that is on", live=True),
    ] = "all"
    priority: Annotated[Priority, about("Severity of the alert", live=True)] = "warning"
    for_: Annotated[Duration, about("How long the condition must hold before the alert fires", live=True)] = (
        msgspec.field(name="for", default="0s")
    )
    keep_firing_for: Annotated[
        Duration, about("How long the condition must be false before it resolves", live=True)
    ] = "0s"
    summary: Annotated[str, about("One sentence for people; {metric} names are filled in", live=True)] = ""


def default_rules() -> list[RuleConfig]:
    """The seed's three rules."""
    return [
        RuleConfig(name="critical_alert", condition="error_rate > 0.2", channel="all", priority="critical"),
        RuleConfig(name="performance_warning", condition="latency > 2000", channel="websocket", priority="warning"),
        RuleConfig(name="system_info", condition="throughput > 1000", channel="sse", priority="info"),
    ]
