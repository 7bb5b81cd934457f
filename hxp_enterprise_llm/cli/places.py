"""Where an installation keeps its state: below --data, else where its configuration says."""

from __future__ import annotations

from pathlib import Path

import click

from hxp_enterprise_llm.cli.errors import EX_CONFIG, Failure
from hxp_enterprise_llm.cli.installed import INSTALLED, configuration, environ_of, file_of
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
    """The state directories of both services. Raises Misconfigured, Unreadable."""
    if data is None and file_of(configuration(), PROCESSING_FILE):
        return installed_places(configuration())
    data = data or Path("data")
    return Places(data / "processing", data / "streaming")


def installed_places(directory: Path) -> Places:
    """As the configuration in a directory says. Raises Misconfigured, Unreadable."""
    processing_file, streaming_file = directory / PROCESSING_FILE, directory / STREAMING_FILE
    try:
        processing = load(ProcessingConfig, processing_file, environ_of(processing_file)).config
        streaming = load(StreamingConfig, streaming_file, environ_of(streaming_file)).config
    except ConfigFaults as error:
        raise Misconfigured(str(error)) from None
    return Places(Path(processing.state.directory), Path(streaming.state.directory))
