"""Every metric class, rendered as a page and read by promtool's lint."""

from __future__ import annotations

import asyncio
import subprocess

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.channels import ChannelFigures, HubFigures
from hxp_enterprise_llm.telemetry.exposition import instrument_process, page, render
from hxp_enterprise_llm.telemetry.metrics import (
    DashboardMetrics,
    LogMetrics,
    ProcessingMetrics,
    ServiceMetrics,
    StreamingMetrics,
)
from hxp_enterprise_llm.telemetry.notification_metrics import NotificationMetrics
from hxp_enterprise_llm.telemetry.quantiles import QuantileSummary
from hxp_enterprise_llm.telemetry.rules import RuleFigures

SEED_MISNAMED = {"streaming_connections_total", "websocket_connections_total", "sse_connections_total"}
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def filled() -> CollectorRegistry:
    """A registry with every metric class, and a sample under each metric that has labels."""
    registry = CollectorRegistry(auto_describe=True)
    instrument_process(registry)
    service, log = ServiceMetrics(registry), LogMetrics(registry)
    processing, streaming = ProcessingMetrics(registry), StreamingMetrics(registry, SystemClock())
    notifications, dashboards = NotificationMetrics(registry), DashboardMetrics(registry)
    service.requests.labels("/events", "202").inc()
    service.refused.labels("host_not_allowed").inc()
    service.build.labels("0.1.0").set(1)
    log.append_seconds.observe(0.004)
    log.append_errors.labels("LogFull").inc()
    processing.received.labels("http").inc()
    processing.rejected.labels("invalid").inc()
    processing.tick_seconds.observe(0.002)
    processing.value.labels("latency_p95").set(840)
    streaming.connected("websocket", 1)
    streaming.connected("sse", 1)
    streaming.limit.labels("websocket").set(200)
    streaming.closed.labels("websocket", "client").inc()
    streaming.refused.labels("sse", "limit").inc()
    streaming.delivered.labels("events").inc()
    streaming.sent("events", "sse", 3, 1, 512)
    streaming.channels.source = lambda: HubFigures((ChannelFigures("events", 2, 1, 40),), 1, 1000)
    streaming.latency.observe(0.01)
    streaming.delivery_seconds.observe(0.01)
    notifications.delivery_seconds.labels("email").observe(0.2)
    notifications.outbox.labels("email").set(0)
    notifications.outbox_oldest.labels("email").set(0)
    notifications.rules.source = lambda: [RuleFigures("critical_alert", 9, 1, {"firing": 1})]
    notifications.rule_seconds.observe(0.01)
    dashboards.interval.labels("system_health").set(5)
    dashboards.updates.labels("system_health").inc()
    dashboards.errors.labels("system_health").inc()
    return registry


def lint(page: bytes) -> tuple[int, set[str]]:
    run = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, timeout=20, check=False)
    return run.returncode, set(run.stderr.decode().splitlines())


def test_the_lint_reports_the_seeds_three_gauges_and_nothing_else() -> None:
    code, lines = lint(render(filled())[1])
    assert lines == {f'{name} non-counter metrics should not have "_total" suffix' for name in SEED_MISNAMED}
    assert code == 3


def test_the_lint_does_see_a_fault() -> None:
    code, lines = lint(b"# HELP wrongName x\n# TYPE wrongName gauge\nwrongName 1\n")
    assert code == 3
    assert any("wrongName" in line for line in lines)


