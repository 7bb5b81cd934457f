"""`hxp backup` and `hxp restore`: copies of log and store, taken while the services run, and put back."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import click
import msgspec

from hxp_enterprise_llm.cli.errors import Failure, rights
from hxp_enterprise_llm.cli.places import data_option, places_of
from hxp_enterprise_llm.orchestration.backup.making import make
from hxp_enterprise_llm.orchestration.backup.model import BackupError, Manifest
from hxp_enterprise_llm.orchestration.backup.restoring import check, restore

_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@data_option
@_json
def backup(target: Path, data: Path | None, as_json: bool) -> None:
    """Copy log, store and history to TARGET, a new directory or a file *.tar or *.tar.gz, while the services run.

    Whatever was acknowledged before is in it, and the copy is checked, record by record.
    Configuration and secrets are not.

        hxp backup /var/backups/citadel.tar.gz
    """
    os.umask(0o077)
    try:
        with rights():
            manifest = make(places_of(data), target.absolute(), time.time)
    except BackupError as error:
        raise Failure(str(error)) from None
    _say(manifest, {"target": str(target)}, as_json, f"Backup in {target}")


@click.command(name="restore")
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@data_option
@click.option("--replace", is_flag=True, help="Move a log and a store that are there aside, and keep them.")
@click.option("--check", "only_check", is_flag=True, help="Only look whether the backup is whole.")
@_json
def put_back(source: Path, data: Path | None, replace: bool, only_check: bool, as_json: bool) -> None:
    """Check the backup SOURCE and put it in the place of log and store. The services must not run.

    The log opens under a new epoch: clients are told to begin anew, and no offset means two events.

        hxp restore /var/backups/citadel.tar.gz --data /tmp/trial
    """
    os.umask(0o077)
    moved: list[Path] = []
    try:
        with rights():
            if only_check:
                manifest = check(source, _room_for(source))
            else:
                stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
                manifest, moved = restore(source, places_of(data), stamp, replace=replace)
    except BackupError as error:
        raise Failure(str(error)) from None
    facts = {"source": str(source), "restored": not only_check, "moved": [str(path) for path in moved]}
    _say(manifest, facts, as_json, f"{source} is whole" if only_check else f"Restored {source}")
    for path in () if as_json else moved:
        click.echo(f"What was there is in {path}; remove it when you need it no more.")


def _room_for(source: Path) -> Path:
    """Where a backup is unpacked to be looked at: beside it, where there is room for as much; /tmp may be memory."""
    beside = source.absolute().parent
    return beside if os.access(beside, os.W_OK) else Path(gettempdir())


def _say(manifest: Manifest, facts: dict[str, Any], as_json: bool, done: str) -> None:
    if as_json:
        click.echo(msgspec.json.encode(facts | msgspec.to_builtins(manifest)).decode())
        return
    size = sum(entry.bytes for entry in manifest.files)
    click.echo(f"{done}: {len(manifest.files)} files, {size:,} bytes, begun {manifest.begun}")
    if manifest.log is not None:
        log = manifest.log
        click.echo(f"log    {log.events:,} events, offsets {log.first:,} to {log.head:,}, epoch {log.epoch}")
    if manifest.store:
        click.echo(f"store  revision {manifest.store}")
    for name, position in (("platform", manifest.platform), ("history", manifest.history)):
        if position is not None:
            click.echo(f"{name} up to offset {position:,}")
