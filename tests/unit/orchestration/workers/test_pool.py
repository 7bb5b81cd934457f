"""Keeping processes: stand-ins while one is missing, longer pauses for one that cannot start, an end in any case."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import msgspec
import psutil
import pytest
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.streaming.centrifuge.presence import Info, Move, Presence
from hxp_enterprise_llm.orchestration.workers import child as child_module
from hxp_enterprise_llm.orchestration.workers import pool as pool_module
from hxp_enterprise_llm.orchestration.workers.control import Moves, Start
from hxp_enterprise_llm.orchestration.workers.counts import SharedCounts
from hxp_enterprise_llm.orchestration.workers.pool import WorkerPool
from hxp_enterprise_llm.orchestration.workers.presence import Relay
from hxp_enterprise_llm.orchestration.workers.release import EX_OTHER_RELEASE, OtherRelease
from hxp_enterprise_llm.runtime.cleanup import CleanupStack
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.runtime.tasks import Supervisor
from hxp_enterprise_llm.telemetry.metrics import RESTART_REASONS, WorkerMetrics

READY_THEN = """
import socket, sys, time
control = socket.socket(fileno=int(sys.argv[2]))
length = int.from_bytes(control.recv(4))
while length > 0:
    length -= len(control.recv(length))
ready = b'{"type":"ready"}'
control.sendall(len(ready).to_bytes(4) + ready)
"""


class Clock(SystemClock):
    """Goes on when the test says so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Bench:
    """A pool of one worker whose program is a file of the test."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pool_module, "MODULE", "stand_in_worker")
        monkeypatch.setenv("PYTHONPATH", str(directory))
        self.program = directory / "stand_in_worker.py"
        self.registry = CollectorRegistry()
        self.deaths: list[BaseException] = []
        self.supervisor = Supervisor(self.deaths.append)
        self.outdated: list[BaseException] = []
        self.clock = Clock()
        self.counts = SharedCounts.create(2)
        self.presence = Presence(announces=False)
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.standing_in = 0
        self.changed = asyncio.Event()
        self.pool = WorkerPool(
            StreamingConfig(),
            lambda number, config: Start(number, config, "node", str(directory), own_log=False),
            ports=self.sockets[:1],
            privates=self.sockets[1:],
            counts=self.counts,
            stand_in=self.stand_in,
            context=Context(self.supervisor, self.outdated.append, self.clock),
            metrics=WorkerMetrics(self.registry),
            relay=Relay(self.presence),
        )

    async def stand_in(self, sock: socket.socket):
        """Counts who stands in now."""
        assert sock is self.sockets[0]
        ended = False
        self.standing_in += 1

        async def end() -> None:
            nonlocal ended
            self.standing_in -= not ended
            ended = True

        return end

    def allow_silence(self, seconds: float) -> None:
        """What `service.worker_timeout` says."""
        service = msgspec.structs.replace(StreamingConfig().service, worker_timeout=seconds)
        self.pool.reload(msgspec.structs.replace(StreamingConfig(), service=service))

    def value(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(name, labels)
        assert found is not None, name
        return found

    def restarts(self, reason: str) -> float:
        """How often the worker was replaced for this."""
        return self.value("citadel_workers_restarts_total", worker="1", reason=reason)

    @property
    def silent(self) -> float:
        return self.value("citadel_workers_silent_seconds", worker="1")

    async def until(self, wanted) -> None:
        async with asyncio.timeout(30):
            while not wanted():
                await asyncio.sleep(0.01)


@pytest.fixture
async def bench(tmp_path, monkeypatch):
    made = Bench(tmp_path, monkeypatch)
    yield made
    stack = CleanupStack()
    stack.push("workers", made.pool.stop)
    await stack.run(1.0)
    await made.supervisor.stop()
    made.counts.close()
    for sock in made.sockets:
        sock.close()
    assert not made.deaths
    assert psutil.Process().children() == []


async def test_a_worker_that_cannot_start_is_tried_again_and_again(bench):
    """Meanwhile this process serves what is for it; nothing else ends."""
    bench.program.write_text("raise SystemExit(3)")
    await bench.pool.start()
    await bench.until(lambda: bench.restarts("died") >= 2)
    assert bench.pool.ready == []
    await bench.until(lambda: bench.standing_in == 1)


async def test_a_process_that_cannot_be_had_ends_nothing(bench, monkeypatch):
    """The system is out of processes, then it is not."""
    bench.program.write_text(READY_THEN + "control.recv(1)")

    async def refuses(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "create_subprocess_exec", refuses)
        await bench.pool.start()
        await bench.until(lambda: bench.restarts("not_started") >= 1)
    await bench.until(lambda: bench.pool.ready == [1])


async def test_a_ready_worker_serves_its_socket_alone_until_it_dies(bench):
    """Its places are free when it is gone, and somebody stands in for it again."""
    bench.program.write_text(READY_THEN + "time.sleep(600)")
    await bench.pool.start()
    await bench.until(lambda: bench.standing_in == 0)
    assert bench.pool.ready == [1]
    assert bench.value("citadel_workers_running") == 2
    assert SharedCounts(bench.counts.handle, 1).enter("sse", 5)
    psutil.Process(bench.pool.pids[1]).kill()
    await bench.until(lambda: bench.restarts("died") == 1)
    assert bench.counts.total("sse") == 0
    await bench.until(lambda: bench.pool.ready == [1])


async def test_a_worker_that_does_not_listen_is_killed_at_the_stop(bench):
    """It ignores what it is told; the stop is bounded all the same, and the process is gone."""
    bench.program.write_text(READY_THEN + "time.sleep(600)")
    await bench.pool.start()
    await bench.until(lambda: bench.pool.ready == [1])
    process = psutil.Process(bench.pool.pids[1])
    stack = CleanupStack()
    stack.push("workers", bench.pool.stop)
    assert await stack.run(0.3) == ["workers"]
    await asyncio.to_thread(process.wait, 30)


async def test_a_worker_that_closes_its_end_and_stays_is_killed(bench, monkeypatch):
    """A process nobody can talk to is none."""
    monkeypatch.setattr(child_module, "END_SECONDS", 0.1)
    bench.program.write_text(READY_THEN + "control.close()\ntime.sleep(600)")
    await bench.pool.start()
    await bench.until(lambda: bench.restarts("died") == 1)


async def test_a_worker_that_falls_silent_is_killed(bench):
    """It lives and holds its end, but nothing comes from it any more: after the configured time there is another."""
    bench.program.write_text(READY_THEN + "time.sleep(600)")
    bench.allow_silence(1.0)
    await bench.pool.start()
    await bench.until(lambda: bench.restarts("hung") >= 1)
    await bench.until(lambda: bench.pool.ready == [1])


async def test_a_worker_that_is_never_ready_is_killed(bench, monkeypatch):
    """It hangs while it starts."""
    monkeypatch.setattr(child_module, "START_SECONDS", 1.0)
    bench.allow_silence(1.0)
    bench.program.write_text("import time; time.sleep(600)")
    await bench.pool.start()
    await bench.until(lambda: bench.restarts("hung") >= 1)


async def test_the_clients_of_a_worker_leave_with_it(bench):
    """Whoever it told of is gone when it is gone."""
    moves = msgspec.json.encode(Moves([Move("a", "c1", Info("u", "c1"))]))
    say = f"moves = {moves!r}\ncontrol.sendall(len(moves).to_bytes(4) + moves)\n"
    bench.program.write_text(READY_THEN + say + "time.sleep(600)")
    await bench.pool.start()
    await bench.until(lambda: bench.presence.stats("a") == {"num_clients": 1, "num_users": 1})
    psutil.Process(bench.pool.pids[1]).kill()
    await bench.until(lambda: bench.presence.stats("a") == {})


async def test_a_stop_in_the_middle_of_a_start(bench):
    """Whoever is being started ends as well."""
    bench.program.write_text(READY_THEN + "control.recv(1)")
    await bench.pool.start()
    await asyncio.sleep(0)
    await bench.pool.stop()
    assert bench.pool.ready == []


async def test_every_reason_is_on_the_page_before_anything_has_happened(bench):
    """A rate of a counter that appears with its first one would miss that one."""
    bench.program.write_text(READY_THEN + "control.recv(1)")
    await bench.pool.start()
    assert [bench.restarts(reason) for reason in RESTART_REASONS] == [0, 0, 0]


async def test_how_long_a_worker_is_silent_counts_on_until_one_serves(bench):
    """Neither the death of the one that was silent nor a life that never serves sets it back."""
    bench.program.write_text(READY_THEN + "control.recv(1)")
    await bench.pool.start()
    bench.clock.now += 5
    assert bench.silent == 5
    await bench.until(lambda: bench.pool.ready == [1])
    assert bench.silent == 0
    bench.clock.now += 7
    assert bench.silent == 7
    bench.program.write_text("raise SystemExit(3)")
    psutil.Process(bench.pool.pids[1]).kill()
    await bench.until(lambda: bench.restarts("died") >= 2)
    assert bench.silent == 7
    bench.program.write_text(READY_THEN + "control.recv(1)")
    await bench.until(lambda: bench.pool.ready == [1])
    assert bench.silent == 0


async def test_a_worker_of_another_release_ends_the_whole(bench):
    """Not again and again: the next one would be of that release, too."""
    bench.program.write_text(f"raise SystemExit({EX_OTHER_RELEASE})")
    await bench.pool.start()
    await bench.until(lambda: bench.outdated)
    (found,) = bench.outdated
    assert isinstance(found, OtherRelease)
    assert __version__ in str(found)
    assert [bench.restarts(reason) for reason in RESTART_REASONS] == [0, 0, 0]
