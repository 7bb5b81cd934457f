"""`hxp log`: look at the log of events, and mend it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import click
import msgspec
import structlog
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from hxp_enterprise_llm.cli.addresses import PROCESSING_VARIABLE, processing_url
from hxp_enterprise_llm.cli.errors import Failure, Unavailable, failures, no_right
from hxp_enterprise_llm.cli.groups import Group
from hxp_enterprise_llm.client.answers import Unreachable
from hxp_enterprise_llm.client.asking import ask
from hxp_enterprise_llm.config.processing import LogConfig
from hxp_enterprise_llm.event.log.model import LogError, LogLocked
from hxp_enterprise_llm.event.log.sqlite import directory as files
from hxp_enterprise_llm.event.log.sqlite.directory import Summary
from hxp_enterprise_llm.event.log.sqlite.examine import Damage
from hxp_enterprise_llm.event.log.sqlite.files import HeadWitness, request_trim
from hxp_enterprise_llm.event.log.sqlite.repair import Repaired, repair
from hxp_enterprise_llm.event.log.sqlite.segment import segment_paths
from hxp_enterprise_llm.event.log.sqlite.store import Sizes, Store
from hxp_enterprise_llm.event.log.window import IdentityWindow
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.text import clean

EX_DAMAGED = 65
EX_NO_LOG = 66
EX_IN_USE = 73
TRIM_SECONDS = 60.0
_SHOWN = 50

_where = click.argument("directory", type=click.Path(path_type=Path), default=Path("data/processing/log"))
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


class InUse(Failure):
    """Another process owns the log."""

    exit_code = EX_IN_USE


class NoLog(Failure):
    """There is no log to look at."""

    exit_code = EX_NO_LOG


@click.group(cls=Group)
def log() -> None:
    """Look at the log of events, and mend it. DIRECTORY is the log's, by default that of `hxp up`."""


@contextmanager
def _owned(directory: Path) -> Iterator[None]:
    try:
        with files.owned(directory):
            yield
    except LogLocked as error:
        raise InUse(f"{error}\nhint: stop the service first; `hxp log stat` and `trim` work while it runs") from None
    except (LogError, OSError) as error:
        raise NoLog(_unusable(directory, error)) from None


def _unusable(directory: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return no_right(directory)
    if segment_paths(directory):
        return str(error)
    return f"{error}\nhint: name the log's own directory: of `hxp up --data DATA` it is DATA/processing/log"


@contextmanager
def _bar(what: str, total: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    columns, console = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn()), Console(stderr=True)
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda size: bar.advance(task, size)


@log.command()
@_where
@_json
def check(directory: Path, as_json: bool) -> None:
    """Look at every record. Ends with 0 when all is whole, with 65 when something is damaged; changes nothing."""
    with _owned(directory):
        summary = _checked(directory, as_json)
    _say(_facts(directory, summary), as_json, _lines(summary))
    sys.exit(0 if summary.is_whole else EX_DAMAGED)


def _checked(directory: Path, quiet: bool) -> Summary:
    with _bar("Checking", files.size_of_all(directory), quiet) as progress:
        return files.check(directory, progress)


@log.command(name="repair")
@_where
@_json
def mend(directory: Path, as_json: bool) -> None:
    """Put a log of all that is whole in the place of a damaged one.

    The damaged log is kept beside it. Offsets stay what they were; a new epoch tells readers that something is missing.
    """
    with _owned(directory):
        summary = _checked(directory, as_json)
        done = None
        if not summary.is_whole:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            with _bar("Salvaging", summary.bytes, as_json) as progress:
                done = repair(directory, summary, stamp, lambda: uuid4().hex, progress)
    facts = _facts(directory, summary) | {"repaired": done is not None}
    if done is not None:
        facts |= {"kept_events": done.kept_events, "epoch": done.epoch, "original": str(done.original)}
    _say(facts, as_json, [*_lines(summary), *_what_was_done(done)])


def _what_was_done(done: Repaired | None) -> Iterator[str]:
    if done is None:
        yield "Nothing to repair."
        return
    yield f"Kept {done.kept_events:,} events under the new epoch {done.epoch}."
    yield f"The damaged log is in {done.original}; remove it when you need it no more."


@log.command()
@_where
@processing_url("Event processing, asked when it runs.")
@_json
def stat(directory: Path, url: str, as_json: bool) -> None:
    """How much there is. While the service runs, it is asked."""
    try:
        with files.owned(directory):
            found = files.segments_of(directory)
        facts: dict[str, Any] = {"epoch": found[-1].epoch, "first": found[0].first, "head": found[-1].last}
    except LogLocked as error:
        facts = {"owner": error.owner} | _told(url, error)
    except (LogError, OSError) as error:
        raise NoLog(_unusable(directory, error)) from None
    segments, size = len(segment_paths(directory)), files.size_of_all(directory)
    facts = {"directory": str(directory), **facts, "segments": segments, "bytes": size}
    _say(facts, as_json, [f"{name:10} {_number(value)}" for name, value in facts.items()])


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value) or "unknown"


