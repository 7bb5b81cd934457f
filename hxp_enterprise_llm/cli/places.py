"""Where an installation keeps its state: below --data, else where its configuration says."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hxp_enterprise_llm.cli.errors import EX_CONFIG, Failure
from hxp_enterprise_llm.cli.serve import INSTALLED
from hxp_enterprise_llm.config.faults import ConfigFaults
from hxp_enterprise_llm.config.loader import load
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.orchestration.backup.making import Places
from hxp_enterprise_llm.orchestration.check import PROCESSING_FILE, STREAMING_FILE

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Data directory of `hxp up`; else what the files in {INSTALLED} say, else data.",
)


class Misconfigured(Failure):
    """The configuration does not say where the state is."""

    exit_code = EX_CONFIG


def places_of(data: Path | None) -> Places:
    """The state directories of both services. Raises Misconfigured."""
    if data is None and (INSTALLED / PROCESSING_FILE).is_file():
        return installed_places(INSTALLED)
    data = data or Path("data")
    return Places(data / "processing", data / "streaming")


def installed_places(directory: Path) -> Places:
    """As the configuration in a directory says. Raises Misconfigured."""
    try:
        processing = load(ProcessingConfig, directory / PROCESSING_FILE, os.environ).config
        streaming = load(StreamingConfig, directory / STREAMING_FILE, os.environ).config
    except ConfigFaults as error:
        raise Misconfigured(str(error)) from None
    return Places(Path(processing.state.directory), Path(streaming.state.directory))
