"""Log lines as entries of the systemd journal, with fields of their own: its native protocol, one datagram each."""

from __future__ import annotations

import re
import socket

from hxp_enterprise_llm.telemetry.lines import PRIORITY, Line, message_of

SOCKET = "/run/systemd/journal/socket"
PREFIX = "CITADEL_"
_NOT_IN_A_NAME = re.compile(r"[^A-Z0-9_]")
_LONGEST_NAME = 64


def entry(line: Line, identifier: str = "") -> bytes:
    """The fields of a line as the journal takes them. Names of ours begin with `CITADEL_`: none is the journal's own.

    `identifier` is what stands before the process id in `journalctl`; without one that is the name of the program.

    MESSAGE is what a person reads, with level and component in it: `journalctl | grep ERROR` finds what it should.
    """
    message = "\n    ".join((message_of(line), *line.trace))
    fields = [_field("SYSLOG_IDENTIFIER", identifier)] if identifier else []
    fields += [
        _field("MESSAGE", message),
        _field("PRIORITY", str(PRIORITY[line.level])),
        _field(PREFIX + "LEVEL", line.level),
        _field(PREFIX + "COMPONENT", line.component),
        _field(PREFIX + "EVENT", line.event),
    ]
    fields += [_field(_name(key), "" if value is None else str(value)) for key, value in line.values]
    return b"".join(fields)


def _name(key: str) -> str:
    return (PREFIX + _NOT_IN_A_NAME.sub("_", key.upper()))[:_LONGEST_NAME]


def _field(name: str, value: str) -> bytes:
    # With its length ahead a value may hold anything, also line feeds.
    content = value.encode("utf-8", "backslashreplace")
    return name.encode() + b"\n" + len(content).to_bytes(8, "little") + content + b"\n"


class Journal:
    """The journal's socket. What it does not take is for the caller to write elsewhere."""

    def __init__(self, path: str, identifier: str = "") -> None:
        self._path, self._identifier = path, identifier
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        # A journal that stands still must not hold up the service.
        self._socket.setblocking(False)

    def send(self, line: Line) -> bool:
        """Write an entry; False when the journal did not take it."""
        try:
            self._socket.sendto(entry(line, self._identifier), self._path)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()
