"""Lines as entries of the journal: fields, hostile values, and a journal that does not take them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from hxp_enterprise_llm.telemetry.journal import entry
from hxp_enterprise_llm.telemetry.lines import Line
from hxp_enterprise_llm.telemetry.logs import Logs, configure


def fields(datagram: bytes) -> dict[str, str]:
    """An entry as journald reads it: each field by its name, length and content."""
    found = {}
    while datagram:
        name, _, datagram = datagram.partition(b"\n")
        size = int.from_bytes(datagram[:8], "little")
        found[name.decode()] = datagram[8 : 8 + size].decode()
        assert datagram[8 + size : 9 + size] == b"\n"
        datagram = datagram[9 + size :]
    return found


class Receiver:
    """A socket where journald's would be, and a log file that stands for the stream to it."""

    def __init__(self, directory: Path) -> None:
        self.path, self.file = directory / "socket", (directory / "stream").open("w+")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(5)
        status = os.fstat(self.file.fileno())
        self.environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}

    def logs(self, format: str = "auto", **environ: str) -> Logs:
        return configure("INFO", format, stream=self.file, environ=environ or self.environ, journal=str(self.path))

    def received(self) -> dict[str, str]:
        return fields(self.socket.recv(1 << 20))

    @property
    def written(self) -> str:
        self.file.seek(0)
        return self.file.read()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    yield made
    made.socket.close()
    made.file.close()
    structlog.reset_defaults()


def test_a_line_is_an_entry_with_fields(receiver: Receiver) -> None:
    logs = receiver.logs()
    structlog.get_logger("websocket").error("websocket.queue_full", peer="10.0.0.7", bytes=8192, none=None)
    logs.close()
    assert receiver.received() == {
        "MESSAGE": "ERROR websocket: queue_full peer=10.0.0.7 bytes=8192 none=None",
        "PRIORITY": "3",
        "CITADEL_LEVEL": "ERROR",
        "CITADEL_COMPONENT": "websocket",
        "CITADEL_EVENT": "websocket.queue_full",
        "CITADEL_PEER": "10.0.0.7",
        "CITADEL_BYTES": "8192",
        "CITADEL_NONE": "",
    }
    assert receiver.written == ""


def test_an_entry_is_named_as_the_unit_is() -> None:
    """Else `journalctl` shows the name of the interpreter."""
    assert fields(entry(Line("INFO", "a", "b", ()), "citadel-x"))["SYSLOG_IDENTIFIER"] == "citadel-x"


def test_nothing_can_be_forged() -> None:
    """A field's name or value from outside is never another field, and never one of the journal's own."""
    values = (("message\nPRIORITY", "x\nPRIORITY=0\n"), ("_pid", 1), ("ü" * 80, "y"))
    found = fields(entry(Line("INFO", "a", "b", values)))
    assert found["PRIORITY"] == "6"
    assert all(name in {"MESSAGE", "PRIORITY"} or name.startswith("CITADEL_") for name in found)
    assert max(map(len, found)) == 64


def test_secrets_and_tracebacks(receiver: Receiver) -> None:
    logs = receiver.logs()
    logs.hide("swordfish")
    try:
        raise ValueError("swordfish is the word")
    except ValueError:
        structlog.get_logger("edge").exception("request.failed", key="swordfish")
    logs.close()
    found = receiver.received()
    assert "swordfish" not in str(found)
    assert found["CITADEL_KEY"] == "***"
    assert "ValueError: *** is the word" in found["MESSAGE"]


def test_a_journal_that_is_gone_gets_prefixed_lines_on_the_stream(receiver: Receiver) -> None:
    logs = receiver.logs()
    receiver.path.unlink()
    structlog.get_logger("log").warning("log.put_off")
    logs.close()
    assert receiver.written == "<4>WARNING log: put_off\n"


def test_a_journal_that_stands_still_holds_nobody_up(receiver: Receiver) -> None:
    logs = receiver.logs()
    for number in range(2000):
        structlog.get_logger("log").info("log.number", number=number)
    logs.close()
    assert "<6>INFO log: number number=1999\n" in receiver.written


@pytest.mark.parametrize("format", ["json", "auto", "journal"])
def test_only_where_the_stream_is_the_journals(receiver: Receiver, format: str) -> None:
    """JSON by choice stays JSON; a pipe or a file that is not the journal's gets text."""
    environ = receiver.environ if format == "json" else {"JOURNAL_STREAM": "1:2"}
    logs = receiver.logs(format, **environ)
    structlog.get_logger("log").info("log.opened")
    logs.close()
    assert "opened" in receiver.written
    receiver.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        receiver.socket.recv(1)


def test_repeats_are_counted_there_too(receiver: Receiver) -> None:
    logs = receiver.logs()
    for _ in range(5):
        structlog.get_logger("hub").warning("hub.failed", error="x")
    logs.close()
    assert receiver.received()["CITADEL_EVENT"] == "hub.failed"
    assert receiver.received()["MESSAGE"] == "WARNING hub: failed … 4 more in 0 s error=x"
