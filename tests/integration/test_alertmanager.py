"""Debian's Alertmanager as a channel: an alert fires there, goes on firing across our restart, and ends."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from hxp_enterprise_llm.event.model import parse_rfc3339
from hxp_enterprise_llm.event.notifications import records
from hxp_enterprise_llm.event.notifications.channels.alertmanager import AlertmanagerChannel
from hxp_enterprise_llm.event.notifications.delivery.dispatcher import Dispatcher
from hxp_enterprise_llm.event.notifications.delivery.office import DeliverySettings
from hxp_enterprise_llm.event.notifications.instant import SteadyClock
from hxp_enterprise_llm.event.notifications.model import Alert, Notification
from hxp_enterprise_llm.event.notifications.routing.foreign import Sent, parse_webhook
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.store.database import Store
from tests.integration.test_amtool import real_time
from tests.ports import free_port
from tests.unit.notifications.engines import Bench
from tests.unit.notifications.routing.serving import configured
from tests.unit.notifications.support import metrics, notification, until

RESEND_SECONDS = 1.0
"""An alert that is not sent again ends after four of these; so long a busy machine must not stand still."""


@asynccontextmanager
async def alertmanager(directory: Path) -> AsyncIterator[str]:
    """A real one on a free port, without gossip."""
    program = shutil.which("prometheus-alertmanager")
    assert program, "scripts/system-packages installs it"
    port = free_port()
    settings = directory / "alertmanager.yml"
    settings.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={settings}",
        f"--storage.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as session:
            await until(partial(_answers, session, url), within=30)
        yield url
    finally:
        process.kill()
        await process.wait()


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/-/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


async def alerts(url: str) -> list[dict[str, Any]]:
    """What it takes for firing."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v2/alerts") as answer:
        assert answer.status == 200
        found: list[dict[str, Any]] = await answer.json()
        return found


async def ends_after(url: str, moment: float) -> bool:
    """Whether the one alert there is said to fire beyond the moment."""
    found = await alerts(url)
    return len(found) == 1 and parse_rfc3339(found[0]["endsAt"]) > moment


@asynccontextmanager
async def delivering(store: Store, url: str) -> AsyncIterator[Dispatcher]:
    clock = SystemClock()
    dispatcher = Dispatcher(store, clock=clock, steady=SteadyClock(clock), metrics=metrics(), random=lambda: 0.5)
    channel = AlertmanagerChannel([url], time=clock.time, egress=Egress(), resend_seconds=RESEND_SECONDS)
    dispatcher.use([channel], DeliverySettings(5, 600))
    task = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        task.cancel()
        await asyncio.wait({task})


def told(kind: str, began: float, now: float) -> Notification:
    alert = Alert(
        fingerprint="0123456789abcdef",
        episode="ep-1",
        status="resolved" if kind == "resolved" else "firing",
        priority="critical",
        labels={"alertname": "errors", "severity": "critical", "agent": 'planner "1"\n'},
        annotations={"summary": "too many"},
        starts_at=began,
        ends_at=now if kind == "resolved" else None,
    )
    return notification(kind, at=now, alerts=(alert,))


async def test_an_alert_fires_survives_our_restart_and_ends(tmp_path: Path) -> None:
    clock = SystemClock()
    store = Store(tmp_path / "store.db")
    await store.open()
    async with alertmanager(tmp_path) as url:
        began = clock.time()

        async def queue(dispatcher: Dispatcher, kind: str) -> None:
            work = partial(records.enqueue, notification=told(kind, began, clock.time()), to=[("alertmanager", url)])
            await store.run(partial(work, now=SteadyClock(clock).now()))
            dispatcher.wake(["alertmanager"])

        async with delivering(store, url) as dispatcher:
            await queue(dispatcher, "firing")
            await until(partial(ends_after, url, 0.0))
            (only,) = await alerts(url)
            assert only["labels"] == {"alertname": "errors", "severity": "critical", "agent": 'planner "1"\n'}
            assert only["annotations"] == {"summary": "too many"}
            assert only["status"]["state"] == "active"
            # It is told again, or it would end by itself.
            await until(partial(ends_after, url, parse_rfc3339(only["endsAt"]) + 1))
        stopped = clock.time()
        async with delivering(store, url) as dispatcher:
            await until(partial(ends_after, url, stopped + 4 * RESEND_SECONDS))
            await queue(dispatcher, "resolved")

            async def over() -> bool:
                return await alerts(url) == []

            await until(over)
    await store.close()


async def test_every_alert_of_a_large_group_gets_there_and_so_does_every_end(tmp_path: Path) -> None:
    config = configured(notification_channels=["alertmanager"], receivers={})
    bench = Bench(tmp_path, config)
    real_time(bench)
    async with alertmanager(tmp_path) as url:
        channel = AlertmanagerChannel([url], time=bench.clock.time, egress=Egress())
        bench.email = channel  # type: ignore[assignment]
        bench.engine = bench.make()
        async with bench.running():
            began = Counter[str]()
            for ended in (False, True):
                began += await bench.engine.desk.receive(sent(450, ended), 300.0)

                async def there(count: int = 0 if ended else 450) -> bool:
                    return len(await alerts(url)) == count

                await until(there, 30)
            assert began == {"firing": 450, "resolved": 450}


def sent(count: int, ended: bool) -> Sent:
    """A webhook with so many alerts of one name."""
    status = "resolved" if ended else "firing"
    posted = [{"status": status, "labels": {"alertname": "Many", "n": f"{number}"}} for number in range(count)]
    return parse_webhook(msgspec.json.encode({"version": "4", "alerts": posted}))
