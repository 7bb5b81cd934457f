"""An alert reaches a real SMTP server exactly once across a kill -9 at each step of its way.

The one exception cannot be avoided: killed between the server's `250` and our note of it, the mail is sent again,
with the same Message-ID.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from hxp_enterprise_llm.config.delivery import EmailConfig
from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.notifications.channels.factory import channel_factory
from hxp_enterprise_llm.event.notifications.engine import NotificationEngine
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.store.database import Store
from tests.unit.notifications.servers import MailServer
from tests.unit.notifications.support import config, metrics, rule, snapshot

ROOT = Path(__file__).parents[3]
KILLED_WHILE = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from hxp_enterprise_llm.event.notifications import records
from hxp_enterprise_llm.event.notifications.channels.email import EmailChannel
from hxp_enterprise_llm.event.notifications.delivery import rows
from hxp_enterprise_llm.event.notifications.delivery.worker import Worker
from hxp_enterprise_llm.event.notifications.routing import records as way
from tests.unit.notifications.test_restart import run_until_killed

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def dies_before(owner, name, unless=lambda *a, **k: False):
    whole = getattr(owner, name)
    def cut(*args, **kwargs):
        return whole(*args, **kwargs) if unless(*args, **kwargs) else die()
    setattr(owner, name, cut)

def dies_after_delivery():
    whole = Worker._deliver
    async def cut(self, delivery):
        await whole(self, delivery)
        if delivery.channel == "email":
            die()
    Worker._deliver = cut

def queued(connection, *_):
    from sqlalchemy import select
    from hxp_enterprise_llm.store.tables import outbox
    return connection.scalar(select(outbox.c.id).where(outbox.c.channel == "email")) is None

def is_not_mail(connection, delivery, **_):
    return delivery.channel != "email"

{step}
asyncio.run(run_until_killed(Path(sys.argv[1]), int(sys.argv[2])))
"""

STEPS = {
    "its group is stored": 'dies_before(way, "_write")',
    "it is stored": 'dies_before(records, "save_cursor")',
    "it is taken from the outbox": 'dies_before(rows, "claim", unless=queued)',
    "it is handed to the mail server": 'dies_before(EmailChannel, "send")',
    "the acceptance is written down": 'dies_before(rows, "settle", unless=is_not_mail)',
    "the next one is looked for": "dies_after_delivery()",
}


def engine(path: Path, port: int, log: MemoryLog) -> tuple[Store, NotificationEngine]:
    store = Store(path)
    settings = config(
        rule(channel="email"), email=EmailConfig(host="127.0.0.1", port=port, tls="none", to=["ops@example.org"])
    )
    factory = channel_factory(log, lambda file, credential: None, time=SystemClock().time)
    return store, NotificationEngine(settings, log, store, factory, clock=SystemClock(), metrics=metrics())


async def append(log: MemoryLog, error_rate: float) -> None:
    await log.append([snapshot(SystemClock().time(), error_rate=error_rate)])


async def run_until_killed(path: Path, port: int) -> None:
    """The child's part: the metrics are bad, and the engine runs until it is killed."""
    log = MemoryLog()
    await log.open()
    store, running = engine(path, port, log)
    await store.open()
    await append(log, 0.5)
    await running.run()


async def killed(step: str, path: Path, port: int) -> None:
    source = textwrap.dedent(KILLED_WHILE).format(root=str(ROOT), step=STEPS[step])
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source, str(path), str(port), stdout=asyncio.subprocess.DEVNULL
    )
    assert await asyncio.wait_for(child.wait(), 30) == -signal.SIGKILL


@pytest.mark.parametrize("step", STEPS)
async def test_a_mail_arrives_once_though_the_process_was_killed_before(step: str, tmp_path: Path) -> None:
    path, log = tmp_path / "store.db", MemoryLog(progress_seconds=0.01)
    async with MailServer(starttls=False).running() as server:
        await killed(step, path, server.port)
        await log.open()
        store, running = engine(path, server.port, log)
        await store.open()
        task = asyncio.create_task(running.run())
        await append(log, 0.5)
        mails = [(await server.received.get())[1]]
        while mails[-1]["Subject"] != "[CRITICAL] critical_alert: resolved":
            await append(log, 0.0)
            mails.append((await server.received.get())[1])
        task.cancel()
        await asyncio.wait({task})
        await store.close()
        assert server.received.empty()
    firing = [mail["Message-ID"] for mail in mails if mail["Subject"].endswith("firing")]
    assert len(firing) == (2 if step == "the acceptance is written down" else 1)
    assert len(set(firing)) == 1
    assert len(mails) == len(firing) + 1
    assert len({mail["References"] for mail in mails}) == 1
