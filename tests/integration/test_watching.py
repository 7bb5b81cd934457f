"""The whole way: Debian's Prometheus scrapes `hxp up`, a shipped alert fires, Debian's Alertmanager calls our webhook,
and who watches `system_alerts` by WebSocket sees it begin and end."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import yaml

from tests.integration.daemon import Daemon
from tests.integration.test_process import until_logged
from tests.integration.test_prometheus_rules import RULES
from tests.ports import free_port

ALERT = "CitadelConfigReloadFailed"


def hastened() -> str:
    """The shipped rules, each firing at once: what they ask for is promtool's test, not this one's."""
    return re.sub(r"\[\d+[mh]\]", "[1s]", re.sub(r"for: \d+m", "for: 0s", RULES.read_text()))


def written(directory: Path, gateway: str, alertmanager: int) -> None:
    """The configurations of both, as a site has them but for the pace."""
    (directory / "rules.yml").write_text(hastened())
    scrape = {"job_name": "citadel-data-streaming-api", "static_configs": [{"targets": [gateway]}]}
    config = {
        "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
        "rule_files": [str(directory / "rules.yml")],
        "scrape_configs": [scrape],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    webhook = {"url": f"http://{gateway}/notifications/alertmanager", "send_resolved": True}
    routed = {
        "route": {"receiver": "hxp", "group_wait": "0s", "group_interval": "1s", "group_by": ["alertname"]},
        "receivers": [{"name": "hxp", "webhook_configs": [webhook]}],
    }
    (directory / "alertmanager.yml").write_text(yaml.safe_dump(routed))


@asynccontextmanager
async def watchers(directory: Path, gateway: str) -> AsyncIterator[None]:
    """Prometheus and Alertmanager, as Debian ships them."""
    ports = free_port(), free_port()
    written(directory, gateway, ports[1])
    commands = [
        (
            "prometheus",
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'series'}",
            f"--web.listen-address=127.0.0.1:{ports[0]}",
            "--rules.alert.resend-delay=1s",
        ),
        (
            "prometheus-alertmanager",
            f"--config.file={directory / 'alertmanager.yml'}",
            f"--storage.path={directory / 'alerts'}",
            f"--web.listen-address=127.0.0.1:{ports[1]}",
            "--cluster.listen-address=",
        ),
    ]
    quiet = asyncio.subprocess.DEVNULL
    processes = [await asyncio.create_subprocess_exec(*each, stdout=quiet, stderr=quiet) for each in commands]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            await process.wait()


async def seen(web_socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, object]:
    """The next event of this type about our alert."""
    while True:
        event = await web_socket.receive_json()
        if event.get("type") == kind and event["data"]["labels"].get("alertname") == ALERT:
            found: dict[str, object] = event["data"]
            return found


async def test_an_alert_goes_all_the_way_to_a_web_socket(tmp_path: Path) -> None:
    config = tmp_path / "data-streaming-api.yaml"
    config.write_text("websocket: {heartbeat_interval: 20}\n")
    async with (
        asyncio.timeout(200),
        aiohttp.ClientSession() as session,
        Daemon(tmp_path / "data", "--config", str(config)) as daemon,
        session.ws_connect(f"{daemon.gateway}/ws/system_alerts") as web_socket,
        watchers(tmp_path, daemon.gateway.removeprefix("http://")),
    ):
        config.write_text("websocket: {heartbeat_interval: soon}\n")
        os.kill(daemon.pid, signal.SIGHUP)
        await until_logged(daemon, "config.refused")
        firing = await seen(web_socket, "alert.firing")
        assert firing["labels"]["job"] == "citadel-data-streaming-api"  # type: ignore[index]
        assert firing["labels"]["severity"] == "warning"  # type: ignore[index]
        assert "refused its new configuration" in str(firing)

        config.write_text("websocket: {heartbeat_interval: 25}\n")
        os.kill(daemon.pid, signal.SIGHUP)
        await until_logged(daemon, "config.reloaded")
        await seen(web_socket, "alert.resolved")
