"""The workers of a gateway: started, told what changes, replaced when they die, ended with their first process."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

import hxp_enterprise_llm
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.orchestration.workers.control import LOOKS, Control, Message, Moves, Ready, Reload, Start, Stop
from hxp_enterprise_llm.orchestration.workers.counts import SharedCounts
from hxp_enterprise_llm.orchestration.workers.presence import Relay
from hxp_enterprise_llm.runtime.tasks import Supervisor
from hxp_enterprise_llm.telemetry.metrics import WorkerMetrics

log = structlog.get_logger("workers")

MODULE = "hxp_enterprise_llm.orchestration.workers"
EX_OSERR = 71
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
STABLE_SECONDS = 30.0
"""A worker that lived so long died of something new: its successor starts at once."""
END_SECONDS = 2.0
"""How long a worker that has closed its end of the control may take to be gone."""
_NOT_FOR_CHILDREN = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}
START_SECONDS = 60.0
"""How long a worker may be silent before it serves; afterwards `service.worker_timeout` holds."""

StandIn = Callable[[socket.socket], Awaitable[Callable[[], Awaitable[None]]]]


@dataclass
class _Worker:
    """A place for a process, and the process in it."""

    number: int
    port: socket.socket
    private: socket.socket
    process: asyncio.subprocess.Process | None = None
    control: Control | None = None
    ready: bool = False
    heard: int = 0
    """Messages from it."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class WorkerPool:
    """Keeps workers 1 to N-1. While one is missing, this process serves what comes in on its socket."""

    def __init__(
        self,
        config: StreamingConfig,
        start: Callable[[int, StreamingConfig], Start],
        *,
        ports: Sequence[socket.socket],
        privates: Sequence[socket.socket],
        counts: SharedCounts,
        stand_in: StandIn,
        supervisor: Supervisor,
        metrics: WorkerMetrics,
        relay: Relay,
    ) -> None:
        """`ports` and `privates` are the listening sockets of the workers; they stay the caller's."""
        self._relay = relay
        self._config, self._start, self._counts = config, start, counts
        self._stand_in, self._supervisor, self._metrics = stand_in, supervisor, metrics
        pairs = zip(ports, privates, strict=True)
        self._workers = [_Worker(number, *sockets) for number, sockets in enumerate(pairs, 1)]
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    @property
    def ready(self) -> list[int]:
        """Numbers of the workers that serve now."""
        return [worker.number for worker in self._workers if worker.ready]

    @property
    def pids(self) -> dict[int, int]:
        """Process ids by number."""
        return {worker.number: worker.process.pid for worker in self._workers if worker.process is not None}

    def __len__(self) -> int:
        return len(self._workers)

    async def start(self) -> None:
        """Begin to keep them; each is ready a little later, and until then this process stands in for it."""
        for worker in self._workers:
            end = await self._stand_in(worker.port)
            keep = self._supervisor.spawn(f"worker {worker.number}", self._keep(worker, end), ends=True)
            self._tasks.append(keep)

    def reload(self, config: StreamingConfig) -> None:
        """Tell all workers the configuration that is in force now."""
        self._config = config
        for worker in self._workers:
            if worker.control is not None:
                worker.control.send(Reload(config))

    def ask_to_stop(self) -> None:
        """Tell all to take leave of their clients and end; none is replaced any more. Idempotent."""
        self._stopping = True
        for worker in self._workers:
            if worker.control is not None:
                worker.control.send(Stop())

    async def stop(self) -> None:
        """Wait until all have ended; whoever has not when this is cancelled is killed."""
        self.ask_to_stop()
        for task, worker in zip(self._tasks, self._workers, strict=True):
            if worker.control is None:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, worker: _Worker, end_stand_in: Callable[[], Awaitable[None]]) -> None:
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        while True:
            begun = loop.time()
            status = await self._run(worker, end_stand_in)
            self._counts.clear(worker.number)
            if self._stopping:
                return
            pause = FIRST_PAUSE if loop.time() - begun > STABLE_SECONDS else min(2 * pause, LONGEST_PAUSE)
            self._metrics.restarts.inc()
            log.error("worker.died", worker=worker.number, status=status, retry_seconds=pause)
            end_stand_in = await self._stand_in(worker.port)
            await asyncio.sleep(pause)

    async def _run(self, worker: _Worker, end_stand_in: Callable[[], Awaitable[None]]) -> int:
        """One life of a worker; answers its exit status."""
        try:
            await self._launch(worker)
            assert worker.control is not None
            watch = self._supervisor.spawn(f"watch over worker {worker.number}", self._watch(worker), ends=True)
            try:
                while (message := await worker.control.receive()) is not None:
                    await self._take(worker, message, end_stand_in)
            finally:
                watch.cancel()
            return await self._ended(worker)
        except OSError as error:
            # No memory or no process to be had: the others go on, and it is tried again.
            log.error("worker.not_started", worker=worker.number, reason=str(error))
            return EX_OSERR
        finally:
            await end_stand_in()
            if worker.process is not None:
                await _kill(worker.process)
            if worker.control is not None:
                worker.control.close()
            worker.ready = False
            worker.control = worker.process = None
            self._relay.gone(worker.number)

    async def _take(self, worker: _Worker, message: Message, end_stand_in: Callable[[], Awaitable[None]]) -> None:
        worker.heard += 1
        if isinstance(message, Moves):
            self._relay.told(worker.number, message.moves)
        elif isinstance(message, Ready):
            assert worker.control is not None
            self._relay.begin(worker.number, worker.control.write)
            worker.ready = True
            self._metrics.running.set(1 + len(self.ready))
            await end_stand_in()
            log.info("worker.ready", worker=worker.number, pid=self.pids[worker.number])

    async def _watch(self, worker: _Worker) -> None:
        """Kill it when it stands still. Looked at in parts: a pause of this process passes for one of them at most."""
        within = self._config.service.worker_timeout
        silent = 0.0
        while silent < (within if worker.ready else max(within, START_SECONDS)):
            heard = worker.heard
            await asyncio.sleep(within / LOOKS)
            silent = silent + within / LOOKS if worker.heard == heard and not self._stopping else 0.0
        log.error("worker.hung", worker=worker.number, silent_seconds=silent)
        if worker.process is not None and worker.process.returncode is None:
            worker.process.kill()

    async def _launch(self, worker: _Worker) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            handles = [sock.fileno() for sock in (theirs, worker.port, worker.private)] + [self._counts.handle]
            try:
                worker.process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", MODULE, *map(str, handles)), pass_fds=handles, env=_environment()
                )
            except BaseException:
                ours.close()
                raise
        worker.control = await Control.over(ours)
        worker.control.send(self._start(worker.number, self._config))
        if self._stopping:
            worker.control.send(Stop())

    async def _ended(self, worker: _Worker) -> int:
        worker.ready = False
        self._metrics.running.set(1 + len(self.ready))
        assert worker.process is not None
        try:
            async with asyncio.timeout(END_SECONDS):
                return await worker.process.wait()
        except TimeoutError:
            return await _kill(worker.process)


async def _kill(process: asyncio.subprocess.Process) -> int:
    """End it if it has not ended by itself; answers its exit status."""
    if process.returncode is None:
        process.kill()
    return await process.wait()


def _environment() -> dict[str, str]:
    """Ours, without what is meant for this process alone; the package is found where we found it."""
    root = str(Path(hxp_enterprise_llm.__file__).parents[1])
    path = [*filter(None, [os.environ.get("PYTHONPATH", "")]), root]
    mine = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_CHILDREN}
    return mine | {"PYTHONPATH": os.pathsep.join(path)}
