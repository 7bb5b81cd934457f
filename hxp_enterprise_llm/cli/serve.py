"""`hxp serve streaming|processing`: one service in the foreground, as systemd runs it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hxp_enterprise_llm.cli.installed import INSTALLED, default_file
from hxp_enterprise_llm.cli.running import run
from hxp_enterprise_llm.config.loader import load
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.orchestration.check import (
    PROCESSING_FILE,
    STREAMING_FILE,
    check_processing,
    check_streaming,
    declared_metrics,
)
from hxp_enterprise_llm.orchestration.streaming_orchestrator import Settings


def streaming_settings(path: Path | None) -> Settings:
    """Settings of the gateway alone. Raises ConfigFaults."""
    loaded = load(StreamingConfig, path, os.environ)
    analytics = declared_metrics(path, os.environ)
    check_streaming(loaded, analytics)
    return Settings(streaming=loaded.config, declared=analytics)


def processing_settings(path: Path | None) -> Settings:
    """Settings of event processing alone. Raises ConfigFaults."""
    loaded = load(ProcessingConfig, path, os.environ)
    check_processing(loaded)
    return Settings(processing=loaded.config, apart=True)


_SERVICES = {"streaming": (STREAMING_FILE, streaming_settings), "processing": (PROCESSING_FILE, processing_settings)}


@click.command()
@click.argument("service", type=click.Choice(list(_SERVICES)))
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=f"YAML file; else that in {INSTALLED} or config/services, else the defaults.",
)
def serve(service: str, config: Path | None) -> None:
    """Run one service in the foreground: the gateway (streaming) or event processing (processing).

    Exit status 78 when its configuration cannot be used, 73 when a port or the state is not to be had.

        hxp serve processing --config config/services/event-processing.yaml
    """
    raise SystemExit(serve_service(service, config))


def serve_service(service: str, config: Path | None = None) -> int:
    """Run one service until it is told to stop; answers the exit status."""
    name, settings = _SERVICES[service]
    path = config or default_file(name)
    # Which of several places it was is otherwise nowhere to be seen.
    return run(lambda: settings(path), read=str(path.absolute()) if path else "none, defaults")
