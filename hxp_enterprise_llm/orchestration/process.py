"""A process around the orchestrator: signals, reload, exit status. What `hxp up` and `hxp serve` run."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog

from hxp_enterprise_llm.config.faults import ConfigError
from hxp_enterprise_llm.orchestration.streaming_orchestrator import Settings, StreamingOrchestrator
from hxp_enterprise_llm.orchestration.systemd import feed_watchdog
from hxp_enterprise_llm.orchestration.workers.release import EX_OTHER_RELEASE, OtherRelease

log = structlog.get_logger("process")

EX_OK = 0
EX_SOFTWARE = 70
EX_CONFIG = 78


@contextmanager
def _signals(loop: asyncio.AbstractEventLoop, handlers: dict[int, Callable[[], None]]) -> Iterator[None]:
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)


class Process:
    """Runs an orchestrator until a signal or a fatal error, reloading on SIGHUP."""

    def __init__(
        self,
        orchestrator: StreamingOrchestrator,
        load: Callable[[], Settings],
        *,
        notify: Callable[[str], None] = lambda _: None,
        applied: Callable[[Settings], None] = lambda _: None,
        watchdog: float | None = None,
    ) -> None:
        """`applied` is told each configuration that a reload has taken.

        `watchdog`: seconds within which the service manager wants each sign of life.
        """
        self._watchdog = watchdog
        self._orchestrator, self._load, self._notify, self._applied = orchestrator, load, notify, applied
        self._stop = asyncio.Event()
        self._reload_due = asyncio.Event()

    async def run(self, on_ready: Callable[[], Awaitable[None]] | None = None) -> int:
        """Start, wait, stop; answers the exit status. A second SIGINT or SIGTERM ends at once."""
        loop = asyncio.get_running_loop()
        handlers: dict[int, Callable[[], None]] = {
            signal.SIGTERM: lambda: self._asked_to_stop("SIGTERM"),
            signal.SIGINT: lambda: self._asked_to_stop("SIGINT"),
            signal.SIGHUP: self._reload_due.set,
        }
        with _signals(loop, handlers):
            try:
                await self._orchestrator.start()
                self._notify(f"READY=1\nSTATUS={self._status()}")
                self._feed_watchdog()
                if on_ready is not None:
                    await on_ready()
                await self._until_stopped()
            finally:
                self._notify("STOPPING=1")
                await self._orchestrator.stop()
        fatal = self._orchestrator.fatal
        if isinstance(fatal, OtherRelease):
            log.error("process.outdated", error=str(fatal))
            return EX_OTHER_RELEASE
        if fatal is not None:
            log.error("process.failed", error=str(fatal))
            return EX_SOFTWARE
        log.info("process.stopped")
        return EX_OK

    def _status(self) -> str:
        where = ", ".join(f"{name} on {host}:{port}" for name, (host, port) in self._orchestrator.addresses.items())
        return f"Serving {where}"

    def _feed_watchdog(self) -> None:
        if self._watchdog is not None:
            clock = asyncio.get_running_loop().time
            feeding = feed_watchdog(self._notify, self._orchestrator.trouble, self._watchdog, clock=clock)
            self._orchestrator.supervisor.spawn("watchdog", feeding)

    def _asked_to_stop(self, name: str) -> None:
        if self._stop.is_set():
            log.warning("process.killed", signal=name, reason="asked twice")
            os._exit(EX_SOFTWARE)
        log.info("process.stopping", signal=name)
        self._stop.set()

    async def _until_stopped(self) -> None:
        waits = [
            asyncio.create_task(event.wait(), name=name)
            for name, event in (("stop", self._stop), ("fatal", self._orchestrator.ended))
        ]
        reloads = asyncio.create_task(self._reload_loop(), name="reload")
        try:
            await asyncio.wait([*waits, reloads], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*waits, reloads):
                task.cancel()
            await asyncio.gather(*waits, reloads, return_exceptions=True)

    async def _reload_loop(self) -> None:
        while True:
            await self._reload_due.wait()
            self._reload_due.clear()
            self.reload()
            # A storm of signals costs one reload a second.
            await asyncio.sleep(1.0)

    def reload(self) -> bool:
        """Take the configuration anew, or keep the old one and say why; answers whether it was taken."""
        self._notify("RELOADING=1")
        status = self._status()
        try:
            settings = self._load()
            report = self._orchestrator.reload(settings)
        except ConfigError as error:
            self._orchestrator.reload_failed()
            log.error("config.refused", kept="the configuration in force", reason=str(error))
            status = f"Configuration refused, the one before is in force: {str(error).splitlines()[0]}"
            return False
        else:
            self._applied(settings)
            log.info("config.reloaded", applied=list(report.applied), needs_restart=list(report.restart))
            return True
        finally:
            self._notify(f"READY=1\nSTATUS={status}")
