"""`hxp top` against the real program: as JSON, as text without a terminal, and live in a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import sys
from pathlib import Path

import aiohttp
import msgspec

from hxp_enterprise_llm.client.top import View, look
from tests.integration.daemon import Daemon

TOP = (sys.executable, "-m", "hxp_enterprise_llm.cli.main", "top")


async def run(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *TOP, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def read_until(descriptor: int, text: str) -> str:
    """What a terminal shows, up to a text."""
    seen = ""
    async with asyncio.timeout(30):
        while text not in seen:
            seen += (await asyncio.to_thread(os.read, descriptor, 65536)).decode("utf-8", "replace")
    return seen


async def read_to_the_end(descriptor: int) -> None:
    """What a terminal still shows, until nobody writes to it any more: a program is held up where nobody reads."""
    with contextlib.suppress(OSError):
        while await asyncio.to_thread(os.read, descriptor, 65536):
            pass


async def test_one_look_as_json_and_as_text(tmp_path: Path) -> None:
    async with (
        Daemon(tmp_path) as daemon,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{daemon.gateway}/ws/events") as socket,
    ):
        async with session.post(f"{daemon.events}/events", json={"type": "demo.hello", "data": {}}) as answer:
            assert answer.status == 202
        await socket.receive_str()
        async with asyncio.timeout(30):
            while (await look(session, daemon.gateway)).cpu_percent is None:
                await asyncio.sleep(0.05)
        status, out, _ = await run("--json", "--url", daemon.gateway)
        view = msgspec.json.decode(out, type=View)
        assert (status, view.status) == (0, "ok")
        assert view.connections["websocket"] == 1
        assert view.max_connections["websocket"] == 200
        assert (view.channels["events"].subscribers, view.channels["events"].behind) == (1, 0)
        assert view.head >= view.offset >= 1
        assert view.cpu_percent is not None
        status, out, _ = await run("--url", daemon.gateway)
        assert status == 0
        assert "log head" in out
        assert "websocket 1/200" in out
        assert "\x1b" not in out


async def test_live_in_a_terminal_until_ctrl_c(tmp_path: Path) -> None:
    async with Daemon(tmp_path) as daemon:
        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            *TOP, "--url", daemon.gateway, "--interval", "0.1", stdin=theirs, stdout=theirs, stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
        )  # fmt: skip
        os.close(theirs)
        try:
            assert "system_metrics" in await read_until(ours, "system_metrics")
            await read_until(ours, "system_metrics")  # drawn again
            await daemon.end()
            await read_until(ours, "does not answer")
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(30):
                await read_to_the_end(ours)
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            os.close(ours)


async def test_nobody_there() -> None:
    status, out, err = await run("--json", "--url", "http://127.0.0.1:1")
    assert (status, out) == (69, "")
    assert "does not answer" in err
