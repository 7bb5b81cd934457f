"""`hxp check-config` and `hxp config`: what a configuration means, without starting anything."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from hxp_enterprise_llm.cli.errors import EX_CONFIG
from hxp_enterprise_llm.cli.groups import Group
from hxp_enterprise_llm.cli.installed import beside, environ_of
from hxp_enterprise_llm.config.environment import environment_table
from hxp_enterprise_llm.config.faults import ConfigFaults, masked
from hxp_enterprise_llm.config.loader import Loaded, load, parse
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.schema import json_schema
from hxp_enterprise_llm.config.show import render_effective
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.telemetry.text import clean

STDIN = Path("-")
SERVICES: dict[str, type[ProcessingConfig] | type[StreamingConfig]] = {
    "streaming": StreamingConfig,
    "processing": ProcessingConfig,
}
_ITS_OWN = sorted(set(ProcessingConfig.__struct_fields__) - set(StreamingConfig.__struct_fields__))
_PROCESSING_SECTIONS = re.compile(rf"^({'|'.join(_ITS_OWN)}):", re.MULTILINE)
_LOOKED_AT = 64 * 1024
_file = click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)


def kind_of(name: str, text: str) -> type[ProcessingConfig] | type[StreamingConfig]:
    """Which service a file configures: told by its name, else by a section that only event processing has."""
    if "processing" in name:
        return ProcessingConfig
    if "streaming" in name:
        return StreamingConfig
    return ProcessingConfig if _PROCESSING_SECTIONS.search(text) else StreamingConfig


def load_any(path: Path) -> Loaded[Any]:
    """Load a file, or stdin for `-`, as what it is; an installed one with the variables of its unit.

    Raises ConfigFaults, Unreadable.
    """
    if path == STDIN:
        text = sys.stdin.read()
        return parse(kind_of("", text), text, os.environ, name="<stdin>")
    with path.open("rb") as file:
        beginning = file.read(_LOOKED_AT).decode("utf-8", "replace")
    return load(kind_of(path.name, beginning), path, environ_of(path))


@click.command("check-config")
@click.argument("files", nargs=-1, type=_file, metavar="[FILE|-]...")
def check_config(files: tuple[Path, ...]) -> None:
    """Check configurations as the services do at their start. Exit status 0, or 78 when one cannot be used.

    Without FILE: those in config/services. An installed file is checked with the .env beside it, as its unit reads it.

        hxp check-config gateway.yaml
    """
    paths = files or tuple(sorted(Path("config/services").glob("*.yaml")))
    if not paths:
        raise click.UsageError("There is no config/services/*.yaml here: name a FILE, or - for stdin.")
    results = [_check(path) for path in paths]
    if not all(results):
        raise SystemExit(EX_CONFIG)


def _check(path: Path) -> bool:
    # The services' own rooms are needed here, and only here.
    from hxp_enterprise_llm.orchestration.check import check_processing, check_streaming, declared_metrics

    file = beside(path)
    click.echo("<stdin>" if path == STDIN else f"{path}, {file.path.name}" if file and file.variables else path)
    try:
        loaded = load_any(path)
        if isinstance(loaded.config, ProcessingConfig):
            report = check_processing(loaded)
        else:
            report = check_streaming(loaded, declared_metrics(loaded.path, environ_of(path)))
    except ConfigFaults as faults:
        for fault in faults.faults:
            click.echo(f"  {fault}", err=True)
        click.echo(f"  FAILED: {len(faults.faults)} {_plural(len(faults.faults), 'fault')}", err=True)
        return False
    for warning in (*report.warnings, *(file.warnings if file else ())):
        click.echo(f"  WARNING {warning}", err=True)
    found = ", ".join(f"{number} {_plural(number, name.removesuffix('s'))}" for name, number in report.found.items())
    click.echo(f"  SUCCESS: {found}")
    return True


def _plural(number: int, word: str) -> str:
    return word if number == 1 else f"{word}s"


@click.group(cls=Group)
def config() -> None:
    """Show what a configuration means, and which keys and variables there are."""


@config.command()
@click.argument("file", required=False, type=_file)
@click.option("--service", type=click.Choice(list(SERVICES)), help="Without FILE: the defaults of this service.")
def show(file: Path | None, service: str | None) -> None:
    """Print the effective configuration with the origin of each value; secrets are masked.

    FILE may be - for stdin. Variables of the environment count, as they do for the service; for an installed file
    those of the .env beside it.
    """
    try:
        loaded: Loaded[Any] = load_any(file) if file else load(SERVICES[service or "streaming"], None, os.environ)
    except ConfigFaults as faults:
        click.echo(str(faults), err=True)
        raise SystemExit(EX_CONFIG) from None
    click.echo(render_effective(loaded), nl=False)


@config.command()
@click.option(
    "--service", type=click.Choice(list(SERVICES)), default="streaming", show_default=True, help="Whose configuration."
)
def schema(service: str) -> None:
    """Print the JSON Schema of a configuration, for an editor.

    hxp config schema --service processing > event-processing.schema.json
    """
    click.echo(msgspec.json.format(msgspec.json.encode(json_schema(SERVICES[service])), indent=2).decode())


@config.command()
def env() -> None:
    """Print the variables of the environment, the keys that they set, and their values now."""
    rows = [(row.name, row.path, clean(masked(os.environ.get(row.name, "")))) for row in environment_table()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, path, value in rows:
        click.echo(f"{name:<{widths[0]}}  {path:<{widths[1]}}  {value}".rstrip())
