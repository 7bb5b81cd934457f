"""The way of an alert to people: receivers, routes, inhibition, times, heartbeats."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hxp_enterprise_llm.config.delivery import DeliveryChannel
from hxp_enterprise_llm.config.types import Duration, DurationOrNone, Name, Section, about


class ReceiverConfig(Section, frozen=True, kw_only=True):
    """Somebody who is told: a channel, and whom within it."""

    channel: Annotated[
        DeliveryChannel | Literal["all"], about("Delivery channel; all: every one that is on", live=True)
    ]
    to: Annotated[
        list[str],
        about("Recipients within the channel (addresses, Slack channels); empty: the channel's own", live=True),
    ] = []
    send_resolved: Annotated[bool, about("Whether the end of an alert is told as well", live=True)] = True


class EscalationConfig(Section, frozen=True, kw_only=True):
    """Who else is told when nothing happens."""

    after: Annotated[Duration, about("Time since the group was first told", live=True)]
    if_: Annotated[
        Literal["unacked", "firing"],
        about("unacked: only while an alert is not acknowledged; firing: while one fires", live=True),
    ] = msgspec.field(name="if", default="unacked")
    receiver: Annotated[str, about("Receiver, or a channel's name", live=True)]


class GroupingConfig(Section, frozen=True, kw_only=True):
    """What holds for every route that does not say otherwise."""

    group_by: Annotated[
        list[str], about("Labels whose alerts are told together; `...`: each alert by itself; []: all", live=True)
    ] = msgspec.field(default_factory=lambda: ["alertname"])
    group_wait: Annotated[
        Duration, about("How long a new group waits for more alerts; critical ones do not wait", live=True)
    ] = "0s"
    group_interval: Annotated[
        Duration, about("Least time between two notifications of a group about what has changed", live=True)
    ] = "0s"
    repeat_interval: Annotated[
        Duration, about("When alerts that still fire, and that nobody has acknowledged, are told again", live=True)
    ] = "4h"


class RouteConfig(Section, frozen=True, kw_only=True):
    """Alerts that match go to a receiver."""

    matchers: Annotated[
        list[str],
        about('Labels that must match, e.g. `severity="critical"`, `agent=~"pay.*"`; empty: all', live=True),
    ] = []
    receiver: Annotated[str, about("Receiver, or a channel's name; empty: the `channel` of the rule", live=True)] = ""
    continue_: Annotated[bool, about("Whether later routes are looked at as well", live=True)] = msgspec.field(
        name="continue", default=False
    )
    group_by: Annotated[list[str] | None, about("As in `grouping`; null: what is there", live=True)] = None
    group_wait: Annotated[DurationOrNone, about("As in `grouping`; empty: what is there", live=True)] = ""
    group_interval: Annotated[DurationOrNone, about("As in `grouping`; empty: what is there", live=True)] = ""
    repeat_interval: Annotated[DurationOrNone, about("As in `grouping`; empty: what is there", live=True)] = ""
    mute_time_intervals: Annotated[list[str], about("Times in which nothing is told", live=True)] = []
    active_time_intervals: Annotated[list[str], about("Times outside of which nothing is told", live=True)] = []
    escalate: Annotated[list[EscalationConfig], about("Who else is told, and after how long", live=True)] = []


class InhibitConfig(Section, frozen=True, kw_only=True):
    """While an alert that matches `source_matchers` fires, those that match `target_matchers` are not told."""

    source_matchers: Annotated[list[str], about("Labels of the alert that inhibits", live=True)]
    target_matchers: Annotated[list[str], about("Labels of the alerts that are inhibited", live=True)]
    equal: Annotated[list[str], about("Labels whose values must be the same in both", live=True)] = []


class TimeRangeConfig(Section, frozen=True, kw_only=True):
    """A range of times of the day."""

    start_time: Annotated[str, about("HH:MM", live=True)]
    end_time: Annotated[str, about("HH:MM, not included; 24:00 ends the day", live=True)]


class TimeIntervalConfig(Section, frozen=True, kw_only=True):
    """A time that returns. What is not given always matches; all that is given must."""

    times: Annotated[list[TimeRangeConfig], about("Times of the day", live=True)] = []
    weekdays: Annotated[list[str], about("`monday`, or a range such as `monday:friday`", live=True)] = []
    days_of_month: Annotated[list[str], about("`1`, `1:7`, `-3:-1` from the end", live=True)] = []
    months: Annotated[list[str], about("`january`, `1:3`", live=True)] = []
    years: Annotated[list[str], about("`2026`, `2026:2028`", live=True)] = []
    location: Annotated[str, about("Time zone, e.g. Europe/Berlin", live=True)] = "UTC"


class HeartbeatConfig(Section, frozen=True, kw_only=True):
    """A sign of life: whoever misses it knows that nobody would be told anything."""

    every: Annotated[Duration, about("Time between two signs of life", live=True)] = "1m"
    url: Annotated[str, about("URL that is asked; empty: none", live=True)] = ""
    method: Annotated[Literal["GET", "POST"], about("How it is asked", live=True)] = "GET"
    receiver: Annotated[str, about("Receiver that is told that `Watchdog` fires; empty: none", live=True)] = ""


class ForeignConfig(Section, frozen=True, kw_only=True):
    """Alerts from Prometheus and Alertmanager."""

    resolve_timeout: Annotated[
        Duration, about("When an alert without an end resolves that is not sent again (POST /api/v2/alerts)", live=True)
    ] = "5m"
    webhook_timeout: Annotated[
        Duration,
        about("The same for POST /notifications/alertmanager; longer than the sender's repeat_interval", live=True),
    ] = "24h"
    max_alerts: Annotated[int, about("Most alerts from outside that are kept at once", live=True, ge=1)] = 5000


Receivers = Annotated[dict[Name, ReceiverConfig], about("Who is told, by name", live=True)]
Routes = Annotated[
    list[RouteConfig],
    about("Who is told of which alerts; the first that matches. No route: the rule's channel", live=True),
]
InhibitRules = Annotated[list[InhibitConfig], about("Which alerts make others superfluous", live=True)]
TimeIntervals = Annotated[dict[Name, TimeIntervalConfig], about("Times that routes refer to, by name", live=True)]
Heartbeats = Annotated[dict[Name, HeartbeatConfig], about("Signs of life to a dead man's switch, by name", live=True)]
