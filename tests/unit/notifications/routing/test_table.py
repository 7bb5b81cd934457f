"""Routing out of the configuration: every fault, with its place in the file."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from hxp_enterprise_llm.config.faults import ConfigFaults
from hxp_enterprise_llm.config.loader import parse
from hxp_enterprise_llm.config.processing import AnalyticsConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.notifications.routing.table import RoutingFaults, check_routing, compile_routing
from hxp_enterprise_llm.orchestration.check import check_streaming
from tests.unit.notifications.routing.ways import settings

PLACE = "real_time_notifications"


PROGRAMS = ["webhook", "alertmanager"]
WEBHOOK = {
    "notification_channels": PROGRAMS,
    "webhook": {"endpoints": [{"name": "pager", "url": "http://127.0.0.1:1/"}]},
}


@pytest.mark.parametrize(
    ("parts", "path", "message"),
    [
        (
            {"routes": [{"receiver": "onkall"}]},
            "routes[0].receiver",
            "unknown receiver 'onkall' (did you mean oncall?)",
        ),
        ({"routes": [{"receiver": "x"}]}, "routes[0].receiver", "unknown receiver 'x'; define it under receivers"),
        (
            {"routes": [{"matchers": ["a=b", "a=~("]}]},
            "routes[0].matchers[1]",
            "'a=~\"(\"' is no matcher: the regular expression cannot be read: missing ) at '('",
        ),
        ({"routes": [{"group_by": ["a-b"]}]}, "routes[0].group_by[0]", "'a-b' is no name of a label"),
        (
            {"routes": [{"mute_time_intervals": ["night"]}]},
            "routes[0].mute_time_intervals[0]",
            "unknown time interval 'night'; define it under time_intervals",
        ),
        (
            {"routes": [{"escalate": [{"after": "5m", "receiver": "team"}, {"after": "5m", "receiver": "team"}]}]},
            "routes[0].escalate[1].after",
            "must be later than the step before",
        ),
        ({"receivers": {"slack": {"channel": "slack"}}}, "receivers.slack", "slack is a channel, which is a receiver"),
        ({"receivers": {"a": {"channel": "all", "to": ["x"]}}}, "receivers.a.to", "recipients belong to one channel"),
        ({"receivers": {"a": {"channel": "sse", "to": ["x"]}}}, "receivers.a.to", "recipients belong to one channel"),
        (
            {"receivers": {"a": {"channel": "email", "to": ["a@x", "b@x, c@x"]}}},
            "receivers.a.to[1]",
            "'b@x, c@x' is no e-mail address such as ops@example.org",
        ),
        (
            {"receivers": {"a": {"channel": "webhook", "to": ["pagr"]}}} | WEBHOOK,
            "receivers.a.to[0]",
            "unknown recipient 'pagr' (did you mean pager?)",
        ),
        (
            {"receivers": {"a": {"channel": "alertmanager", "to": ["http://x"]}}, "notification_channels": PROGRAMS},
            "receivers.a.to[0]",
            f"unknown recipient 'http://x'; name it in {PLACE}.alertmanager.urls",
        ),
        (
            {"receivers": {"a": {"channel": "sse"}}, "notification_channels": ["slack"]},
            "receivers.a.channel",
            "notification_channels does not list sse",
        ),
        (
            {"inhibit_rules": [{"source_matchers": [], "target_matchers": ["a=b"]}]},
            "inhibit_rules[0].source_matchers",
            "",
        ),
        ({"time_intervals": {"n": {"location": "Nowhere"}}}, "time_intervals.n.location", "unknown time zone"),
        ({"heartbeats": {"h": {}}}, "heartbeats.h", "names neither a url nor a receiver"),
        ({"heartbeats": {"h": {"url": "ftp://x"}}}, "heartbeats.h.url", "must be a URL such as"),
        ({"heartbeats": {"h": {"url": "http://x", "every": "10ms"}}}, "heartbeats.h.every", "must be at least 1s"),
    ],
)
def test_a_fault_is_named_with_its_path(parts: dict[str, Any], path: str, message: str) -> None:
    (fault,) = check_routing(settings(**parts))
    assert fault.path == f"{PLACE}.{path}"
    assert fault.message.startswith(message)
    with pytest.raises(RoutingFaults) as refused:
        compile_routing(settings(**parts))
    assert str(refused.value) == f"{fault.path}: {fault.message}"


def test_all_faults_are_named_at_once_with_file_line_and_column() -> None:
    text = yaml.safe_dump({PLACE: {"routes": [{"receiver": "nobody"}, {"matchers": ["="]}]}})
    with pytest.raises(ConfigFaults) as refused:
        check_streaming(parse(StreamingConfig, text, {}, name="api.yaml"), AnalyticsConfig())
    assert [(fault.name, fault.line, fault.path) for fault in refused.value.faults] == [
        ("api.yaml", 3, f"{PLACE}.routes[0].receiver"),
        ("api.yaml", 5, f"{PLACE}.routes[1].matchers[0]"),
    ]


@pytest.mark.parametrize(("value", "shown"), [([1], "a list"), ("agent", '"agent" (text)')])
def test_labels_of_a_group_are_a_list_or_nothing(value: Any, shown: str) -> None:
    with pytest.raises(ConfigFaults) as refused:
        parse(StreamingConfig, yaml.safe_dump({PLACE: {"routes": [{"group_by": value}]}}), {}, name="api.yaml")
    (fault,) = refused.value.faults
    assert (fault.path, fault.message) == (
        f"{PLACE}.routes[0].group_by",
        f"expected a list of text, or nothing, got {shown}",
    )


@pytest.mark.parametrize(
    ("key", "text"),
    [("group_wait", "3700d"), ("repeat_interval", "4000d")],
)
def test_durations_are_bounded(key: str, text: str) -> None:
    with pytest.raises(ConfigFaults) as refused:
        parse(StreamingConfig, yaml.safe_dump({PLACE: {"routes": [{key: text}]}}), {}, name="api.yaml")
    (fault,) = refused.value.faults
    assert (fault.line, fault.path, fault.message) == (
        3,
        f"{PLACE}.routes[0].{key}",
        f"must be at most 3650d, is {text}",
    )
