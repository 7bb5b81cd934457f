"""`hxp doctor`: look at an installation and say how to mend what is wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.text import Text

from hxp_enterprise_llm.cli.serve import INSTALLED
from hxp_enterprise_llm.config.faults import ConfigFaults
from hxp_enterprise_llm.config.loader import Loaded, load
from hxp_enterprise_llm.config.processing import ProcessingConfig
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

EX_WARNING, EX_FAULT = 1, 2
_MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "fault": ("FAULT", "red")}
_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.option("--config", type=_file, help=f"YAML of the gateway; else that in {INSTALLED}, else the defaults.")
@click.option("--processing-config", type=_file, help="YAML of event processing, likewise.")
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Data directory of `hxp up`, instead of theirs."
)
@click.option("--quiet", "-q", is_flag=True, help="Only what is to be mended.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor(config: Path | None, processing_config: Path | None, data: Path | None, quiet: bool, as_json: bool) -> None:
    """Look at an installation from outside and inside; nothing is changed, the services may run.

    Ends with 0 when all is well, with 1 when something should be looked at, with 2 when something is wrong.
    """
    findings = list(_findings(config, processing_config, data))
    level = worst(findings)
    if as_json:
        facts = {"status": level, "findings": [finding._asdict() for finding in findings]}
        click.echo(msgspec.json.encode(facts).decode())
    else:
        _print([finding for finding in findings if not quiet or finding.level != "ok"])
    raise SystemExit({"ok": 0, "warning": EX_WARNING, "fault": EX_FAULT}[level])


def _findings(config: Path | None, processing_config: Path | None, data: Path | None) -> Iterator[Finding]:
    processing_path = processing_config or _installed(PROCESSING_FILE)
    streaming_path = config or _installed(STREAMING_FILE)
    processing, told = _checked(lambda: check_processing(load(ProcessingConfig, processing_path, os.environ)))
    yield from told
    streaming, told = _checked(
        lambda: check_streaming(
            load(StreamingConfig, streaming_path, os.environ),
            processing.config.analytics if processing else declared_metrics(streaming_path, os.environ),
        )
    )
    yield from told
    installation = Installation(
        processing, streaming, _state(data, "processing", processing), _state(data, "streaming", streaming)
    )
    yield from examine(installation, os.environ, time.time())


def _installed(name: str) -> Path | None:
    path = INSTALLED / name
    return path if path.is_file() else None


def _checked(check: Callable[[], CheckReport]) -> tuple[Loaded[Any] | None, list[Finding]]:
    try:
        report = check()
    except ConfigFaults as error:
        return None, list(configuration_faults(error))
    return report.loaded, list(configuration_findings(report))


def _state(data: Path | None, name: str, loaded: Loaded[Any] | None) -> Path:
    if data is not None:
        return data / name
    return Path(loaded.config.state.directory if loaded is not None else "data")


def _print(findings: list[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        word, colour = _MARKS[finding.level]
        console.print(Text(f"{word:<8}", colour), Text(f"{finding.name}: {finding.what}"), sep="")
        if finding.mend:
            console.print(Text(f"        → {finding.mend}"))
    if not findings:
        console.print("All is well.")
