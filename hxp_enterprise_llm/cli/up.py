"""`hxp up`: everything in one process on an SQLite file, with the host's own metrics at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from hxp_enterprise_llm.cli.addresses import GATEWAY, GATEWAY_VARIABLE, PROCESSING, PROCESSING_VARIABLE
from hxp_enterprise_llm.cli.replaying import Replay
from hxp_enterprise_llm.cli.running import console, run
from hxp_enterprise_llm.config.loader import Loaded, load
from hxp_enterprise_llm.config.paths import split
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.orchestration.check import check_processing, check_streaming
from hxp_enterprise_llm.orchestration.streaming_orchestrator import Settings, StreamingOrchestrator

_file = click.Path(path_type=Path, exists=True, dir_okay=False)
_TOLD_TO_BOTH = {
    "prometheus": "metrics_server_endpoint",
    "scrape": "custom_metrics_endpoint",
    "gateway": "api_gateway_endpoint",
}
"""Source of event processing → the key of `monitoring` by which the gateway's file has its address."""
AnyConfig = TypeVar("AnyConfig", ProcessingConfig, StreamingConfig)


@dataclass(frozen=True)
class Launch:
    """The settings of an embedded run, loaded anew at each reload."""

    config: Path | None
    processing_config: Path | None
    data: Path
    host: str | None
    free_ports: bool

    def settings(self) -> Settings:
        """Load and check both configurations. Raises ConfigFaults."""
        processing = load(ProcessingConfig, self.processing_config, os.environ)
        streaming = load(StreamingConfig, self.config, os.environ)
        check_processing(processing)
        check_streaming(streaming, processing.config.analytics)
        gateway = streaming.config
        if self.free_ports:
            gateway = msgspec.structs.replace(gateway, live_dashboard=_without_ports(gateway))
        return Settings(self._place(_asking(processing, streaming), "processing"), self._place(gateway, "streaming"))

    def _place(self, config: AnyConfig, directory: str) -> AnyConfig:
        service = msgspec.structs.replace(
            config.service,
            host=self.host or config.service.host,
            port=0 if self.free_ports else config.service.port,
        )
        state = msgspec.structs.replace(config.state, directory=str(self.data / directory))
        return msgspec.structs.replace(config, service=service, state=state)


def _without_ports(config: StreamingConfig) -> object:
    return msgspec.structs.replace(config.live_dashboard, ports=dict.fromkeys(config.live_dashboard.ports, 0))


def _asking(processing: Loaded[ProcessingConfig], streaming: Loaded[StreamingConfig]) -> ProcessingConfig:
    """Here one process has both files: what the gateway's names to be asked is asked, unless the other's says where."""
    sources = processing.config.sources
    for name, key in _TOLD_TO_BOTH.items():
        given = streaming.sources.given(split(f"monitoring.{key}"))
        if given and not processing.sources.given(split(f"sources.{name}.endpoint")):
            endpoint = getattr(streaming.config.monitoring, key)
            source = msgspec.structs.replace(getattr(sources, name), endpoint=endpoint)
            sources = msgspec.structs.replace(sources, **{name: source})
    return msgspec.structs.replace(processing.config, sources=sources)


@click.command()
@click.option("--config", type=_file, help="YAML of the gateway, instead of the defaults.")
@click.option("--processing-config", type=_file, help="YAML of event processing, instead of the defaults.")
@click.option(
    "--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True, help="Data directory."
)
@click.option("--host", help="Address to listen on, instead of the configured one.")
@click.option("--free-ports", is_flag=True, help="Take free ports and print them, and what tells the other commands.")
@click.option("--replay", type=_file, help="Trace (Azure CSV, Mooncake JSONL) to replay as LLM requests.")
@click.option("--speed", type=click.FloatRange(min=0), default=1.0, show_default=True, help="0: as fast as possible.")
def up(
    config: Path | None,
    processing_config: Path | None,
    data: Path,
    host: str | None,
    free_ports: bool,
    replay: Path | None,
    speed: float,
) -> None:
    """Run everything in one process: ways in, log, analytics, gateway, dashboards, notifications.

    It stays in the foreground until Ctrl-C. Exit status 78 when a configuration cannot be used, 73 when a port or the
    data directory is not to be had.

        hxp up --config gateway.yaml --data /tmp/trial --free-ports
    """
    launch = Launch(config, processing_config, data, host, free_ports)
    player = Replay.of(replay, speed) if replay is not None else None

    async def ready(orchestrator: StreamingOrchestrator) -> None:
        _announce(orchestrator, data)
        if player is not None:
            orchestrator.supervisor.spawn("replay", player.play(orchestrator.event_log.append), ends=True)

    raise SystemExit(run(launch.settings, ready))


def _announce(orchestrator: StreamingOrchestrator, data: Path) -> None:
    urls = {name: f"http://{_reachable(host)}:{port}" for name, (host, port) in orchestrator.addresses.items()}
    streaming = orchestrator.servers["streaming"].name
    processing = orchestrator.servers["processing"].name
    gateway, events = urls[streaming], urls[processing]
    console.print(f"\n  [bold]Live page[/]   {gateway}/")
    console.print(f"  Events in   {events}/events")
    console.print(f"  Streams     {gateway.replace('http', 'ws', 1)}/ws/events  {gateway}/sse/events")
    console.print(f"  Data        {data.resolve()}")
    if (events, gateway) != (PROCESSING, GATEWAY):
        # So that `hxp publish` and its kin need no --url in another shell.
        console.print(f"  Commands    export {PROCESSING_VARIABLE}={events} {GATEWAY_VARIABLE}={gateway}")
    console.print("  Stop        Ctrl-C\n")


def _reachable(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host
