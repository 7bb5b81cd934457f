"""What an operator greps for is there: in the lines of the real daemon, and on the page of all lines."""

from __future__ import annotations

import json
import os
import runpy
import signal
from pathlib import Path

import aiohttp

from tests.integration.daemon import Daemon
from tests.integration.test_process import until_logged

ROOT = Path(__file__).parents[2]
GATEWAY = "logging: {format: %s}\nwebsocket: {max_connections: 1}\n"


def test_the_page_of_log_lines_is_up_to_date() -> None:
    """`make docs` writes it."""
    page = runpy.run_path(str(ROOT / "scripts/log_lines.py"))["page"]()
    assert (ROOT / "docs/log-lines.md").read_text() == page


async def test_the_seeds_greps_find_what_they_should(tmp_path: Path) -> None:
    """`grep websocket`, `dashboard`, `notification`, `ERROR`, over the lines that the journal would have."""
    config = tmp_path / "data-streaming-api.yaml"
    config.write_text(GATEWAY % "journal")
    async with aiohttp.ClientSession() as session, Daemon(tmp_path / "data", "--config", str(config)) as daemon:
        assert not [line for line in daemon.output if "ERROR" in line]
        async with session.ws_connect(f"{daemon.gateway}/ws/events") as web_socket:
            await web_socket.receive()
            for _ in range(3):
                async with session.get(
                    f"{daemon.gateway}/ws/events",
                    headers={
                        "Connection": "Upgrade",
                        "Upgrade": "websocket",
                        "Sec-WebSocket-Version": "13",
                        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                    },
                ) as answer:
                    assert answer.status == 503
        refused = await until_logged(daemon, "connection.refused")
        config.write_text("websocket: {heartbeat_interval: soon}\n")
        os.kill(daemon.pid, signal.SIGHUP)
        assert (await until_logged(daemon, "ERROR")).startswith("<3>ERROR process: config.refused")
        assert await daemon.end() == 0
    assert refused == (
        "<4>WARNING streaming: connection.refused transport=websocket reason=limit what=WebSocket limit=1\n"
    )
    lines = [line for line in daemon.output if line.startswith("<")]
    for word, least in (("websocket", 2), ("dashboard", 1), ("notification", 1), ("ERROR", 1)):
        assert len([line for line in lines if word in line]) >= least, word
    # The same refusal again is counted, not written: with the end of the process at the latest.
    repeated = [line for line in lines if "connection.refused" in line]
    assert len(repeated) == 2
    assert " … 2 more in " in repeated[1]


async def test_json_by_choice(tmp_path: Path) -> None:
    config = tmp_path / "data-streaming-api.yaml"
    config.write_text(GATEWAY % "json")
    async with Daemon(tmp_path / "data", "--config", str(config)) as daemon:
        assert await daemon.end() == 0
    lines = [json.loads(line) for line in daemon.output if line.startswith("{")]
    assert {"time", "level", "component", "event"} <= set.intersection(*(set(line) for line in lines))
    events = {line["event"] for line in lines}
    assert {"log.opened", "service.ready", "process.stopped"} <= events
    named = (ROOT / "docs/log-lines.md").read_text()
    assert {event for event in events if f"`{event}`" not in named} == set()
