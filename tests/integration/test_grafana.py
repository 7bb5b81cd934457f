"""The Grafana dashboards: form, provisioning, and that every expression asks for what the daemon really exposes."""

from __future__ import annotations

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

from tests.integration.daemon import Daemon
from tests.integration.test_prometheus_rules import RULES, exposed_names, metrics_in, promtool

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


def recorded() -> set[str]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}


async def test_every_expression_names_metrics_that_the_daemon_exposes(tmp_path: Path) -> None:
    """On the pages of the running program; those whose series begin with the first event are declared there."""
    used = {name for expr in expressions() for name in metrics_in(expr)}
    async with aiohttp.ClientSession() as session, Daemon(tmp_path) as daemon:
        pages = ""
        for base in (daemon.gateway, daemon.events):
            async with session.get(f"{base}/metrics") as answer:
                pages += await answer.text()
    declared = {re.sub("_total$", "", name) for name in re.findall(r"^# TYPE (\S+) ", pages, re.MULTILINE)}
    families = {re.sub("_(total|bucket|sum|count)$", "", name) for name in used - recorded()}
    assert len(used) > 25
    assert families - declared == set()
    assert used - recorded() - exposed_names() - {"process_resident_memory_bytes"} == set()
