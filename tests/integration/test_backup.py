"""`hxp backup` under load and `hxp restore`: what was acknowledged is in it, and no offset means two events."""

from __future__ import annotations

import asyncio
import itertools
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp

from tests.faults.workload import noise
from tests.integration.daemon import Daemon
from tests.integration.test_process import hxp

PAUSE_SECONDS = 0.01
"""After each batch of a publisher, so that a fast machine does not publish ever so much."""
SECRET = "xoxb-never-in-a-backup-4711"
PROCESSING = "log: {segment_bytes: 262144, disk_budget_bytes: 500000000, reserve_bytes: 0}\n"
"""Room for all that a fast machine may publish meanwhile: a log that drops what is old would lose the first events."""
GATEWAY = """
real_time_notifications:
  notification_channels: [websocket, slack]
  slack: {{webhook_url_file: {file}}}
"""


def silence() -> dict[str, object]:
    """What is kept in the store and in nothing else."""
    now = datetime.now(UTC)
    return {
        "matchers": [{"name": "alertname", "value": "quiet", "isRegex": False}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "test",
        "comment": "kept in the store",
    }


@asynccontextmanager
async def service(root: Path, data: Path) -> AsyncIterator[Daemon]:
    secret, gateway, processing = root / "slack-url", root / "gateway.yaml", root / "processing.yaml"
    secret.write_text(f"http://127.0.0.1:9/{SECRET}\n")
    secret.chmod(0o600)
    gateway.write_text(GATEWAY.format(file=secret))
    processing.write_text(PROCESSING)
    async with Daemon(data, "--config", str(gateway), "--processing-config", str(processing)) as daemon:
        yield daemon


class Load:
    """Publishers that remember what was acknowledged."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session, self._address = session, f"{address}/events"
        self._numbers = itertools.count()
        self.acknowledged: dict[str, int] = {}
        self.batches = 0

    async def publish(self) -> None:
        while True:
            batch = [self._event(next(self._numbers)) for _ in range(50)]
            async with self._session.post(self._address, json=batch) as answer:
                assert answer.status == 202, await answer.text()
                offsets = [each["offset"] for each in (await answer.json())["events"]]
            self.acknowledged.update(zip((event["id"] for event in batch), offsets, strict=True))
            self.batches += 1
            await asyncio.sleep(PAUSE_SECONDS)

    def _event(self, number: int) -> dict[str, object]:
        text = noise(number, 300).decode()
        return {"id": f"n{number}", "source": "/load", "type": "load.tick", "data": {"text": text}}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.timeout(100):
            tasks = [asyncio.create_task(self.publish()) for _ in range(4)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                for done in await asyncio.gather(*tasks, return_exceptions=True):
                    assert isinstance(done, asyncio.CancelledError), done

    async def until(self, batches: int) -> None:
        while self.batches < batches:
            await asyncio.sleep(0.01)


async def stored(session: aiohttp.ClientSession, base: str) -> dict[str, int]:
    """Id → offset of all events of the load."""
    found: dict[str, int] = {}
    after = 0
    while True:
        parameters = {"after": after, "limit": 1000, "type": "load.tick"}
        async with session.get(f"{base}/events", params=parameters) as answer:
            page = await answer.json()
        found.update({event["id"]: event["offset"] for event in page["events"]})
        if page["next"] == after or page["next"] >= page["head"]:
            return found
        after = page["next"]


async def bounds(session: aiohttp.ClientSession, base: str) -> dict[str, object]:
    async with session.get(f"{base}/events/bounds") as answer:
        found: dict[str, object] = await answer.json()
        return found


async def test_what_was_acknowledged_before_a_backup_under_load_is_in_it(tmp_path: Path) -> None:
    target, data = tmp_path / "backup.tar", tmp_path / "data"
    async with aiohttp.ClientSession() as session, service(tmp_path, data) as daemon:
        load = Load(session, daemon.events)
        async with session.post(f"{daemon.gateway}/api/v2/silences", json=silence()) as answer:
            assert answer.status == 200, await answer.text()
        async with load.running():
            await load.until(20)
            before = dict(load.acknowledged)
            status, output = await hxp("backup", str(target), "--data", str(data), "--json")
            assert status == 0, output
            seen = load.batches
            await load.until(seen + 5)  # the log goes on as before
        assert len(list((data / "processing/log").glob("*.db"))) > 2, "the load was to roll segments"
        epoch = (await bounds(session, daemon.events))["epoch"]
        # A second one over it is refused.
        assert "exists already" in (await hxp("backup", str(target), "--data", str(data)))[1]
        # The owner of a log is not overrun.
        status, output = await hxp("restore", str(target), "--data", str(data), "--replace")
        assert status == 1
        assert f"is in use by process {daemon.pid}" in output
        # The store has no lock file: SQLite's own lock is asked.
        (tmp_path / "other").mkdir()
        (tmp_path / "other/streaming").symlink_to(data / "streaming")
        status, output = await hxp("restore", str(target), "--data", str(tmp_path / "other"), "--replace")
        assert status == 1
        assert "state.db is in use: sudo systemctl stop 'citadel*' first, the ports too" in output
        assert not [line for line in daemon.output if "ERROR" in line and "slack" not in line]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert SECRET.encode() not in target.read_bytes()

    there = tmp_path / "elsewhere"
    status, output = await hxp("restore", str(target), "--data", str(there))
    assert status == 0, output
    for path in there.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    async with aiohttp.ClientSession() as session, service(tmp_path, there) as daemon:
        found = await stored(session, daemon.events)
        assert {name: found.get(name) for name in before} == before
        now = await bounds(session, daemon.events)
        assert now["epoch"] != epoch
        # A cursor of the former life is refused, not answered with other events.
        async with session.get(f"{daemon.events}/events", params={"after": 5, "epoch": str(epoch)}) as answer:
            assert answer.status in {409, 410}
        async with session.get(f"{daemon.gateway}/api/v2/silences") as answer:
            assert [each["comment"] for each in await answer.json()] == ["kept in the store"]


@asynccontextmanager
async def small(root: Path, data: Path) -> AsyncIterator[Daemon]:
    """A log that soon drops what is old; stopped, not killed: the state on disk is the whole of it."""
    config = root / "small.yaml"
    config.write_text("log: {segment_bytes: 262144, disk_budget_bytes: 1048576, reserve_bytes: 0}\n")
    async with Daemon(data, "--processing-config", str(config)) as daemon:
        yield daemon
        assert await daemon.end() == 0


async def totals(session: aiohttp.ClientSession, base: str, requests: int) -> tuple[int, int]:
    """Tokens of the platform and of the history, as soon as they know of so many requests."""
    tokens = {"metric": "tokens", "from": "-1d", "step": "1h"}
    async with asyncio.timeout(30):
        while True:
            async with session.get(f"{base}/api/v2/tokens") as answer:
                total = (await answer.json()).get("total", {})
            async with session.get(f"{base}/analytics/range", params=tokens) as answer:
                series = (await answer.json()).get("series", [])
            known = int(sum(value or 0 for line in series for value in line["values"]))
            if total.get("requests") == requests and known >= total["tokens"]:
                return total["tokens"], known
            await asyncio.sleep(0.05)


async def spend(session: aiohttp.ClientSession, base: str, requests: int) -> None:
    data = {"model": "m", "agent": "a", "input_tokens": 3, "output_tokens": 4}
    # Texts that do not compress fill the log soon.
    events = [
        {"type": "llm.request.completed", "data": data | {"note": os.urandom(300).hex()}} for _ in range(requests)
    ]
    async with session.post(f"{base}/events", json=events) as answer:
        assert answer.status == 202, await answer.text()


async def test_totals_older_than_the_log_survive(tmp_path: Path) -> None:
    """The restored state goes on where it was, under the new epoch, and again after the next start."""
    target, data, there, sent = tmp_path / "backup", tmp_path / "data", tmp_path / "there", 0
    async with aiohttp.ClientSession() as session, small(tmp_path, data) as daemon:
        while (await bounds(session, daemon.events))["first"] == 1:
            await spend(session, daemon.events, 500)
            sent += 500
            # So small a log drops what whoever counts has not seen yet, if nobody waits for them.
            assert await totals(session, daemon.events, sent) == (7 * sent, 7 * sent)
    status, output = await hxp("backup", str(target), "--data", str(data))
    assert status == 0, output
    status, output = await hxp("restore", str(target), "--data", str(there))
    assert status == 0, output
    async with aiohttp.ClientSession() as session:
        for more in (1, 2):
            async with small(tmp_path, there) as daemon:
                await spend(session, daemon.events, 1)
                assert await totals(session, daemon.events, sent + more) == (7 * (sent + more), 7 * (sent + more))
    assert not list(there.glob("**/state.other-epoch"))


async def test_what_was_made_of_the_replaced_log_goes_aside_with_it(tmp_path: Path) -> None:
    target, data = tmp_path / "backup", tmp_path / "data"
    async with aiohttp.ClientSession() as session:
        async with small(tmp_path, data) as daemon:
            await spend(session, daemon.events, 5)
            await totals(session, daemon.events, 5)
        assert (await hxp("backup", str(target), "--data", str(data)))[0] == 0
        async with small(tmp_path, data) as daemon:
            await spend(session, daemon.events, 7)
            await totals(session, daemon.events, 12)
        status, output = await hxp("restore", str(target), "--data", str(data), "--replace")
        assert status == 0, output
        for kept in ("platform/state.before-restore-*", "history/history.db.before-restore-*"):
            assert list((data / "processing").glob(kept)), kept
        async with small(tmp_path, data) as daemon:
            assert await totals(session, daemon.events, 5) == (35, 35)
