"""A simulated host with one process of the program: start, crash, orderly stop, and what systemd does then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.rules import RuleConfig
from hxp_enterprise_llm.config.streaming import ChannelConfig, LiveDashboardConfig, MonitoringConfig, StreamingConfig
from hxp_enterprise_llm.orchestration.streaming_orchestrator import Settings, StreamingOrchestrator
from tests.sim.disk import Disk, Loss
from tests.sim.escape import EPOCH_SECONDS
from tests.sim.history import History
from tests.sim.loop import SimLoop, World

PROCESSING, GATEWAY = "192.168.10.1", "192.168.10.2"
NETWORK = "192.168.10.0/24"
RESTART_SECONDS = 1.0
"""What systemd waits before it starts a process again that failed."""
SILENCE_SECONDS = 13.0
"""A stream that says nothing for so long is given up: there is a sign of life each 4, 8 or 10 seconds."""
CHANNEL = "sim"


class SimClock:
    """The clock of one host: the world's, set wrong by some seconds."""

    def __init__(self, world: World, name: str) -> None:
        self._world, self._ids = world, world.stream(f"{name}/ids")
        self.offset = 0.0

    def time(self) -> float:
        return EPOCH_SECONDS + self._world.now + self.offset

    def monotonic(self) -> float:
        return self._world.now

    def new_id(self) -> str:
        return f"{self._ids.getrandbits(128):032x}"


class Node:
    """A host and the process on it. `settings` makes its configuration for a state directory."""

    def __init__(self, world: World, name: str, host: str, directory: Path, history: History) -> None:
        self.world, self.name, self.host, self.history = world, name, host, history
        self.disk = Disk(directory)
        self.clock = SimClock(world, name)
        self.orchestrator: StreamingOrchestrator | None = None
        self.loop: SimLoop | None = None
        self.starts = 0
        self.ready = False
        self._settings = _settings(host, directory)
        self._wanted = False

    def start(self) -> None:
        """Start the process, unless it runs or the host has no power."""
        if self.loop is not None or self.host in self.world.network.dark:
            return
        self._wanted = True
        self.starts += 1
        self._note("start")
        self.loop = SimLoop(self.world, self.host, f"{self.name}#{self.starts}", self.disk.job)
        self.loop.create_task(self._main(self.loop))

    async def _main(self, loop: SimLoop) -> None:
        orchestrator = StreamingOrchestrator(
            self._settings, environ={}, clock=self.clock, seed=self.world.seed * 1000 + self.starts, processes=False
        )
        self.orchestrator = orchestrator
        try:
            await orchestrator.start()
        except Exception as error:  # whatever keeps the program from starting ends its process, and is told
            self._note("failed", type(error).__name__, str(error).replace(str(self.disk.directory), ""))
            self.world.after(0, lambda: self._end(loop, "failed"))
            return
        self.ready = True
        self._note("ready")
        await orchestrator.ended.wait()
        self._note("fatal", type(orchestrator.fatal).__name__)
        self.world.after(0, lambda: self._end(loop, "fatal"))

    def _end(self, loop: SimLoop, why: str) -> None:
        if self.loop is loop:
            self.crash(why)
            self.world.after(RESTART_SECONDS, self.start)

    def crash(self, why: str, loss: Loss | None = None) -> None:
        """The process is gone in this moment. `loss`: with the power of its host."""
        if self.loop is None:
            return
        self._note("end", why)
        loop, self.loop, self.ready = self.loop, None, False
        self.world.unhandled += loop.unhandled
        loop.die()
        self.world.graveyard.append((loop, self.orchestrator))
        self.world.network.end_of(loop, silent=loss is not None)
        self.disk.crash(self.world.now, loss)

    def stop(self) -> None:
        """Ask the process to stop, as SIGTERM does; it is started again at once."""
        loop, orchestrator = self.loop, self.orchestrator
        if loop is None or orchestrator is None or not self.ready:
            return
        self.ready = False
        self._note("stop")

        async def leave() -> None:
            await orchestrator.stop()
            self.world.after(0, lambda: self._stopped(loop))

        loop.create_task(leave())

    def _stopped(self, loop: SimLoop) -> None:
        if self.loop is loop:
            self.crash("stopped")
            self.world.after(RESTART_SECONDS, self.start)

    def _note(self, what: str, *facts: Any) -> None:
        self.history.add(self.world.now, self.name, what, *facts)


def _settings(host: str, directory: Path) -> Settings:
    if host == PROCESSING:
        return Settings(processing=_processing(directory), streaming=None)
    return Settings(processing=None, streaming=_streaming(directory), declared=ProcessingConfig().analytics)


def _placed(config: Any, host: str, port: int, directory: Path) -> Any:
    replace = msgspec.structs.replace
    return replace(
        config,
        service=replace(config.service, host=host, port=port, timeout=8),
        state=replace(config.state, directory=str(directory)),
        security=replace(config.security, trusted_networks=[NETWORK], service_networks=[NETWORK]),
    )


def _processing(directory: Path) -> ProcessingConfig:
    config = _placed(ProcessingConfig(), PROCESSING, 9100, directory)
    replace = msgspec.structs.replace
    placed: ProcessingConfig = replace(
        config,
        # The write-ahead log of a small segment begins small, and is read and written at each crash.
        log=replace(config.log, reserve_bytes=65_536, window_events=10_000, segment_bytes=1_048_576),
        sources=replace(config.sources, host=replace(config.sources.host, enabled=False)),
        ingest=replace(config.ingest, schemas_directory=str(directory / "none")),
    )
    return placed


def _streaming(directory: Path) -> StreamingConfig:
    config = _placed(StreamingConfig(), GATEWAY, 9102, directory)
    replace = msgspec.structs.replace
    placed: StreamingConfig = replace(
        config,
        sse=replace(config.sse, keep_alive_interval=4),
        websocket=replace(config.websocket, heartbeat_interval=10),
        centrifuge=replace(config.centrifuge, ping_interval=8, pong_timeout=3),
        live_dashboard=LiveDashboardConfig(dashboards=["operational_overview"], ports={}, directory=str(directory)),
        monitoring=MonitoringConfig(real_time_event_processing_endpoint=f"http://{PROCESSING}:9100"),
        channels={CHANNEL: ChannelConfig(types=["sim.*", "alert.*", "llm.*"])},
        real_time_notifications=NotificationsConfig(
            notification_channels=["websocket"],
            notification_rules=[
                RuleConfig(name="failures", condition="error_rate_10s > 0.5", channel="websocket", priority="critical")
            ],
        ),
    )
    return placed
