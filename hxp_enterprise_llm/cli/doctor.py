"""`hxp doctor`: look at an installation and say how to mend what is wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec
from rich.console import Console
from rich.text import Text

from hxp_enterprise_llm.cli.addresses import GATEWAY_VARIABLE, PROCESSING_VARIABLE, address
from hxp_enterprise_llm.cli.credentials import credentials, key_file
from hxp_enterprise_llm.cli.errors import Failure, rights
from hxp_enterprise_llm.cli.installed import INSTALLED, UNITS_STATE, beside, configuration, environ_of, file_of
from hxp_enterprise_llm.config.faults import ConfigFaults
from hxp_enterprise_llm.config.loader import Loaded, load
from hxp_enterprise_llm.config.processing import AnalyticsConfig, ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.orchestration.check import (
    PROCESSING_FILE,
    STREAMING_FILE,
    CheckReport,
    check_processing,
    check_streaming,
    declared_metrics,
)
from hxp_enterprise_llm.orchestration.doctor.examination import configuration_faults, configuration_findings, examine
from hxp_enterprise_llm.orchestration.doctor.model import Finding, Installation, worst
from hxp_enterprise_llm.orchestration.doctor.network import Way

EX_WARNING, EX_FAULT = 1, 2
_MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "fault": ("FAULT", "red")}
_file = click.Path(path_type=Path, exists=True, dir_okay=False)


class Barred(Failure):
    """Something cannot be looked at."""

    exit_code = EX_FAULT


@click.command()
@click.option("--config", type=_file, help=f"YAML of the gateway; else that in {INSTALLED}, else the defaults.")
@click.option("--processing-config", type=_file, help="YAML of event processing, likewise.")
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Data directory of `hxp up`, instead of theirs."
)
@click.option("--quiet", "-q", is_flag=True, help="Only what is to be mended.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@key_file
def doctor(
    config: Path | None, processing_config: Path | None, data: Path | None, quiet: bool, as_json: bool, key_file: str
) -> None:
    """Look at an installation from outside and inside; nothing is changed, the services may run.

    Ends with 0 when all is well, with 1 when something should be looked at, with 2 when something is wrong.
    """
    # What both services find is told once.
    with rights(Barred):
        findings = list(dict.fromkeys(_findings(config, processing_config, data, Way(credentials(key_file)))))
    level = worst(findings)
    if as_json:
        facts = {"status": level, "findings": [finding._asdict() for finding in findings]}
        click.echo(msgspec.json.encode(facts).decode())
    else:
        _print([finding for finding in findings if not quiet or finding.level != "ok"])
    raise SystemExit({"ok": 0, "warning": EX_WARNING, "fault": EX_FAULT}[level])


def _findings(config: Path | None, processing_config: Path | None, data: Path | None, way: Way) -> Iterator[Finding]:
    installed = file_of(configuration(), PROCESSING_FILE)
    processing_path = processing_config or installed
    streaming_path = config or file_of(configuration(), STREAMING_FILE)
    processing, told = _checked(processing_path, lambda environ: _processing(processing_path, environ))
    yield from told
    analytics = processing.config.analytics if processing else None
    streaming, told = _checked(streaming_path, lambda environ: _streaming(streaming_path, environ, analytics))
    yield from told
    under_systemd = installed is not None and data is None
    if processing_path is None and streaming_path is None:
        data = data or Path("data")  # where `hxp up` keeps it
    home = UNITS_STATE if under_systemd else Path("data")
    installation = Installation(
        processing if under_systemd else _elsewhere(processing, PROCESSING_VARIABLE),
        streaming if under_systemd else _elsewhere(streaming, GATEWAY_VARIABLE),
        data / "processing" if data else _state(processing, home / "event-processing"),
        data / "streaming" if data else _state(streaming, home / "data-streaming-api"),
        under_systemd,
    )
    yield from examine(installation, os.environ, time.time(), way)


def _processing(path: Path | None, environ: Mapping[str, str]) -> CheckReport:
    return check_processing(load(ProcessingConfig, path, environ))


def _streaming(path: Path | None, environ: Mapping[str, str], analytics: AnalyticsConfig | None) -> CheckReport:
    loaded = load(StreamingConfig, path, environ)
    return check_streaming(loaded, analytics or declared_metrics(path, environ))


def _checked(
    path: Path | None, check: Callable[[Mapping[str, str]], CheckReport]
) -> tuple[Loaded[Any] | None, list[Finding]]:
    """What a file configures, with the variables of its unit, and what was found of it."""
    file = beside(path)
    try:
        report = check(environ_of(path))
    except ConfigFaults as error:
        return None, list(configuration_faults(error))
    warnings = (*report.warnings, *(file.warnings if file else ()))
    return report.loaded, list(configuration_findings(replace(report, warnings=warnings)))


def _elsewhere(loaded: Loaded[Any] | None, variable: str) -> Loaded[Any] | None:
    """At the address that a variable gives, as `hxp up --free-ports` prints it; dashboards are on free ports then."""
    if loaded is None or not os.environ.get(variable):
        return loaded
    parts = urlsplit(address(os.environ[variable]))
    service = msgspec.structs.replace(loaded.config.service, host=parts.hostname, port=parts.port or 80)
    config = msgspec.structs.replace(loaded.config, service=service)
    if isinstance(config, StreamingConfig):
        live = msgspec.structs.replace(config.live_dashboard, ports={})
        config = msgspec.structs.replace(config, live_dashboard=live)
    return replace(loaded, config=config)


def _state(loaded: Loaded[Any] | None, otherwise: Path) -> Path:
    """Where a service keeps its state; without a configuration where the units have it."""
    return Path(loaded.config.state.directory) if loaded is not None else otherwise


def _print(findings: list[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        word, colour = _MARKS[finding.level]
        console.print(Text(f"{word:<8}", colour), Text(f"{finding.name}: {finding.what}"), sep="")
        if finding.mend:
            console.print(Text(f"        → {finding.mend}"))
    if not findings:
        console.print("All is well.")
