"""The real program as a child process, and as an object in this one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.orchestration.streaming_orchestrator import Settings, StreamingOrchestrator

START_SECONDS = 120


def embedded_settings(directory: Path) -> Settings:
    """Both services on free loopback ports with their state below `directory`."""
    return Settings(
        placed(ProcessingConfig(), directory / "processing"), placed(StreamingConfig(), directory / "streaming")
    )


def placed(config, directory: Path):
    """A configuration on a free loopback port with its state in `directory`."""
    config = msgspec.structs.replace(
        config,
        service=msgspec.structs.replace(config.service, host="127.0.0.1", port=0, timeout=10),
        state=msgspec.structs.replace(config.state, directory=str(directory)),
    )
    if isinstance(config, StreamingConfig):
        free = dict.fromkeys(config.live_dashboard.ports, 0)
        config = msgspec.structs.replace(
            config, live_dashboard=msgspec.structs.replace(config.live_dashboard, ports=free)
        )
    return config


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[StreamingOrchestrator]:
    """The orchestrator, started, and stopped at the end."""
    orchestrator = StreamingOrchestrator(settings, environ={})
    await orchestrator.start()
    try:
        yield orchestrator
    finally:
        await orchestrator.stop()


def url(orchestrator: StreamingOrchestrator, service: str) -> str:
    """Base URL of `processing` or `streaming`, or of a dashboard's port."""
    servers = orchestrator.servers
    host, port = orchestrator.addresses[servers[service].name if service in servers else service]
    return f"http://{host}:{port}"


def send(process: asyncio.subprocess.Process, number: int) -> None:
    """Send a signal to a child that may have ended by itself.

    `Process.send_signal` looks first whether the child is there, and when it has just ended it takes the exit status
    away from the loop, which then answers 255.
    """
    with contextlib.suppress(ProcessLookupError):
        if process.returncode is None:
            os.kill(process.pid, number)


class Daemon:
    """`hxp up` as a child process on free ports; what it printed tells where it listens."""

    def __init__(
        self,
        data: Path,
        *arguments: str,
        environ: dict[str, str] | None = None,
        free_ports: bool = True,
        within: Sequence[str] = (),
        start_seconds: float = START_SECONDS,
    ) -> None:
        """`within`: a command that ends by executing its arguments, with the daemon's among them."""
        self.data, self._within, self._start_seconds = data, within, start_seconds
        self._ports = ["--free-ports"] if free_ports else []
        self._arguments = arguments
        self._environ = {**os.environ, **(environ or {})}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self.output: list[str] = []
        self.events = ""
        self.gateway = ""

    async def start(self) -> None:
        """Start, and wait until it has printed its addresses."""
        self.output.clear()
        program = [*self._within, sys.executable, "-m", "hxp_enterprise_llm.cli.main"]
        command = [*program, "up", *self._ports, "--data", str(self.data)]
        self._process = await asyncio.create_subprocess_exec(
            *command, *self._arguments, stderr=asyncio.subprocess.PIPE, env=self._environ, limit=1 << 20
        )
        ready = asyncio.Event()
        self._reader = asyncio.create_task(self._read(ready))
        try:
            async with asyncio.timeout(self._start_seconds):
                await ready.wait()
        except TimeoutError:
            await self.end(signal.SIGKILL)
            raise AssertionError(f"not ready within {self._start_seconds} s:\n" + "".join(self.output)) from None
        if not self.gateway:
            raise AssertionError("the daemon ended:\n" + "".join(self.output))

    async def _read(self, ready: asyncio.Event) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        while line := (await self._process.stderr.readline()).decode():
            self.output.append(line)
            if match := re.search(r"Live page\s+(http\S+?)/\s", line):
                self.gateway = match[1]
            if match := re.search(r"Events in\s+(http\S+)/events", line):
                self.events = match[1]
            if "Stop  " in line:
                ready.set()
        ready.set()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def wait(self) -> int:
        """Wait until it ends by itself; answers the exit status."""
        assert self._process is not None
        return await self._process.wait()

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; answers the exit status."""
        assert self._process is not None
        assert self._reader is not None
        send(self._process, number)
        async with asyncio.timeout(30):
            status = await self._process.wait()
            await self._reader
        self.gateway = self.events = ""
        return status

    async def __aenter__(self) -> Daemon:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            await self.end(signal.SIGKILL)
