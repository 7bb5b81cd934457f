"""Run as ExecStartPre= of a service, in its sandbox and as its user: what it can do there, as JSON in its state.

Standard library only.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import pwd
import socket
from collections.abc import Callable
from pathlib import Path


def outcome(attempt: Callable[[], object]) -> str:
    """What came of it: an answer, or the name of the error."""
    try:
        return str(attempt())
    except OSError as error:
        return os.strerror(error.errno or 0)


def unshare_user() -> str:
    """A user name space of its own."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x10000000):
        raise OSError(ctypes.get_errno(), "unshare")
    return "done"


def main() -> None:
    """Try everything, write down what came of it."""
    credentials = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nowhere"))
    found = {
        "user": pwd.getpwuid(os.getuid()).pw_name,
        "credential": outcome(lambda: (credentials / "smtp-password").read_text()),
        "other credentials": outcome(lambda: (credentials / "slack-bot-token").read_text()),
        "the credential's source": outcome(lambda: Path("/etc/credstore/smtp-password").read_text()),
        "write /etc": outcome(lambda: Path("/etc/probe").write_text("")),
        "write /opt/citadel/config": outcome(lambda: Path("/opt/citadel/config/probe").write_text("")),
        "write the other's state": outcome(lambda: Path("/var/lib/citadel/event-processing/probe").write_text("")),
        "read /etc/shadow": outcome(lambda: Path("/etc/shadow").read_text()),
        "look into /root": outcome(lambda: os.listdir("/root")),
        "raw socket": outcome(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
        "packet socket": outcome(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
        "name space": outcome(unshare_user),
        "memory to write and execute": outcome(
            lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        ),
        "renice": outcome(lambda: os.setpriority(os.PRIO_PROCESS, 0, -5)),
    }
    Path("/var/lib/citadel/data-streaming-api/probe.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
