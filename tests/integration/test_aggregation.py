"""Event processing in two processes: as one to whoever asks, and exact when one of them dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil
import yaml

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.orchestration.workers.release import EX_OTHER_RELEASE
from tests.integration.daemon import send
from tests.ports import free_port

QUIET = {"sources": {"host": {"enabled": False}}}
CALL = {"model": "gpt-4o-mini", "agent": "a1", "latency_ms": 100, "input_tokens": 30, "output_tokens": 12}

UPGRADED = """
from pathlib import Path
import hxp_enterprise_llm
if Path(__file__).with_name("upgraded").exists():
    hxp_enterprise_llm.__version__ = "99.0.0"
"""
"""Read by each interpreter that starts."""


class Service:
    """`hxp serve processing` on one port over its lives."""

    def __init__(self, directory: Path, process: str = "auto", **service: Any) -> None:
        directory.mkdir(exist_ok=True)
        self.port, self.directory = free_port(), directory
        self.url = f"http://127.0.0.1:{self.port}"
        self._service = {"port": self.port, "host": "127.0.0.1", "timeout": 10, "aggregation_process": process}
        self._service |= service
        self.configure()
        self.process: asyncio.subprocess.Process
        self.session: aiohttp.ClientSession

    def configure(self, **sections: Any) -> None:
        """Write the file anew."""
        content = QUIET | {"service": self._service, "state": {"directory": str(self.directory / "state")}} | sections
        (self.directory / "processing.yaml").write_text(yaml.safe_dump(content))

    async def start(self) -> None:
        """Start, and wait until analytics is whole."""
        program = [sys.executable, "-m", "hxp_enterprise_llm.cli.main", "serve", "processing"]
        with (self.directory / "stderr").open("a") as stderr:
            self.process = await asyncio.create_subprocess_exec(
                *program, "--config", str(self.directory / "processing.yaml"), stderr=stderr
            )
        self.session = aiohttp.ClientSession(self.url)
        await self.until_whole()

    async def until_whole(self) -> None:
        """Until every part is well and nothing lags."""

        def whole(parts: dict[str, Any]) -> bool:
            followers = [parts[name] for name in ("analytics", "platform", "history")]
            return all(part["status"] == "ok" for part in followers) and not parts["analytics"]["lag"]

        await self.until_parts(whole)

    async def until_forecast(self) -> None:
        """Until the forecast has looked once: from then on its values are there."""
        async with asyncio.timeout(30):
            while "tokens_next_hour" not in (await self.get("/analytics"))["metrics"]:
                await asyncio.sleep(0.1)

    async def until_parts(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Ask for the health until its parts are as wanted."""
        async with asyncio.timeout(100):
            while True:
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    if wanted(parts := (await self.get("/health"))["parts"]):
                        return parts
                await asyncio.sleep(0.05)

    async def get(self, path: str, status: int = 200) -> Any:
        """What is answered to a GET, as JSON."""
        async with self.session.get(path) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def page(self) -> dict[str, float]:
        """The metrics by series."""
        async with self.session.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    async def post(self, events: list[dict[str, Any]]) -> None:
        async with self.session.post("/events", json=events) as answer:
            assert answer.status == 202, await answer.text()

    @property
    def child(self) -> psutil.Process:
        """The process that aggregates."""
        (found,) = psutil.Process(self.process.pid).children()
        return found

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; answers the exit status."""
        await self.session.close()
        send(self.process, number)
        async with asyncio.timeout(30):
            return await self.process.wait()

    @property
    def written(self) -> str:
        return (self.directory / "stderr").read_text()


@asynccontextmanager
async def serving(directory: Path, process: str = "auto", **service: Any) -> AsyncIterator[Service]:
    made = Service(directory, process, **service)
    try:
        await made.start()
        yield made
        assert await made.end() == 0, made.written
    finally:
        if made.process.returncode is None:
            await made.end(signal.SIGKILL)


def calls(start: int, count: int) -> list[dict[str, Any]]:
    """Calls of a model, each with an identity of its own."""
    return [
        {"id": f"c{number}", "source": "/t", "type": "llm.request.completed", "data": CALL}
        for number in range(start, start + count)
    ]


def restarts(reason: str) -> str:
    """The series that counts those."""
    return f'citadel_workers_restarts_total{{reason="{reason}",worker="aggregation"}}'


async def test_two_processes_answer_as_one(tmp_path):
    """The same numbers, routes, metrics and documents, by the same addresses."""
    async with serving(tmp_path / "two") as two, serving(tmp_path / "one", "shared") as one:
        assert two.child.is_running()
        assert psutil.Process(one.process.pid).children() == []
        begun = rfc3339(psutil.time.time())
        dated = [event | {"time": begun} for event in calls(0, 500)]
        for service in (two, one):
            await service.post(dated)
        found, wanted = [await service.get("/analytics") for service in (two, one)]
        assert found["windows"]["5m"]["tokens"] == wanted["windows"]["5m"]["tokens"] == 500 * 42
        assert found["groups"]["tokens"] == wanted["groups"]["tokens"]
        found, wanted = [await service.get("/api/v2/tokens") for service in (two, one)]
        assert found["total"] == wanted["total"]
        assert found["total"]["input_tokens"] == 500 * 30
        found, wanted = [await service.get("/openapi.json") for service in (two, one)]
        assert found == wanted
        for service in (two, one):
            await service.until_forecast()
        found, wanted = [(await service.get("/analytics"))["metrics"] for service in (two, one)]
        assert found.keys() == wanted.keys()
        found, wanted = [set(await service.page()) for service in (two, one)]
        assert {series for series in wanted - found if not series.startswith("citadel_http_requests")} == set()
        assert {re.sub(r"[_{].*", "", series) for series in found - wanted} <= {"citadel"}
        for path in ("/analytics?window=none", "/analytics/range?metric=none", "/api/v2/forecast/tokens?hours=x"):
            answers = [await service.get(path, 400) for service in (two, one)]
            assert answers[0] == answers[1]


async def test_whoever_asks_after_the_answer_sees_its_event(tmp_path):
    """The question carries how far the log was, and the other process waits until it is as far."""
    async with serving(tmp_path) as service:
        for number in range(50):
            await service.post(calls(number, 1))
            assert (await service.get("/analytics"))["metrics"]["tokens"] == 42 * (number + 1)
            assert (await service.get("/api/v2/tokens"))["total"]["requests"] == number + 1
        async with service.session.get("/api/v2/export/analytics?what=requests&format=ndjson") as answer:
            assert "attachment" in answer.headers["Content-Disposition"]
            assert len((await answer.text()).splitlines()) == 50


async def test_its_death_costs_no_event_and_doubles_none(tmp_path):
    """Killed again and again under load; meanwhile events are taken in, and whoever asks is told."""
    async with serving(tmp_path) as service:
        stored = 0
        for _ in range(3):
            victim = service.child
            for number in range(40):
                await service.post(calls(stored, 100))
                stored += 100
                if number == 20:
                    victim.kill()
                    # Asked from now on: a successor may be there before the rest is posted.
                    away = asyncio.create_task(service.until_parts(is_degraded))
            parts = await away
            reason = parts["analytics"]["reason"]
            # A question may have waited for the successor, whose parts are well again one after the other.
            if "rebuilt from the log" not in reason:
                assert "away" in reason or "no answer" in reason
                assert parts["platform"]["status"] == parts["history"]["status"] == "degraded"
            await service.get("/health/ready")
            await service.until_whole()
        await check_totals(service, stored)
        assert (await service.page())[restarts("died")] == 3


def is_degraded(parts: dict[str, Any]) -> bool:
    return parts["analytics"]["status"] == "degraded"


async def check_totals(service: Service, stored: int) -> None:
    """Everything that is counted is what was stored."""
    analytics = await service.get("/analytics")
    assert analytics["windows"]["5m"]["tokens"] == 42 * stored
    assert (await service.get("/api/v2/tokens"))["total"]["requests"] == stored
    async with asyncio.timeout(30):
        while True:
            line = await service.get("/analytics/range?metric=tokens&from=-1h&step=1h")
            total = sum(value or 0 for value in line["series"][0]["values"])
            assert total <= 42 * stored
            if total == 42 * stored:
                return
            await asyncio.sleep(0.1)


async def test_while_it_is_away_whoever_asks_is_told_to_come_again(tmp_path):
    """One that stands still is killed and replaced."""
    async with serving(tmp_path, worker_timeout=4) as service:
        victim = service.child
        victim.suspend()
        parts = await service.until_parts(is_degraded)
        assert "no answer" in parts["analytics"]["reason"]
        await service.post(calls(0, 10))
        async with asyncio.timeout(30):
            while victim.is_running() and victim.status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.05)
        async with service.session.get("/analytics") as answer:
            if answer.status != 200:  # its successor may be there already
                assert answer.status == 503
                assert answer.headers["Retry-After"] == "2"
                assert (await answer.json())["error"]["code"] in ("aggregation_away", "analytics_rebuilding")
        await service.until_whole()
        assert (await service.get("/analytics"))["metrics"]["tokens"] == 420
        assert (await service.page())[restarts("hung")] == 1
        assert "worker.hung" in service.written or "hung worker=aggregation" in service.written


async def test_a_scrape_tells_the_lag_of_one_that_gives_no_answer(tmp_path):
    """An alert on it must fire when the other process has no turn to spare: that is when it is behind."""
    async with serving(tmp_path, worker_timeout=60) as service:
        service.child.send_signal(signal.SIGSTOP)
        try:
            await service.post(calls(0, 500))
            async with asyncio.timeout(60):
                while (page := await service.page())["citadel_processing_lag_events"] < 500:
                    pass
            assert page["citadel_workers_unreachable"] == 1
        finally:
            service.child.send_signal(signal.SIGCONT)
        await service.until_whole()
        async with asyncio.timeout(60):
            while (await service.page())["citadel_processing_lag_events"]:
                await asyncio.sleep(0.1)


async def test_after_an_upgrade_its_successor_ends_the_whole(tmp_path, monkeypatch):
    """It would be of the release that is installed now: both processes end, to be started as one release."""
    (tmp_path / "sitecustomize.py").write_text(UPGRADED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    service = Service(tmp_path)
    await service.start()
    await service.post(calls(0, 10))
    (tmp_path / "upgraded").touch()
    service.child.kill()
    async with asyncio.timeout(30):
        assert await service.process.wait() == EX_OTHER_RELEASE
    assert f"this is release 99.0.0, the first process is release {__version__}" in service.written
    assert re.search(r"ERROR process: outdated .*another release is installed", service.written), service.written
    assert "log: closed" in service.written
    await service.session.close()
    (tmp_path / "upgraded").unlink()
    await service.start()
    assert (await service.get("/api/v2/tokens"))["total"]["requests"] == 10
    assert await service.end() == 0


async def test_it_ends_with_its_first_process(tmp_path):
    """However that one ends; the next one goes on where it was."""
    service = Service(tmp_path)
    await service.start()
    await service.post(calls(0, 300))
    await service.until_parts(lambda parts: parts["platform"]["position"] >= 300)
    child = service.child
    await service.end(signal.SIGKILL)
    await asyncio.to_thread(child.wait, 30)
    await service.start()
    await service.post(calls(300, 10))
    await check_totals(service, 310)
    child = service.child
    assert await service.end() == 0, service.written
    assert not child.is_running()
    assert "cleanup.failed" not in service.written


async def test_a_stop_does_not_wait_for_one_that_stands_still(tmp_path):
    """It is killed in time, and the log is closed as ever."""
    async with serving(tmp_path, timeout=4) as service:
        await service.post(calls(0, 10))
        child = service.child
        child.suspend()
        assert await service.end() == 0
        assert not child.is_running()
        assert "log: closed" in service.written
        assert "cleanup" not in service.written
        await service.start()
        assert (await service.get("/api/v2/tokens"))["total"]["requests"] == 10


async def test_a_reload_reaches_it_and_a_faulty_one_changes_nothing(tmp_path):
    """What one of the two cannot take, neither takes."""
    metric = {"name": "calls", "types": ["llm.request.completed"], "kind": "count", "window": "5m"}
    async with serving(tmp_path) as service:
        service.configure(analytics={"metrics": [metric]})
        os.kill(service.process.pid, signal.SIGHUP)
        async with asyncio.timeout(30):
            while "calls" not in (await service.get("/analytics"))["metrics"]:
                await asyncio.sleep(0.05)
        await service.post(calls(0, 7))
        assert (await service.get("/analytics"))["metrics"]["calls"] == 7
        service.configure(analytics={"metrics": [metric | {"kind": "sum"}]}, ingest={"max_age": "1d"})
        os.kill(service.process.pid, signal.SIGHUP)
        async with asyncio.timeout(30):
            while (await service.page())["citadel_config_last_reload_successful"] == 1:
                await asyncio.sleep(0.05)
        assert (await service.get("/analytics"))["metrics"]["calls"] == 7


async def test_its_sockets_and_files_are_ours_alone(tmp_path):
    async with serving(tmp_path) as service:
        state = tmp_path / "state"
        assert (state / "workers").stat().st_mode & 0o777 == 0o700
        for path in [*(state / "workers").iterdir(), state / "aggregation.lock"]:
            assert path.stat().st_mode & 0o777 == 0o600, path
        assert msgspec.json.encode(await service.get("/health/live")) == b'{"status":"ok"}'
