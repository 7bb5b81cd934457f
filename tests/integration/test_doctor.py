"""`hxp doctor` beside running services: it finds nothing wrong, touches nothing, and sees what is broken meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.integration.daemon import Daemon
from tests.integration.test_process import hxp
from tests.ports import free_port

GATEWAY = "service: {{port: {}}}\nlive_dashboard: {{ports: {{system_health: {}}}}}\n"


async def looked_at(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    status, output = await hxp("doctor", "--json", *arguments)
    findings: list[dict[str, Any]] = json.loads(output)["findings"]
    return status, findings


async def test_a_running_installation(tmp_path: Path) -> None:
    gateway, processing, data = tmp_path / "gateway.yaml", tmp_path / "processing.yaml", tmp_path / "data"
    ports = [free_port() for _ in range(3)]
    gateway.write_text(GATEWAY.format(*ports[:2]))
    processing.write_text(f"service: {{port: {ports[2]}}}\nlog: {{disk_budget_bytes: 300000000, reserve_bytes: 0}}\n")
    files = ["--config", str(gateway), "--processing-config", str(processing)]
    options = [*files, "--data", str(data)]
    async with Daemon(data, *files, free_ports=False) as daemon:
        _, findings = await looked_at(*options)
        # Where the tests run may be what it is: a disk in memory, no limits, a clock that nobody keeps.
        own = [each for each in findings if each["name"].split(".")[0] not in {"clock", "disk", "limits", "peers"}]
        assert [each for each in own if each["level"] != "ok"] == []
        names = {each["name"] for each in own}
        assert {"service.healthy", "log.holds", "store.whole", "trust.who", "configuration.good"} <= names
        assert {"platform.whole", "history.whole"} <= names

        (data / "streaming/state.db").chmod(0o644)
        status, findings = await looked_at(*options)
        assert status == 2
        (open_to_all,) = [each for each in findings if each["name"] == "permissions.state"]
        assert open_to_all["mend"] == f"sudo chmod go-rwx {data / 'streaming/state.db'}"
        assert await daemon.end() == 0
        assert not [line for line in daemon.output if "ERROR" in line]