def test_text_is_the_default_and_openmetrics_is_given_when_asked_for() -> None:
    registry = filled()
    content_type, page = render(registry)
    assert content_type.startswith("text/plain; version=0.0.4")
    names = {family.name for family in parse_text(page.decode())}
    content_type, page = render(registry, OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert page.endswith(b"# EOF\n")
    assert {"data_streaming_latency_seconds", "notification_delivery"} <= names
    assert "dashboard_update_interval_seconds" in {family.name for family in parse_openmetrics(page.decode())}


def many_rules() -> CollectorRegistry:
    """2,000 rules and every other metric; without the figures of the process, which change as one looks."""
    registry = CollectorRegistry(auto_describe=True)
    ServiceMetrics(registry).requests.labels("/events", "202").inc()
    ProcessingMetrics(registry).tick_seconds.observe(0.002)
    figures = [RuleFigures(f"rule {n}", n, 0, {"firing": n % 2}) for n in range(2000)]
    NotificationMetrics(registry).rules.source = lambda: figures
    return registry


@pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["text", "openmetrics"])
async def test_a_long_page_is_written_while_others_run(accept: str) -> None:
    """Byte for byte what the library writes in one go, and no stretch has more than its share of the samples."""
    registry = many_rules()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    beside = asyncio.create_task(other())
    content_type, written = await page(registry, accept)
    beside.cancel()
    assert (content_type, written) == render(registry, accept)
    assert written.count(b"\ncitadel_rule_state{") == 4 * 2000
    assert turns > 6 * 2000 / 150


def test_process_figures_are_on_the_page() -> None:
    page = render(filled())[1].decode()
    assert "\nprocess_resident_memory_bytes " in page
    assert "\nprocess_open_fds " in page


def test_no_created_series() -> None:
    assert "_created" not in render(filled())[1].decode()


def test_a_connection_counts_under_every_name() -> None:
    registry = CollectorRegistry(auto_describe=True)
    metrics = StreamingMetrics(registry, SystemClock())
    metrics.connected("websocket", 1)
    metrics.connected("websocket", 1)
    metrics.connected("sse", 1)
    metrics.connected("websocket", -1)
    values = {name: registry.get_sample_value(name) for name in (*SEED_MISNAMED,)}
    assert values == {
        "streaming_connections_total": 2,
        "websocket_connections_total": 1,
        "sse_connections_total": 1,
    }
    label = {"transport": "websocket"}
    assert registry.get_sample_value("citadel_streaming_connections", label) == 1
    assert registry.get_sample_value("citadel_streaming_connections_opened_total", label) == 2


def test_series_that_alerts_count_exist_before_the_first_fault() -> None:
    registry = CollectorRegistry(auto_describe=True)
    LogMetrics(registry)
    NotificationMetrics(registry)
    for reason in ("LogFull", "LogUnavailable", "LogClosed"):
        assert registry.get_sample_value("citadel_log_append_errors_total", {"reason": reason}) == 0
    dead = {"channel": "email", "result": "dead"}
    assert registry.get_sample_value("notification_delivery_total", dead) == 0


class TestQuantileSummary:
    def make(self) -> tuple[QuantileSummary, CollectorRegistry, list[float]]:
        now, registry = [0.0], CollectorRegistry()
        return QuantileSummary("x_seconds", "X", registry, lambda: now[0], horizon=60, size=100), registry, now

    def test_quantiles_of_the_recent_values(self) -> None:
        summary, registry, _ = self.make()
        for value in range(1, 101):
            summary.observe(value / 1000)
        assert summary.quantile(0.5) == pytest.approx(0.051)
        assert registry.get_sample_value("x_seconds", {"quantile": "0.99"}) == pytest.approx(0.1)
        assert registry.get_sample_value("x_seconds_count") == 100
        assert registry.get_sample_value("x_seconds_sum") == pytest.approx(5.05)

    def test_old_values_leave_but_stay_in_sum_and_count(self) -> None:
        summary, registry, now = self.make()
        summary.observe(1.0)
        now[0] = 61.0
        assert summary.quantile(0.5) is None
        value = registry.get_sample_value("x_seconds", {"quantile": "0.5"})
        assert value is not None
        assert value != value
        assert registry.get_sample_value("x_seconds_count") == 1

    def test_memory_is_bounded(self) -> None:
        summary, _, _ = self.make()
        for value in range(1000):
            summary.observe(value)
        assert summary.quantile(0.0) == 900
