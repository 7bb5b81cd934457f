"""The disk fills up under the real daemon: what is there stays readable and flowing, and all comes back by itself."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.attacks.live import Live, live_stream
from tests.attacks.namespaces import with_tmpfs
from tests.attacks.victim import figures, victim
from tests.integration.daemon import Daemon
from tests.ports import free_port

KIB, MIB = 1024, 1024 * 1024
PAGES = b"\0" * 4096
LEFT = (0, 4 * KIB, 36 * KIB, 200 * KIB, 900 * KIB, 1800 * KIB)
"""Bytes left on the disk: what does not fit any more is a page, a commit, a checkpoint, a segment."""
PROCESSING = "log: {segment_bytes: 1048576, reserve_bytes: 4194304}\n"
GATEWAY = """
real_time_notifications:
  email: {{host: 127.0.0.1, port: {port}, tls: none, to: [ops@example.org]}}
"""
MOST_SECONDS = 15.0
"""Five, and what a busy machine takes."""


class Mailbox:
    """An SMTP server's hook that keeps subjects."""

    def __init__(self) -> None:
        self.letters: list[str] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.letters.append(str(envelope.content))
        return "250 OK"


@asynccontextmanager
async def mail_server() -> AsyncIterator[tuple[Mailbox, int]]:
    """A mailbox and its port."""
    mailbox = Mailbox()
    port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mailbox, port
    finally:
        controller.stop()


class Filler:
    """A file that leaves so much room."""

    def __init__(self, disk: Path) -> None:
        self.path = disk / "filler"

    def leave(self, room: int) -> None:
        """Fill the disk up to that."""
        size = 0
        with self.path.open("wb", buffering=0) as file:
            with contextlib.suppress(OSError):  # no space left: that is how one knows
                while written := file.write(PAGES):
                    size += written
            file.truncate(max(0, size - room))

    def remove(self) -> None:
        self.path.unlink()


async def publish_until(live: Live, session: aiohttp.ClientSession, base: str, taken: bool) -> float:
    """Publish until an answer is of that kind; the seconds that took."""
    begun = time.monotonic()
    async with asyncio.timeout(30):
        while await live.publish(session, base) is not taken:
            await asyncio.sleep(0.01 if taken else 0)
    return time.monotonic() - begun


async def require_reading(session: aiohttp.ClientSession, daemon: Daemon, live: Live) -> None:
    """While nothing can be written: the log is read, a new client catches up, and the trouble is told."""
    await live.all_received()
    async with session.get(f"{daemon.events}/events", params={"after": 0, "type": "bench.live"}) as answer:
        assert answer.status == 200
        assert (await answer.json())["events"][0]["data"]["number"] == 0
    async with session.ws_connect(f"{daemon.gateway}/ws/events?type=bench.live&after=0") as socket:
        assert (await socket.receive_json(timeout=30))["data"]["number"] == 0
    async with session.get(f"{daemon.events}/health") as answer:
        assert (await answer.json())["parts"]["log"]["status"] != "ok"
    found = await figures(session, daemon.events)
    assert found['citadel_log_append_errors_total{reason="LogFull"}'] > 0


async def require_alert(session: aiohttp.ClientSession, daemon: Daemon, mailbox: Mailbox, text: str) -> None:
    """What people must hear gets out: its way leads over the same disk."""
    letter = {"type": "test", "title": text, "message": text, "channel": "email", "priority": "critical"}
    async with session.post(f"{daemon.gateway}/notifications/send", json=letter) as answer:
        assert answer.status in (200, 202), await answer.text()
    async with asyncio.timeout(30):
        while not any(text in letter for letter in mailbox.letters):
            await asyncio.sleep(0.05)


async def test_a_full_disk_at_each_step(tmp_path: Path) -> None:
    """503 with `Retry-After` and nothing worse; events are taken again within 5 s of there being room; none is lost."""
    disk = tmp_path / "disk"
    async with mail_server() as (mailbox, port), aiohttp.ClientSession() as session:
        daemon = victim(
            tmp_path,
            gateway=GATEWAY.format(port=port),
            processing=PROCESSING,
            within=with_tmpfs(disk, "48m"),
            data=disk,
        )
        async with daemon, live_stream(daemon, publishing=False) as live:
            filler = Filler(Path(f"/proc/{daemon.pid}/root") / disk.relative_to("/"))
            assert await live.publish(session, daemon.events)
            waits = []
            for room in LEFT:
                filler.leave(room)
                await publish_until(live, session, daemon.events, taken=False)
                await require_reading(session, daemon, live)
                await require_alert(session, daemon, mailbox, f"no room with {room} bytes")
                filler.remove()
                waits.append(await publish_until(live, session, daemon.events, taken=True))
            assert max(waits) < MOST_SECONDS, waits
            assert {status for status, _ in live.refused} == {503}
            assert all(int(pause) >= 1 for _, pause in live.refused)
