"""More clients than the process may open files for: the rest is told so, and health is answered all the same."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from hxp_enterprise_llm.security.capacity import SPARE, raise_descriptor_limit
from tests.integration.daemon import Daemon

DESCRIPTORS = 300
CLIENTS = 1000
OWN = 16
"""Descriptors that the daemon opens once it serves."""
ASK = b"GET /sse/system_metrics HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"


async def status_of(host: str, port: int, stack: AsyncExitStack) -> int:
    """The status that one more client gets, who then stays; 0 when the connection is closed without one."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
        stack.callback(writer.close)
        writer.write(ASK)
        head = await reader.readuntil(b"\r\n")
        return int(head.split()[1])
    except (ConnectionError, asyncio.IncompleteReadError):
        return 0


async def test_a_thousand_clients_at_a_daemon_of_three_hundred_files(tmp_path: Path) -> None:
    raise_descriptor_limit()
    async with Daemon(tmp_path, within=("prlimit", f"--nofile={DESCRIPTORS}")) as daemon, AsyncExitStack() as stack:
        address = urlsplit(daemon.gateway)
        host, port = str(address.hostname), int(address.port or 0)
        async with asyncio.timeout(150):
            statuses = await asyncio.gather(*(status_of(host, port, stack) for _ in range(CLIENTS)))
        assert set(statuses) <= {200, 503, 0}
        served = statuses.count(200)
        assert DESCRIPTORS - SPARE - OWN <= served <= DESCRIPTORS - SPARE
        assert statuses.count(503) > CLIENTS / 2

        async with aiohttp.ClientSession() as session:
            for base in (daemon.gateway, daemon.events):
                async with session.get(f"{base}/health") as answer:
                    assert answer.status == 200
                    part = (await answer.json())["parts"]["connections"]
                    assert (part["limit"], part["most_descriptors"]) == (DESCRIPTORS - SPARE, DESCRIPTORS)
                    assert part["descriptors"] < DESCRIPTORS
            async with session.get(f"{daemon.gateway}/metrics") as answer:
                text = await answer.text()
        assert re.search(rf"^citadel_http_connections_limit {DESCRIPTORS - SPARE}\.0$", text, re.MULTILINE)
        turned_away = re.search(r"^citadel_http_turned_away_total (\S+)$", text, re.MULTILINE)
        assert turned_away
        assert float(turned_away[1]) >= statuses.count(503)

        assert not [line for line in daemon.output if "Too many open files" in line]

        # The log writes on, and once the clients have gone there is room again.
        await stack.aclose()
        async with asyncio.timeout(30), aiohttp.ClientSession() as session:
            while await ask_status(session, f"{daemon.gateway}/streams") != 200:
                await asyncio.sleep(0.05)
            event = {"type": "demo.hello", "data": {}}
            async with session.post(f"{daemon.events}/events", json=event) as answer:
                assert answer.status == 202


async def ask_status(session: aiohttp.ClientSession, url: str) -> int:
    try:
        async with session.get(url) as answer:
            return answer.status
    except aiohttp.ClientError:
        return 0
