"""Rules: conditions over the metrics snapshot, and whom they tell."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hxp_enterprise_llm.config.types import Duration, Section, about

Priority = Literal["critical", "warning", "info"]
Label = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
NoDataPolicy = Literal["keep", "alert", "ok"]

ENGINE_ALERT = "RuleEvaluationFailing"
"""The alert about a rule that cannot be evaluated; no rule may have its name."""


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
    resolve_condition: Annotated[
        str,
        about(
            "What must hold before it resolves, instead of the condition being false; e.g. `error_rate < 0.1`",
            live=True,
            max_length=1024,
        ),
    ] = ""
    by: Annotated[
        list[Label],
        about(
            "Labels by which it is evaluated, an alert for each label set; the metrics must be broken down so",
            live=True,
        ),
    ] = []
    limit: Annotated[
        int,
        about(
            "by: most label sets; with more the rule is in error and its alerts stay as they are",
            live=True,
            ge=1,
            le=1000,
        ),
    ] = 100
    no_data: Annotated[
        NoDataPolicy,
        about("When its metrics have no value for `no_data_after`: keep the state, fire, or resolve", live=True),
    ] = "keep"
    no_data_after: Annotated[Duration, about("How long values must be missing before that counts", live=True)] = "1m"
    labels: Annotated[dict[Label, str], about("Further labels of the alert, for routing", live=True)] = {}
    annotations: Annotated[
        dict[Label, str], about("Further texts of the alert; {metric} and {label} names are filled in", live=True)
    ] = {}
    runbook_url: Annotated[str, about("What to do when it fires: an annotation of that name", live=True)] = ""
    summary: Annotated[str, about("One sentence for people; {metric} and {label} names are filled in", live=True)] = ""


class RuleFile(Section, frozen=True, kw_only=True):
    """A file of `real_time_notifications.directory`."""

    rules: Annotated[list[RuleConfig], about("Rules, beside those of the service's own file", live=True)] = []


def default_rules() -> list[RuleConfig]:
    """The seed's three rules."""
    return [
        RuleConfig(name="critical_alert", condition="error_rate > 0.2", channel="all", priority="critical"),
        RuleConfig(name="performance_warning", condition="latency > 2000", channel="websocket", priority="warning"),
        RuleConfig(name="system_info", condition="throughput > 1000", channel="sse", priority="info"),
    ]
