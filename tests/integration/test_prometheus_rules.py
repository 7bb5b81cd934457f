"""The shipped rules: promtool's lint and unit tests, their runbooks, and a real Prometheus that loads them."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.exposition import instrument_process, render
from hxp_enterprise_llm.telemetry.history_metrics import ForecastMetrics, HistoryMetrics
from hxp_enterprise_llm.telemetry.metrics import (
    DashboardMetrics,
    LogMetrics,
    ProcessingMetrics,
    ServiceMetrics,
    StreamingMetrics,
    WorkerMetrics,
)
from hxp_enterprise_llm.telemetry.notification_metrics import NotificationMetrics
from hxp_enterprise_llm.telemetry.otlp_metrics import OtlpMetrics
from hxp_enterprise_llm.telemetry.platform_metrics import PlatformMetrics
from hxp_enterprise_llm.telemetry.source_metrics import SourceMetrics
from tests.integration.promql import faults, labels_of, recorded
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "config/prometheus"
RULES = PROMETHEUS / "rules/data_streaming_alerts.yml"
RULES_TEST = ROOT / "tests/integration/prometheus/rules_test.yml"
SEED_RULES = ROOT / "tests/data/seed003/data_streaming_alerts.yml"
RUNBOOKS = ROOT / "docs/runbooks"
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "Verify it is over"]
ENDPOINTS = {
    "9100": {
        "/analytics",
        "/api/v2/agents",
        "/api/v2/tokens",
        "/events/bounds",
        "/health",
        "/health/live",
        "/sources/engine_system/retry",
        "/sources/status",
    },
    "9102": {
        "/dashboards/operational_overview/data",
        "/dashboards/refresh",
        "/dashboards/status",
        "/dashboards/system_health/data",
        "/health",
        "/health/live",
        "/notifications/channels",
        "/notifications/status",
        "/streams/status",
        "/websocket/status",
    },
}


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=30, check=False)


def groups(path: Path) -> dict[str, Any]:
    return {group["name"]: group for group in yaml.safe_load(path.read_text())["groups"]}


def alerts() -> list[dict[str, Any]]:
    return [rule for group in groups(RULES).values() for rule in group["rules"] if "alert" in rule]


def rule_count() -> int:
    return sum(len(group["rules"]) for group in yaml.safe_load(RULES.read_text())["groups"])


def alert_names() -> list[str]:
    return [rule["alert"] for rule in alerts()]


def new_registry() -> CollectorRegistry:
    """A registry with all that the two services measure."""
    registry = CollectorRegistry(auto_describe=True)
    instrument_process(registry)
    for build in (
        ServiceMetrics,
        LogMetrics,
        ProcessingMetrics,
        PlatformMetrics,
        NotificationMetrics,
        DashboardMetrics,
        OtlpMetrics,
        SourceMetrics,
        WorkerMetrics,
    ):
        build(registry)
    for build in (HistoryMetrics, ForecastMetrics):
        build(registry)
    StreamingMetrics(registry, SystemClock())
    return registry


class TestFiles:
    def test_the_rules_pass_the_lint(self) -> None:
        run = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
        assert run.returncode == 0, run.stdout + run.stderr
        assert f"SUCCESS: {rule_count()} rules found" in run.stdout

    def test_the_example_configuration_loads_the_rules(self) -> None:
        run = promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))
        assert run.returncode == 0, run.stdout + run.stderr

    def test_every_alert_fires_and_does_not_fire(self) -> None:
        run = promtool("test", "rules", str(RULES_TEST))
        assert run.returncode == 0, run.stdout + run.stderr

    def test_a_wrong_expectation_would_be_seen(self, tmp_path: Path) -> None:
        text = RULES_TEST.read_text().replace("../../../config/prometheus/rules/data_streaming_alerts.yml", str(RULES))
        wrong = tmp_path / "wrong.yml"
        wrong.write_text(text.replace("values: 0.25+0x10", "values: 0.05+0x10"))
        assert promtool("test", "rules", str(wrong)).returncode == 1

    @pytest.mark.parametrize("name", alert_names())
    def test_each_alert_is_tested_both_ways(self, name: str) -> None:
        cases = [
            case
            for test in yaml.safe_load(RULES_TEST.read_text())["tests"]
            for case in test["alert_rule_test"]
            if case["alertname"] == name
        ]
        assert {bool(case.get("exp_alerts")) for case in cases} == {True, False}

    def test_the_seeds_group_is_as_given(self) -> None:
        assert groups(RULES)["data_streaming_alerts"] == groups(SEED_RULES)["data_streaming_alerts"]

    def test_our_alerts_say_what_to_do(self) -> None:
        for rule in groups(RULES)["citadel_alerts"]["rules"]:
            assert rule["labels"]["severity"] in {"critical", "warning", "info"}
            assert {"summary", "description", "runbook_url"} == set(rule["annotations"])
            assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{rule['alert']}.md")

    def test_the_jobs_of_the_alerts_are_those_of_the_example(self) -> None:
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
        jobs = {job["job_name"] for job in config["scrape_configs"]}
        assert set(re.findall(r'job="([^"]+)"', RULES.read_text())) == jobs


def exposed_names() -> set[str]:
    names = set()
    for family in new_registry().collect():
        names.add(family.name)
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "summary": ["_count", "_sum"]}
        names.update(family.name + suffix for suffix in suffixes.get(family.type, []))
    return names | {"up"}


def metrics_in(expression: str) -> set[str]:
    """Names of metrics in an expression: words that are no function, keyword, label or text."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(?:by|on|without)\s*\([^)]*\)', " ", expression)
    return set(re.findall(r"\b[a-z][a-z0-9_:]*_[a-z0-9_:]+\b(?!\s*\()|\bup\b", bare))


