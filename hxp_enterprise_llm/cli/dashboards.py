"""`hxp dashboards`: look at definitions of dashboards."""

from __future__ import annotations

from pathlib import Path

import click

from hxp_enterprise_llm.cli.errors import EX_CONFIG
from hxp_enterprise_llm.cli.groups import Group
from hxp_enterprise_llm.event.dashboards.definitions import load_definitions

_place = click.Path(path_type=Path, exists=True)


@click.group(cls=Group)
def dashboards() -> None:
    """Look at definitions of dashboards."""


@dashboards.command()
@click.argument("places", nargs=-1, type=_place, metavar="[FILE|DIRECTORY]...")
def lint(places: tuple[Path, ...]) -> None:
    """Say all that is wrong with definitions, each fault with its file, line and column.

    Without an argument: those in config/dashboards. Exit status 0, or 78 when one has a fault.
    """
    if other := next((place for place in places if place.is_file() and place.suffix != ".json"), None):
        raise click.UsageError(f"{other} is no definition: they are JSON, in files named NAME.json")
    files = [file for place in places or (_usual(),) for file in _files(place)]
    faults = 0
    for file in files:
        loaded = load_definitions(file.parent, [file.stem])[file.stem]
        faults += len(loaded.faults)
        for fault in loaded.faults:
            click.echo(str(fault), err=True)
    if faults:
        raise SystemExit(EX_CONFIG)
    click.echo(f"{len(files)} definition{'' if len(files) == 1 else 's'}, no fault")


def _usual() -> Path:
    place = Path("config/dashboards")
    if not place.is_dir():
        raise click.UsageError(f"there is no {place} here: name the files or their directory")
    return place


def _files(place: Path) -> list[Path]:
    files = sorted(place.glob("*.json")) if place.is_dir() else [place]
    if not files:
        raise click.UsageError(f"{place} has no definition: they are named NAME.json")
    return files
