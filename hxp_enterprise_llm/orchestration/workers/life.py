"""One life of a child process: serves until it is told to stop, or its parent is gone, or something fails."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.faults import ConfigError
from hxp_enterprise_llm.config.processing import AnalyticsConfig
from hxp_enterprise_llm.orchestration.server import ServedConfig, ServiceServer
from hxp_enterprise_llm.orchestration.workers.control import (
    LONGEST_SILENCE,
    LOOKS,
    Alive,
    Control,
    Message,
    Ready,
    Stop,
)
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.runtime.tasks import Supervisor
from hxp_enterprise_llm.telemetry import logs

log = structlog.get_logger("worker")

EX_OK = 0
EX_SOFTWARE = 70


class Child(Protocol):
    """What a life is for."""

    @property
    def server(self) -> ServiceServer: ...

    def told(self, message: Message) -> None:
        """The parent said something that is not for every child."""
        ...

    def position(self) -> int:
        """Offset up to which it has taken in the log; 0 where that says nothing."""
        ...


def inherited(sockets: Sequence[socket.socket]) -> None:
    """Make the sockets that the parent handed over ours alone."""
    for sock in sockets:
        sock.set_inheritable(False)
        sock.setblocking(False)


class Life:
    """Logs, tasks and signals of a child from its parent's first message on."""

    def __init__(self, label: int | str, config: ServedConfig, control: Control) -> None:
        self._control, self._config = control, config
        self._end = asyncio.Event()
        self._fatal: BaseException | None = None
        self._supervisor = Supervisor(self.died)
        self._logs = logs.configure(
            config.performance.log_level, config.logging.format, stream=sys.stderr, environ=os.environ
        )
        structlog.contextvars.bind_contextvars(worker=label)

    def context(self, node: str) -> Context:
        """What its service is handed."""
        return Context(
            supervisor=self._supervisor,
            on_fatal=self.died,
            registry=CollectorRegistry(auto_describe=True),
            environ=os.environ,
            node=node,
            hide=self._logs.hide,
        )

    def died(self, cause: BaseException) -> None:
        """Something failed that must not: the parent begins another life."""
        self._fatal = self._fatal or cause
        self._end.set()

    async def run(self, child: Child) -> int:
        """Serve, then take leave; answers the exit status."""
        loop = asyncio.get_running_loop()
        # A terminal and a service manager signal the whole group; it is the first process that decides.
        for number in (signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, lambda: None)
        loop.add_signal_handler(signal.SIGTERM, self._end.set)
        server = child.server
        try:
            await server.start()
            server.mark_loaded()
            self._control.send(Ready())
            self._supervisor.spawn("alive", self._say_alive(child.position))
            orders = asyncio.create_task(self._obey(child), name="orders")
            await self._end.wait()
            orders.cancel()
        finally:
            await server.stop(server.config.service.timeout)
            await self._supervisor.stop()
            self._logs.close()
        return EX_OK if self._fatal is None else EX_SOFTWARE

    async def _say_alive(self, position: Callable[[], int]) -> None:
        while True:
            self._control.send(Alive(position()))
            await asyncio.sleep(min(LONGEST_SILENCE, self._config.service.worker_timeout / LOOKS / 2))

    async def _obey(self, child: Child) -> None:
        while (message := await self._control.receive()) is not None:
            if isinstance(message, Stop):
                break
            child.told(message)
        else:
            log.warning("worker.orphaned", reason="the first process is gone")
        self._end.set()

    def reload(self, server: ServiceServer, config: ServedConfig) -> None:
        """Take over a configuration that the parent has taken."""
        try:
            server.prepare(config, AnalyticsConfig())()
        except (ConfigError, ValueError) as error:
            # The parent has taken it, so this is a fault of ours; the next life begins with what is in force.
            log.error("config.refused", reason=str(error))
            self.died(error)
            return
        server.mark_loaded()
        self._config = config
        self._logs.set_level(config.performance.log_level)
        log.info("config.reloaded")