def _told(url: str, locked: LogLocked) -> dict[str, Any]:
    """What the owner of a log says of it."""
    with failures("hxp up"):
        try:
            return asyncio.run(_asked(url))
        except Unreachable as error:
            hint = f"name the address of that process with --url or {PROCESSING_VARIABLE}"
            raise Unavailable(f"{locked}\n{clean(str(error))}\nhint: {hint}") from None


async def _asked(url: str) -> dict[str, Any]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        bounds = await ask(session, f"{url}/events/bounds", dict[str, Any])
    return {name: bounds[name] for name in ("epoch", "first", "head", "status", "reason") if bounds.get(name, "") != ""}


@log.command()
@_where
@click.option("--up-to", type=click.IntRange(min=0), required=True, help="Offset of the last event that may go.")
@_json
def trim(directory: Path, up_to: int, as_json: bool) -> None:
    """Drop whole segments at or below an offset. While the service runs, it does so.

    An event that is dropped is gone: clients and readers that were before it are told so.

        hxp log trim /var/lib/citadel/event-processing/log --up-to 120000
    """
    _require_past(directory, up_to)
    try:
        with files.owned(directory):
            pass
        first = _trimmed_here(directory, up_to)
    except LogLocked:
        first = _trimmed_by_owner(directory, up_to)
    except (LogError, OSError) as error:
        raise NoLog(_unusable(directory, error)) from None
    _say({"directory": str(directory), "first": first}, as_json, [f"The log begins at offset {first:,} now."])


def _require_past(directory: Path, up_to: int) -> None:
    """A digit too many would take the whole log."""
    note = None
    with suppress(OSError):  # without a note the segments alone say what there is
        note = HeadWitness.peek(directory)
    if note is not None and up_to > note.head:
        raise Failure(
            f"the newest event has the offset {note.head:,}, {up_to:,} is beyond it; nothing was dropped\n"
            f"hint: --up-to {note.head} drops all that there is now"
        )


def _trimmed_here(directory: Path, up_to: int) -> int:
    config = LogConfig()
    store = Store(directory, Sizes(config.segment_bytes, 2**62, 0), IdentityWindow(1, 0.0), SystemClock())
    with _log_lines_on_stderr():
        store.open()
        try:
            while store.trim(Offset(up_to))[0]:
                pass
            return store.view().bounds.first
        finally:
            store.close()


@contextmanager
def _log_lines_on_stderr() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        yield
    finally:
        structlog.configure(**before)


def _trimmed_by_owner(directory: Path, up_to: int) -> int:
    request = request_trim(directory, up_to)
    end = time.monotonic() + TRIM_SECONDS
    while request.exists():
        if time.monotonic() > end:
            request.unlink(missing_ok=True)
            raise Unavailable(f"the owner of {directory} did not trim it within {TRIM_SECONDS:.0f} s")
        time.sleep(0.05)
    return files.first_of(directory)


def _facts(directory: Path, summary: Summary) -> dict[str, Any]:
    damages = [_damage(damage) for damage in summary.damages]
    lost = sum(max(0, damage.events) for damage in summary.damages)
    facts = summary._asdict() | {"damages": damages, "lost_events": lost, "whole": summary.is_whole}
    return {"directory": str(directory)} | facts


def _damage(damage: Damage) -> dict[str, Any]:
    return damage._asdict() | {"path": str(damage.path), "events": max(0, damage.events)}


def _lines(summary: Summary) -> Iterator[str]:
    yield (
        f"{summary.events:,} events in {summary.records:,} records, {summary.segments:,} segments, "
        f"{summary.bytes:,} bytes; offsets {summary.first:,} to {summary.head:,}, epoch {summary.epoch or 'unknown'}"
    )
    for damage in summary.damages[:_SHOWN]:
        yield f"damaged: {damage} ({max(0, damage.events):,} events, {damage.bytes:,} bytes found)"
    if len(summary.damages) > _SHOWN:
        yield f"and {len(summary.damages) - _SHOWN:,} more; --json names all"
    yield "All is whole." if summary.is_whole else "`hxp log repair` keeps what is whole."


def _say(facts: dict[str, Any], as_json: bool, lines: Any) -> None:
    if as_json:
        click.echo(msgspec.json.encode(facts).decode())
    else:
        for line in lines:
            click.echo(line)
