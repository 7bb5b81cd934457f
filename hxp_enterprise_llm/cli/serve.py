"""`hxp serve streaming|processing`: one service in the foreground, as systemd runs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

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

INSTALLED = Path("/opt/citadel/config/services")
BESIDE = Path(sys.prefix).parent / "config" / "services"
"""Beside the environment that this runs in: an installation with another PREFIX, or a checkout."""


def default_file(name: str) -> Path | None:
    """The service's file where an installation keeps it, else the checkout's; None when there is neither."""
    for directory in (BESIDE, INSTALLED, Path("config/services")):
        if (directory / name).is_file():
            return directory / name
    return None


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


@click.command()
@click.argument("service", type=click.Choice(["streaming", "processing"]))
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=f"YAML file; else that in {INSTALLED} or config/services, else the defaults.",
)
def serve(service: str, config: Path | None) -> None:
    """Run one service in the foreground: the gateway (streaming) or event processing (processing)."""
    raise SystemExit(serve_service(service, config))


def serve_service(service: str, config: Path | None = None) -> int:
    """Run one service until it is told to stop; answers the exit status."""
    if service == "streaming":
        path = config or default_file(STREAMING_FILE)
        return run(lambda: streaming_settings(path))
    path = config or default_file(PROCESSING_FILE)
    return run(lambda: processing_settings(path))
