from __future__ import annotations

from hxp_enterprise_llm.config.loader import parse
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.reload import Changes, differences, in_force
from hxp_enterprise_llm.config.streaming import StreamingConfig


def _changed(text: str) -> Changes:
    return differences(StreamingConfig(), parse(StreamingConfig, text, {}).config)


def test_nothing_changed() -> None:
    changes = _changed("service: {port: 9102}")
    assert changes == Changes([], [])
    assert not changes


def test_live_keys_and_those_that_need_a_restart() -> None:
    changes = _changed("service: {port: 9, host: h}\nsse: {max_connections: 7}\nchannels: {mine: {types: ['*']}}")
    assert changes
    assert changes.live == ["sse.max_connections"]
    assert changes.restart == ["service.port", "service.host", "channels"]


def test_keys_of_inner_sections() -> None:
    assert _changed("real_time_notifications: {email: {to: [a@b], from: c@d}}").live == [
        "real_time_notifications.email.from",
        "real_time_notifications.email.to",
    ]


def test_a_list_of_rules_is_one_key() -> None:
    rule = "{name: a, condition: x > 1}"
    changes = _changed(f"real_time_notifications: {{notification_rules: [{rule}]}}")
    assert changes == Changes(["real_time_notifications.notification_rules"], [])


def test_metrics_are_live_and_windows_are_not() -> None:
    new = parse(ProcessingConfig, "analytics: {windows: [10s], metrics: []}", {}).config
    assert differences(ProcessingConfig(), new) == Changes(["analytics.metrics"], ["analytics.windows"])


def test_what_holds_after_a_reload() -> None:
    """Live keys are the new ones, in inner sections too; the others wait for the restart."""
    old = parse(ProcessingConfig, "service: {port: 1}\nlog: {disk_budget_bytes: 50, segment_bytes: 6}", {}).config
    logs = "log: {disk_budget_bytes: 70, segment_bytes: 8}"
    text = f"service: {{port: 2}}\n{logs}\nanalytics: {{windows: [10s], metrics: []}}"
    new = parse(ProcessingConfig, text, {}).config
    held = in_force(old, new)
    assert (held.service.port, held.log.disk_budget_bytes, held.log.segment_bytes) == (1, 70, 6)
    assert (held.analytics.windows, held.analytics.metrics) == (old.analytics.windows, [])
    assert not differences(held, new).live
    assert not differences(old, held).restart
