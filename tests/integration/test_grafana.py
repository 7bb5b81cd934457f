"""The Grafana dashboards: form, provisioning, and that every expression asks for what the daemon really exposes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families as parse
from prometheus_client.samples import Sample

from tests.integration.daemon import Daemon
from tests.integration.promql import faults, labels_of, selectors
from tests.integration.test_prometheus_rules import (
    RULES,
    exposed_names,
    known_labels,
    metrics_in,
    new_registry,
    promtool,
)

GRAFANA = Path(__file__).parents[2] / "config/grafana"
BOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
SEED = {
    "Data Streaming Latency": ["data_streaming_latency_seconds"],
    "Dashboard Update Frequency": ["dashboard_update_interval_seconds"],
    "Streaming Connections": ["streaming_connections_total", "websocket_connections_total", "sse_connections_total"],
    "Notification Delivery Rate": ["rate(notification_delivery_total[5m])"],
}


def board(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def expressions() -> list[str]:
    return [target["expr"] for path in BOARDS for panel in board(path)["panels"] for target in panel["targets"]]


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.name)
def test_a_dashboard_can_be_provisioned(path: Path) -> None:
    """A fixed uid and no id, so that an update replaces it; the data source is chosen, not named; no Angular panels."""
    found = board(path)
    assert (found["id"], found["uid"].startswith("citadel-")) == (None, True)
    assert {panel["type"] for panel in found["panels"]} <= {"timeseries", "stat"}
    assert {panel["datasource"]["uid"] for panel in found["panels"]} == {"${datasource}"}
    assert [variable["name"] for variable in found["templating"]["list"]] == ["datasource"]
    assert len({panel["id"] for panel in found["panels"]}) == len(found["panels"]) >= 10
    taken: set[tuple[int, int]] = set()
    for panel in found["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{panel['title']} lies on another"
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.name)
def test_a_dashboard_is_what_grafana_knows(path: Path) -> None:
    """Read into Grafana's own models and written again, with those of each panel and query: nothing is left out.

    `titleFormat` belongs to annotations of Prometheus, which have no model.
    """
    register_default_plugins()
    found = board(path)
    known = json.loads(JSONEncoder().encode(Dashboard.from_json(found)))
    assert set(left_out(found, known)) <= {"annotations.list.0.titleFormat"}


def test_what_grafana_does_not_know_is_found() -> None:
    register_default_plugins()
    found = board(BOARDS[0])
    found["panels"][0]["fieldConfig"]["defaults"]["unitt"] = "s"
    found["panels"][1]["targets"][0]["expression"] = "up"
    known = json.loads(JSONEncoder().encode(Dashboard.from_json(found)))
    assert {"panels.0.fieldConfig.defaults.unitt", "panels.1.targets.0.expression"} <= set(left_out(found, known))


def left_out(found: Any, known: Any, at: str = "") -> Iterator[str]:
    """Paths of what is in the one and not, or not the same, in the other."""
    if isinstance(found, dict) and isinstance(known, dict):
        pairs = [(str(key), value, known.get(key)) for key, value in found.items()]
    elif isinstance(found, list) and isinstance(known, list) and len(found) == len(known):
        pairs = [(str(key), value, known[key]) for key, value in enumerate(found)]
    else:
        if found != known:
            yield at.removeprefix(".")
        return
    for key, value, other in pairs:
        yield from left_out(value, other, f"{at}.{key}")


def test_the_seeds_panels_are_there() -> None:
    panels = {panel["title"]: panel for panel in board(GRAFANA / "dashboards/data-streaming.json")["panels"]}
    for title, asked in SEED.items():
        assert [target["expr"] for target in panels[title]["targets"]] == asked


def test_the_provisioning_names_what_is_there() -> None:
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/citadel.yaml").read_text())["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)
    assert provider["options"]["path"] in (GRAFANA / "README.md").read_text()
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/citadel.yaml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    assert len({board(path)["uid"] for path in BOARDS}) == len(BOARDS) == 3


def test_promtool_reads_every_expression(tmp_path: Path) -> None:
    """As rules, which is how promtool parses PromQL without a server."""
    rules = [{"record": f"panel:{number}:x", "expr": expr} for number, expr in enumerate(expressions())]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    checked = promtool("check", "rules", str(path))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.name)
def test_every_label_is_one_of_its_metric(path: Path) -> None:
    known = known_labels()
    for panel in board(path)["panels"]:
        for target in panel["targets"]:
            assert list(faults(target["expr"], target.get("legendFormat", ""), known)) == [], panel["title"]


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


def silent(samples: list[Sample]) -> set[str]:
    """What rules ask for and the pages do not have. An alert on `increase()` misses the step from no series to 1."""
    asked = [selector for rule in rules() for selector in selectors(rule["expr"])]
    own = [each for each in asked if each.name not in recorded() | {"up"}]
    return {f"{each.name}{[*each.matchers]}" for each in own if not each.picks(samples)}


async def test_every_series_that_a_rule_asks_for_is_there_from_the_start(tmp_path: Path) -> None:
    """Name, labels and values, on the pages of a program to which nothing has happened yet."""
    config, gateway = tmp_path / "processing.yaml", tmp_path / "gateway.yaml"
    config.write_text("service: {aggregation_process: own}\nsources: {prometheus: {endpoint: 'http://127.0.0.1:9'}}\n")
    gateway.write_text("real_time_notifications: {heartbeats: {a: {every: 1h, url: 'http://127.0.0.1:9'}}}\n")
    options = ["--processing-config", str(config), "--config", str(gateway)]
    async with (
        asyncio.timeout(100),
        aiohttp.ClientSession() as session,
        Daemon(tmp_path / "data", *options) as daemon,
    ):
        # The process that counts comes after the one that takes events in.
        while silent(samples := samples_of(await pages_of(session, daemon))):
            await asyncio.sleep(0.2)
    known = labels_of(new_registry())
    for sample in (each for each in samples if not each.name.startswith(("process_", "python_"))):
        name = sample.name if sample.name in known else re.sub("_(total|bucket|sum|count)$", "", sample.name)
        assert set(sample.labels) <= known[name], sample


def samples_of(pages: str) -> list[Sample]:
    return [sample for family in parse(pages) for sample in family.samples]


async def pages_of(session: aiohttp.ClientSession, daemon: Daemon) -> str:
    pages = ""
    for base in (daemon.gateway, daemon.events):
        async with session.get(f"{base}/metrics") as answer:
            pages += await answer.text()
    return pages


def declared_on(pages: str) -> set[str]:
    return {re.sub("_total$", "", name) for name in re.findall(r"^# TYPE (\S+) ", pages, re.MULTILINE)}


async def test_every_expression_names_metrics_that_the_daemon_exposes(tmp_path: Path) -> None:
    """On the pages of the running program; those whose series begin with the first event are declared there."""
    config = tmp_path / "processing.yaml"
    config.write_text("service: {aggregation_process: own}\n")
    used = {name for expr in expressions() for name in metrics_in(expr)}
    families = {re.sub("_(total|bucket|sum|count)$", "", name) for name in used - recorded()}
    async with (
        aiohttp.ClientSession() as session,
        Daemon(tmp_path / "data", "--processing-config", str(config)) as daemon,
    ):
        # The process that counts comes after the one that takes events in.
        async with asyncio.timeout(40):
            while families - declared_on(await pages_of(session, daemon)):
                await asyncio.sleep(0.2)
    assert len(used) > 25
    assert used - recorded() - exposed_names() - {"process_resident_memory_bytes"} == set()
