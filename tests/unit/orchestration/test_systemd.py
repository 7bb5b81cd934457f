"""What systemd is told, by a real datagram socket."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest

from hxp_enterprise_llm.orchestration.systemd import Notifier, feed_watchdog, watchdog_seconds


@pytest.fixture(params=["file", "abstract"])
def listening(request, tmp_path):
    """A socket as systemd has it, and its name as systemd writes it."""
    name = str(tmp_path / "notify") if request.param == "file" else f"@{tmp_path.name}-notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("\0" + name[1:] if name.startswith("@") else name)
        yield server, name


def test_states_arrive(listening):
    """One datagram a state; a reload carries the monotonic time in microseconds."""
    server, name = listening
    notify = Notifier({"NOTIFY_SOCKET": name})
    notify("READY=1")
    notify("RELOADING=1")
    assert server.recv(200) == b"READY=1"
    state, _, since = server.recv(200).decode().partition("\nMONOTONIC_USEC=")
    assert state == "RELOADING=1"
    assert int(since) > 0


def test_without_systemd_nothing_is_sent():
    """No variable, no datagram, no failure."""
    Notifier({})("READY=1")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "7"}, 1.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_kept_for_the_process_that_it_is_meant_for(environ, seconds):
    assert watchdog_seconds(environ, 7) == seconds


class Watched:
    """A service whose health changes, and what the watchdog was told beside it."""

    def __init__(self, *states: str) -> None:
        self.states, self.told, self.asked = list(states), [], 0
        self.end = asyncio.Event()

    async def trouble(self) -> str:
        if self.asked == len(self.states):
            self.end.set()
            await asyncio.Event().wait()
        self.asked += 1
        self.told.append(self.states[self.asked - 1])
        return self.told[-1]

    async def watch(self, within: float) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(feed_watchdog(self.told.append, self.trouble, within, clock=loop.time))
        async with asyncio.timeout(30):
            await self.end.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_the_watchdog_is_fed_only_while_nothing_is_wrong():
    """Each look comes first; after one that found something nothing is said."""
    watched = Watched("", "log: closed", "")
    await watched.watch(0.03)
    assert watched.told == ["", "WATCHDOG=1", "log: closed", "", "WATCHDOG=1"]


async def test_a_health_that_waits_for_somebody_else_starves_nobody():
    """The loop turns, so this process is well; a new start would not make the other faster."""
    told: list[str] = []
    fed = asyncio.Event()

    async def waits() -> str:
        await asyncio.Event().wait()
        return "never"

    def notify(state: str) -> None:
        told.append(state)
        if len(told) == 2:
            fed.set()

    task = asyncio.create_task(feed_watchdog(notify, waits, 0.03, clock=asyncio.get_running_loop().time))
    async with asyncio.timeout(30):
        await fed.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert told == ["WATCHDOG=1", "WATCHDOG=1"]
