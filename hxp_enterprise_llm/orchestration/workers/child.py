"""A child process: started, told what changes, replaced when it dies or stands still, ended with its parent."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import structlog

import hxp_enterprise_llm
from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.orchestration.workers.control import LOOKS, Control, Message, Ready, Stop
from hxp_enterprise_llm.orchestration.workers.release import EX_OTHER_RELEASE, OtherRelease
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.tasks import Supervisor
from hxp_enterprise_llm.telemetry.metrics import WorkerMetrics

log = structlog.get_logger("workers")

EX_OSERR = 71
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
STABLE_SECONDS = 30.0
"""A child that lived so long died of something new: its successor starts at once."""
END_SECONDS = 2.0
"""How long a child that has closed its end of the control may take to be gone."""
START_SECONDS = 60.0
"""How long a child may be silent before it serves; afterwards `service.worker_timeout` holds."""
_NOT_FOR_CHILDREN = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}


class Role(Protocol):
    """What a child is for.

    Its program is a module whose arguments are our release and descriptors: the control, then `handles`.
    """

    @property
    def module(self) -> str: ...

    @property
    def handles(self) -> Sequence[int]: ...

    def first_message(self) -> Message:
        """What it is told first, in each of its lives."""
        ...

    async def missing(self) -> None:
        """Nobody does its work now: before each of its lives."""
        ...

    async def serves(self, control: Control) -> None:
        """It is ready."""
        ...

    def told(self, message: Message) -> None:
        """It said something."""
        ...

    async def gone(self) -> None:
        """A life is over."""
        ...


class Child:
    """A place for a process, and the process in it. `label` names it in log lines."""

    def __init__(
        self,
        label: int | str,
        role: Role,
        *,
        timeout: Callable[[], float],
        supervisor: Supervisor,
        on_fatal: Callable[[BaseException], None],
        clock: Clock,
        metrics: WorkerMetrics,
    ) -> None:
        """`timeout`: seconds that it may stand still. `on_fatal` is told OtherRelease."""
        self.label, self._role, self._timeout = label, role, timeout
        self._supervisor, self._on_fatal = supervisor, on_fatal
        self._clock, self._metrics = clock, metrics
        self.ready = False
        self._hung = False
        self._heard_at = clock.monotonic()
        self._process: asyncio.subprocess.Process | None = None
        self._control: Control | None = None
        self._heard = 0
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Begin to keep it; it is ready a little later."""
        self._heard_at = self._clock.monotonic()
        self._metrics.watch(str(self.label), self.silent_seconds)
        await self._role.missing()
        self._task = self._supervisor.spawn(f"worker {self.label}", self._keep(), ends=True)

    def send(self, message: Message) -> None:
        """Tell it something, if it is there."""
        if self._control is not None:
            self._control.send(message)

    def ask_to_stop(self) -> None:
        """Tell it to end; it is not replaced any more. Idempotent."""
        self._stopping = True
        self.send(Stop())

    async def stop(self) -> None:
        """Wait until it has ended; if it has not when this is cancelled, it is killed."""
        self.ask_to_stop()
        if self._task is not None:
            if self._control is None:
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        while True:
            begun = loop.time()
            status = await self._live()
            if self._stopping:
                return
            if status == EX_OTHER_RELEASE:
                self._on_fatal(OtherRelease(self.label))
                return
            pause = FIRST_PAUSE if loop.time() - begun > STABLE_SECONDS else min(2 * pause, LONGEST_PAUSE)
            self._metrics.restarts.labels(str(self.label), self._reason(status)).inc()
            log.error("worker.died", worker=self.label, status=status, retry_seconds=pause)
            await self._role.missing()
            await asyncio.sleep(pause)

    def _reason(self, status: int) -> str:
        if self._hung:
            return "hung"
        return "not_started" if status == EX_OSERR else "died"

    def silent_seconds(self) -> float:
        """Seconds since it was last heard while it served: a life that never gets so far does not count."""
        return self._clock.monotonic() - self._heard_at

    async def _live(self) -> int:
        """One life; answers the exit status."""
        self._hung = False
        try:
            control = await self._launch()
            watch = self._supervisor.spawn(f"watch over worker {self.label}", self._watch(), ends=True)
            try:
                while (message := await control.receive()) is not None:
                    await self._take(message, control)
            finally:
                watch.cancel()
            return await self._ended()
        except OSError as error:
            # No memory or no process to be had: the others go on, and it is tried again.
            log.error("worker.not_started", worker=self.label, reason=str(error))
            return EX_OSERR
        finally:
            await self._let_go()

    async def _let_go(self) -> None:
        self.ready = False
        if self._process is not None:
            await _kill(self._process)
        if self._control is not None:
            self._control.close()
        self._control = self._process = None
        await self._role.gone()

    async def _take(self, message: Message, control: Control) -> None:
        self._heard += 1
        if isinstance(message, Ready):
            self.ready = True
            await self._role.serves(control)
            log.info("worker.ready", worker=self.label, pid=self.pid)
        else:
            self._role.told(message)
        if self.ready:
            self._heard_at = self._clock.monotonic()

    async def _watch(self) -> None:
        """Kill it when it stands still. Looked at in parts: a pause of this process passes for one of them at most."""
        within = self._timeout()
        silent = 0.0
        while silent < (within if self.ready else max(within, START_SECONDS)):
            heard = self._heard
            await asyncio.sleep(within / LOOKS)
            silent = silent + within / LOOKS if self._heard == heard and not self._stopping else 0.0
        log.error("worker.hung", worker=self.label, silent_seconds=silent)
        self._hung = True
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _launch(self) -> Control:
        ours, theirs = socket.socketpair()
        with theirs:
            handles = [theirs.fileno(), *self._role.handles]
            program = (sys.executable, "-P", "-m", self._role.module, __version__, *map(str, handles))
            try:
                self._process = await asyncio.create_subprocess_exec(*program, pass_fds=handles, env=_environment())
            except BaseException:
                ours.close()
                raise
        self._control = control = await Control.over(ours)
        control.send(self._role.first_message())
        if self._stopping:
            control.send(Stop())
        return control

    async def _ended(self) -> int:
        self.ready = False
        assert self._process is not None
        try:
            async with asyncio.timeout(END_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            return await _kill(self._process)


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
