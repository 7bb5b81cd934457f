"""The workers of a gateway: started, told what changes, replaced when they die, ended with their first process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.orchestration.workers.child import Child
from hxp_enterprise_llm.orchestration.workers.control import Control, Message, Moves, Reload, Start
from hxp_enterprise_llm.orchestration.workers.counts import SharedCounts
from hxp_enterprise_llm.orchestration.workers.presence import Relay
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.telemetry.metrics import WorkerMetrics

MODULE = "hxp_enterprise_llm.orchestration.workers"

StandIn = Callable[[socket.socket], Awaitable[Callable[[], Awaitable[None]]]]


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
        context: Context,
        metrics: WorkerMetrics,
        relay: Relay,
    ) -> None:
        """`ports` and `privates` are the listening sockets of the workers; they stay the caller's."""
        self.config = config
        self.start_message, self.counts, self.stand_in, self.relay = start, counts, stand_in, relay
        self._children = [
            Child(
                number,
                _Worker(self, number, *sockets),
                timeout=lambda: self.config.service.worker_timeout,
                supervisor=context.supervisor,
                on_fatal=context.on_fatal,
                clock=context.clock,
                metrics=metrics,
            )
            for number, sockets in enumerate(zip(ports, privates, strict=True), 1)
        ]
        metrics.running.set_function(lambda: 1 + len(self.ready))

    @property
    def ready(self) -> list[int]:
        """Numbers of the workers that serve now."""
        return [number for number, child in enumerate(self._children, 1) if child.ready]

    @property
    def pids(self) -> dict[int, int]:
        """Process ids by number."""
        return {number: child.pid for number, child in enumerate(self._children, 1) if child.pid is not None}

    def __len__(self) -> int:
        return len(self._children)

    async def start(self) -> None:
        """Begin to keep them; each is ready a little later, and until then this process stands in for it."""
        for child in self._children:
            await child.start()

    def reload(self, config: StreamingConfig) -> None:
        """Tell all workers the configuration that is in force now."""
        self.config = config
        for child in self._children:
            child.send(Reload(config))

    def ask_to_stop(self) -> None:
        """Tell all to take leave of their clients and end; none is replaced any more. Idempotent."""
        for child in self._children:
            child.ask_to_stop()

    async def stop(self) -> None:
        """Wait until all have ended; whoever has not when this is cancelled is killed."""
        self.ask_to_stop()
        await asyncio.gather(*(child.stop() for child in self._children))


class _Worker:
    """The role of each: the gateway's connections that come in on one queue of the port."""

    def __init__(self, pool: WorkerPool, number: int, port: socket.socket, private: socket.socket) -> None:
        self._pool, self._number, self._port, self._private = pool, number, port, private
        self._end_stand_in: Callable[[], Awaitable[None]] | None = None

    @property
    def module(self) -> str:
        return MODULE

    @property
    def handles(self) -> Sequence[int]:
        return self._port.fileno(), self._private.fileno(), self._pool.counts.handle

    def first_message(self) -> Message:
        return self._pool.start_message(self._number, self._pool.config)

    async def missing(self) -> None:
        """This process serves its queue meanwhile."""
        self._end_stand_in = await self._pool.stand_in(self._port)

    async def serves(self, control: Control) -> None:
        self._pool.relay.begin(self._number, control.write)
        await self._stand_back()

    def told(self, message: Message) -> None:
        if isinstance(message, Moves):
            self._pool.relay.told(self._number, message.moves)

    async def gone(self) -> None:
        """Its places are free, and its clients have left."""
        await self._stand_back()
        self._pool.relay.gone(self._number)
        self._pool.counts.clear(self._number)

    async def _stand_back(self) -> None:
        if self._end_stand_in is not None:
            await self._end_stand_in()
            self._end_stand_in = None