class TestNames:
    def test_every_metric_in_a_rule_is_measured_or_recorded(self) -> None:
        rules = [rule for group in groups(RULES).values() for rule in group["rules"]]
        recorded = {rule["record"] for rule in rules if "record" in rule}
        used = {name for rule in rules for name in metrics_in(rule["expr"])}
        assert len(used) > 15
        assert used - exposed_names() - recorded == set()

    def test_every_metric_in_a_runbook_is_measured_or_recorded(self) -> None:
        recorded = {rule["record"] for group in groups(RULES).values() for rule in group["rules"] if "record" in rule}
        pages = "\n".join(path.read_text() for path in RUNBOOKS.glob("*.md"))
        queries = re.findall(r"promtool query instant \S+ '([^']+)'", pages)
        assert len(queries) > 20
        assert {name for query in queries for name in metrics_in(query)} - exposed_names() - recorded == set()


def known_labels() -> dict[str, set[str]]:
    """Of all that is measured, and of the recording rules."""
    rules = [rule for group in groups(RULES).values() for rule in group["rules"]]
    measured = labels_of(new_registry())
    return measured | recorded(rules, measured)


class TestLabels:
    def test_every_label_in_a_rule_is_one_of_its_metric(self) -> None:
        known = known_labels()
        for rule in (rule for group in groups(RULES).values() for rule in group["rules"]):
            shown = " ".join(rule.get("annotations", {}).values())
            assert list(faults(rule["expr"], shown, known)) == [], rule.get("alert", rule.get("record"))

    def test_every_label_in_a_runbook_is_one_of_its_metric(self) -> None:
        known = known_labels()
        pages = "\n".join(path.read_text() for path in RUNBOOKS.glob("*.md"))
        for query in re.findall(r"promtool query instant \S+ '([^']+)'", pages):
            assert list(faults(query, "", known)) == [], query

    @pytest.mark.parametrize(
        ("expression", "shown", "fault"),
        [
            ('citadel_source_up{sourze="x"}', "", "citadel_source_up has no label sourze"),
            ("sum by (chanel) (rate(notification_delivery_total[5m]))", "", "nobody has the label chanel"),
            ("sum by (channel) (notification_delivery_total)", "{{ $labels.job }}", "the result has no label job"),
            ("citadel_source_up == 0", "{{instanze}} {{source}}", "the result has no label instanze"),
            ("job:notification_delivery_failures:ratio_rate5m", "{{channel}}", "the result has no label channel"),
            ("sum by (job, le) (rate(citadel_log_events_appended_total[5m]))", "", "nobody has the label le"),
        ],
    )
    def test_a_label_that_nobody_has_is_found(self, expression: str, shown: str, fault: str) -> None:
        assert list(faults(expression, shown, known_labels())) == [fault]


