"""A real Prometheus hands its alerts to us as it would to an Alertmanager."""

from __future__ import annotations

import asyncio
from pathlib import Path

import yaml

from tests.integration.test_amtool import real_time
from tests.ports import free_port
from tests.unit.notifications.engines import Bench
from tests.unit.notifications.routing.serving import configured, serving

RULES = {
    "groups": [
        {
            "name": "always",
            "rules": [
                {
                    "alert": "DiskFull",
                    "expr": "vector(1) > 0",
                    "labels": {"severity": "critical", "node": "n1"},
                    "annotations": {"summary": "{{ $value }} of the disk is full"},
                }
            ],
        }
    ]
}


async def test_an_alert_of_prometheus_is_told_once_and_ends_when_prometheus_is_gone(tmp_path: Path) -> None:
    bench = Bench(tmp_path, configured(routes=[{"receiver": "team"}]))
    real_time(bench)
    async with serving(bench) as http:
        process = await started(tmp_path, http.url.removeprefix("http://"))
        try:
            told = (await asyncio.wait_for(bench.slack.accepted.get(), 150)).notification
        finally:
            process.terminate()
            await process.wait()
        assert (told.title, told.text, told.priority) == ("DiskFull", "1 of the disk is full", "critical")
        (alert,) = await http.get("/api/v2/alerts")
        assert alert["labels"] == {"alertname": "DiskFull", "severity": "critical", "node": "n1"}
        assert alert["generatorURL"].startswith("http")
        (firing,) = (await http.get("/notifications/status"))["foreign_alerts"]
        assert firing["priority"] == "critical"
        bench.clock.advance(3600)
        await bench.tick(error_rate=0.0)
        assert (await bench.slack.accepted.get()).notification.reason == "timed_out"
        await bench.kinds("alert.firing", "alert.resolved")
        assert bench.slack.attempts.qsize() == 2


async def started(directory: Path, target: str) -> asyncio.subprocess.Process:
    (directory / "rules.yml").write_text(yaml.safe_dump(RULES))
    alerting = {"alertmanagers": [{"static_configs": [{"targets": [target]}]}]}
    config = {
        "global": {"evaluation_interval": "1s"},
        "rule_files": [str(directory / "rules.yml")],
        "alerting": alerting,
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    return await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--rules.alert.resend-delay=1s",
        stderr=asyncio.subprocess.DEVNULL,
    )
