"""`hxp export`: a table as a file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from hxp_enterprise_llm.cli.addresses import processing_url
from hxp_enterprise_llm.cli.credentials import credentials, key_file
from hxp_enterprise_llm.cli.errors import Failure, failures
from hxp_enterprise_llm.client.export import Download, Told
from hxp_enterprise_llm.telemetry.text import clean

TABLES = (
    *("metrics", "tokens_by_agent_day", "costs", "tier_hours", "knowledge_items", "knowledge_gaps"),
    *("requests", "knowledge", "tiers", "events"),
)
_FORMATS = ("csv", "json", "ndjson", "parquet")


@click.command()
@click.argument("what", type=click.Choice(TABLES), default="metrics", metavar="[WHAT]")
@click.option(
    "--format",
    "format",
    type=click.Choice(_FORMATS),
    default="csv",
    show_default=True,
    help="parquet needs pyarrow where the service runs.",
)
@click.option("--from", "begin", help="RFC 3339, Unix seconds, or how long ago: -6h. Without it a day before --to.")
@click.option("--to", "end", help="Likewise; without it now.")
@click.option("--step", help="Of metrics: how long each value stands for, such as 5m or 1h.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="The file; without it WHAT.FORMAT.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@processing_url()
@key_file
def export(
    what: str,
    format: str,
    begin: str | None,
    end: str | None,
    step: str | None,
    output: Path | None,
    force: bool,
    quiet: bool,
    url: str,
    key_file: str,
) -> None:
    """Write WHAT is known to a file.

    Figures: metrics (the default), tokens_by_agent_day, costs, tier_hours, knowledge_items, knowledge_gaps. What
    happened, row by row: requests, knowledge, tiers, events.

    The file is there when it is whole, and not before. A connection that breaks is made again; with --format ndjson a
    table of events then goes on where it was.

        hxp export requests --from -1d

        hxp export metrics --from -30d --step 1h --format ndjson
    """
    path = output or Path(f"{what}.{format}")
    # As the system sees it: a directory that one may not enter holds nothing that could be written over.
    if os.path.exists(path) and not force:
        raise Failure(f"{path} is there already: name another with --output, or use --force")
    asked = {"what": what, "format": format, "from": begin, "to": end, "step": step}
    query = {name: text for name, text in asked.items() if text is not None}
    with failures("hxp up"):
        try:
            size = asyncio.run(_fetch(url, query, path, credentials(key_file), quiet))
        except OSError as error:
            raise Failure(f"{path} cannot be written: {clean(error.strerror or str(error))}") from None
        except KeyboardInterrupt:
            raise Failure("stopped; nothing is left of it") from None
    click.echo(f"{path}: {size:,} bytes", err=True)


async def _fetch(url: str, query: dict[str, str], path: Path, headers: dict[str, str], quiet: bool) -> int:
    async with aiohttp.ClientSession(headers=headers) as session:
        with _bar(query["what"], quiet) as told:
            return await Download(session, url, query, told=told).into(path)


@contextmanager
def _bar(what: str, quiet: bool) -> Iterator[Told]:
    """What has come so far; how much there will be nobody knows beforehand."""
    console = Console(stderr=True)
    columns = TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn()
    place = TextColumn("{task.fields[place]}")
    with Progress(*columns, place, console=console, disable=quiet or not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=None, place="")

        def told(size: int, offset: int | None) -> None:
            bar.update(task, completed=size, place="" if offset is None else f"offset {offset:,}")

        yield told
