"""A real Prometheus answers panels, and refuses what it does not understand in its own words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import yaml

from tests.integration.daemon import Daemon
from tests.integration.pages import ask
from tests.ports import free_port

START_SECONDS = 120


@asynccontextmanager
async def prometheus(directory: Path) -> AsyncIterator[str]:
    """One that looks at itself each second; it answers when it has seen itself."""
    address = f"127.0.0.1:{free_port()}"
    itself = [{"job_name": "itself", "scrape_interval": "1s", "static_configs": [{"targets": [address]}]}]
    (directory / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": itself}))
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address={address}",
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await has_seen_itself(f"http://{address}"):
                await asyncio.sleep(0.2)
        yield f"http://{address}"
    finally:
        process.terminate()
        await process.wait()


async def has_seen_itself(address: str) -> bool:
    try:
        answer = await ask(f"{address}/api/v1/query?query=up")
    except (aiohttp.ClientError, AssertionError):
        return False
    return bool(answer["data"]["result"])


async def shown(daemon: Daemon, panel: str, query: str) -> dict[str, Any]:
    (answer,) = (await ask(f"{daemon.gateway}/dashboards/query?{urlencode({panel: query})}"))["answers"]
    return answer


async def test_panels_show_what_prometheus_says(tmp_path: Path) -> None:
    async with prometheus(tmp_path) as address:
        config = tmp_path / "streaming.yaml"
        config.write_text(f"monitoring: {{metrics_server_endpoint: {address}}}\n")
        async with Daemon(tmp_path / "data", "--config", str(config)) as daemon:
            assert (await shown(daemon, "stat", 'promql:up{job="itself"}'))["value"] == 1.0
            table = await shown(daemon, "table", "promql:count by (job) (up)")
            assert table["rows"] == [["itself", 1.0]]
            assert (await shown(daemon, "gauge", "promql:vector(7)"))["value"] == 7.0
            curve = await shown(daemon, "graph", "promql[5m]:vector(7)")
            (values,) = curve["series"].values()
            assert len(values) > 50
            assert set(values) == {7.0}
            wrong = await shown(daemon, "stat", "promql:sum by (up")
            assert wrong["kind"] == "fault"
            assert "parse error" in wrong["fault"]
            assert (await shown(daemon, "stat", "promql:nothing_of_this_name"))["value"] is None
