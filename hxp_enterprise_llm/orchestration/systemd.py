"""What systemd is told: one datagram to $NOTIFY_SOCKET, nothing where there is none."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

log = structlog.get_logger("process")

PARTS = 3
"""A sign of life each third of the time in which systemd wants one: two may be missed."""


class Notifier:
    """Sends sd_notify(3) states such as `READY=1`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A leading @ is systemd's spelling of the abstract name space.
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def __call__(self, state: str) -> None:
        """Send a state; RELOADING=1 carries the monotonic time that newer systemd wants."""
        if not self._address:
            return
        if state == "RELOADING=1":
            state += f"\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(state.encode(), self._address)


def process_notifier() -> Notifier:
    """The notifier of this process."""
    return Notifier(os.environ)


def watchdog_seconds(environ: Mapping[str, str], pid: int) -> float | None:
    """Within how many seconds systemd wants each sign of life (WatchdogSec=); None: it wants none of us."""
    usec = environ.get("WATCHDOG_USEC", "")
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid) or not usec.isdecimal():
        return None
    return int(usec) / 1_000_000 or None


async def feed_watchdog(
    notify: Callable[[str], None], trouble: Callable[[], Awaitable[str]], within: float, *, clock: Callable[[], float]
) -> None:
    """Say WATCHDOG=1 as long as the loop turns and nothing is wrong; `trouble` says what is, or nothing.

    A loop that stands still says nothing: systemd then ends the process and starts it again. A health that takes long
    waits for somebody else, such as the log on another host; a new start would not help.
    """
    pause = within / PARTS
    while True:
        begun = clock()
        try:
            async with asyncio.timeout(pause):
                reason = await trouble()
        except TimeoutError:
            reason = ""
        if reason:
            log.error("watchdog.not_fed", reason=reason, killed_after_seconds=within)
        else:
            notify("WATCHDOG=1")
        await asyncio.sleep(max(0.0, begun + pause - clock()))
