"""What systemd is told: one datagram to $NOTIFY_SOCKET, nothing where there is none."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


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