class TestRunbooks:
    def test_each_alert_has_a_page_and_each_page_an_alert(self) -> None:
        pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
        assert pages == set(alert_names())

    @pytest.mark.parametrize("name", alert_names())
    def test_a_page_has_its_headings_and_each_says_something(self, name: str) -> None:
        text = (RUNBOOKS / f"{name}.md").read_text()
        parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
        assert parts[0].strip() == f"# {name}"
        assert parts[1::2] == HEADINGS
        assert all(len(part.strip()) > 20 for part in parts[2::2])

    def test_the_overview_names_each_alert_with_its_severity(self) -> None:
        rows = re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
        assert sorted(rows) == sorted((rule["alert"], rule["labels"]["severity"]) for rule in alerts())

    def test_curl_lines_ask_for_endpoints_that_exist(self) -> None:
        pages = "\n".join(path.read_text() for path in RUNBOOKS.glob("*.md"))
        asked = re.findall(r"curl [^\n`]*?http://127\.0\.0\.1:(\d+)(/[^\s`?']*)", pages)
        assert len(asked) > 20
        assert {(port, path) for port, path in asked if path not in ENDPOINTS[port]} == set()

    def test_links_between_pages_lead_somewhere(self) -> None:
        for page in RUNBOOKS.glob("*.md"):
            for target in re.findall(r"\]\((\w+\.md)\)", page.read_text()):
                assert (RUNBOOKS / target).is_file(), f"{page.name} → {target}"


@asynccontextmanager
async def serving(registry: CollectorRegistry) -> AsyncIterator[int]:
    """A small server of the metrics page; gives its port."""

    async def page(request: web.Request) -> web.Response:
        content_type, body = render(registry, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/metrics", page)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def configuration(port: int) -> str:
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"},
            "rule_files": [str(RULES)],
            "scrape_configs": [
                {"job_name": "citadel-data-streaming-api", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            ],
        }
    )


@asynccontextmanager
async def prometheus(directory: Path, port: int, target: int) -> AsyncIterator[str]:
    """A real Prometheus that scrapes one target; gives its address."""
    (directory / "prometheus.yml").write_text(configuration(target))
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 15)


async def answer(session: aiohttp.ClientSession, url: str, key: str) -> list[Any]:
    """Ask until the list under `data.<key>` is not empty; the test's own timeout is the limit."""
    while True:
        try:
            async with session.get(url) as response:
                found: list[Any] = (await response.json())["data"][key] if response.status == 200 else []
        except aiohttp.ClientConnectionError:
            found = []
        if found:
            return found
        await asyncio.sleep(0.1)


async def test_a_real_prometheus_scrapes_the_page_and_answers_the_seeds_query(tmp_path: Path) -> None:
    registry = CollectorRegistry(auto_describe=True)
    streaming = StreamingMetrics(registry, SystemClock())
    streaming.latency.observe(0.025)
    streaming.connected("websocket", 1)
    async with (
        asyncio.timeout(150),
        serving(registry) as target,
        prometheus(tmp_path, free_port(), target) as url,
        aiohttp.ClientSession() as session,
    ):
        result = await answer(session, f"{url}/api/v1/query?query=data_streaming_latency", "result")
        gauges = await answer(session, f"{url}/api/v1/query?query=streaming_connections_total", "result")
        loaded = await answer(session, f"{url}/api/v1/rules", "groups")
    assert {(row["metric"]["quantile"], row["value"][1]) for row in result} == {
        ("0.5", "0.025"),
        ("0.95", "0.025"),
        ("0.99", "0.025"),
    }
    assert [row["value"][1] for row in gauges] == ["1"]
    rules = [rule for group in loaded for rule in group["rules"]]
    assert len(rules) == rule_count()
    assert {rule["name"] for rule in rules if rule["type"] == "alerting"} == set(alert_names())
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
