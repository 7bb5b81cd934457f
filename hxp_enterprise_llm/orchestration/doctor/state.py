"""Log and store as they lie on disk, looked at by connections that only read: the services may run."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

from hxp_enterprise_llm.event.log.model import LogCorrupt
from hxp_enterprise_llm.event.log.sqlite.files import HeadWitness
from hxp_enterprise_llm.event.log.sqlite.segment import Header, SegmentReader, segment_paths
from hxp_enterprise_llm.event.processing.history.database import Meta
from hxp_enterprise_llm.event.processing.platform.keeping import StateFile, Unusable
from hxp_enterprise_llm.orchestration.doctor.model import Finding, runbook
from hxp_enterprise_llm.store.database import newest_revision
from hxp_enterprise_llm.store.keeping import kept_path

# With its socket: who connects would start the service again. As its user: root's files would be closed to it.
_REPAIR = (
    "sudo systemctl stop citadel-event-processing.service citadel-event-processing.socket;"
    " sudo -u citadel hxp log check {0}; sudo -u citadel hxp log repair {0};"
    " sudo systemctl start citadel-event-processing"
)


def owner_of(lock: Path) -> int | None:
    """Process id that a lock names, if that process has it open; also if it may not be seen what it has open."""
    try:
        text = lock.read_text("ascii", "replace").strip()
    except OSError:
        return None
    process = Path("/proc", text)
    if not text.isdecimal() or not process.exists():
        return None
    try:
        # A number that stayed behind may be somebody else's by now.
        held = any(os.path.realpath(each) == os.path.realpath(lock) for each in (process / "fd").iterdir())
    except OSError:
        held = True
    return int(text) if held else None


def look_at_log(directory: Path) -> Iterator[Finding]:
    """Whether the segments are one unbroken log and reach as far as was noted."""
    headers: list[Header] = []
    for path in segment_paths(directory):
        try:
            with closing(SegmentReader(path, sealed=False)) as reader:
                headers.append(reader.header())
        except (sqlite3.Error, LogCorrupt) as error:
            if path.exists():
                yield Finding("log.unreadable", "fault", f"{path}: {error}", _REPAIR.format(directory))
            return
    if not headers:
        yield Finding("log.none", "ok", f"{directory} holds no log yet")
        return
    yield from _holes(directory, headers)
    newest = headers[-1]
    note = HeadWitness.peek(directory)
    if note is None:
        yield Finding(
            "log.no_note",
            "warning",
            f"{directory}.head, the note of the head, is missing or damaged: the log will open under a new epoch",
            f"nothing to do, if the log was restored on purpose; else see {runbook('CitadelLogEpochChanged')}",
        )
    elif note.epoch == newest.epoch and note.head > newest.last:
        yield Finding(
            "log.short",
            "fault",
            f"{directory} ends at offset {newest.last}, but had reached {note.head}",
            f"hxp restore a backup, or see {runbook('CitadelLogEpochChanged')}",
        )
    yield Finding(
        "log.holds",
        "ok",
        f"{directory}: {len(headers)} segments, offsets {headers[0].first:,} to {newest.last:,}, epoch {newest.epoch}",
    )


def _holes(directory: Path, headers: list[Header]) -> Iterator[Finding]:
    for before, header in pairwise(headers):
        if before.epoch == header.epoch and header.first != before.last + 1:
            yield Finding(
                "log.hole",
                "fault",
                f"{directory}: offsets {before.last + 1} to {header.first - 1} are missing before {header.path.name}",
                _REPAIR.format(directory),
            )


def newest_record(directory: Path) -> float | None:
    """When the newest record was written."""
    for path in reversed(segment_paths(directory)):
        try:
            with closing(SegmentReader(path, sealed=False)) as reader:
                for record in reader.newest_first():
                    return record.at
        except (sqlite3.Error, LogCorrupt):
            return None
    return None


def look_at_platform(path: Path) -> Iterator[Finding]:
    """Whether what is known of the platform can be read."""
    try:
        saved = StateFile(path).read()
    except (Unusable, OSError) as error:
        yield Finding(
            "platform.unusable",
            "warning",
            f"what is known of the platform: {error}",
            "nothing, if the log still has everything: the next start makes it anew of it; else hxp restore a backup",
        )
        return
    reached = "nothing is known of the platform yet" if saved is None else f"{path} is whole, up to {saved.position:,}"
    yield Finding("platform.whole", "ok", reached)


def look_at_history(path: Path) -> Iterator[Finding]:
    """Whether the history can be read. Its content is not looked through: it may be gigabytes."""
    if not path.exists():
        yield Finding("history.none", "ok", f"there is no history at {path} yet")
        return
    try:
        with closing(_reading(path)) as connection:
            (series,) = connection.execute("SELECT count(*) FROM series").fetchone()
            position = Meta(connection).cursor.position
            yield Finding("history.whole", "ok", f"{path}: {series:,} series, up to {position:,}")
    except sqlite3.Error as error:
        yield Finding(
            "history.damaged",
            "warning",
            f"{path}: {error}",
            f"nothing: it is put aside, and a new one filled from the log (see {runbook('CitadelHistoryErrors')})",
        )


def _reading(path: Path) -> sqlite3.Connection:
    """Changes nothing, nor the files beside it. Raises sqlite3.Error."""
    # Without a write-ahead file nobody has it open; to open it as a shared one would make files beside it.
    alone = "" if path.with_name(path.name + "-wal").exists() else "&immutable=1"
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro{alone}", uri=True, timeout=5.0)
    connection.execute("PRAGMA query_only=ON")
    return connection


def look_at_store(path: Path) -> Iterator[Finding]:
    """Whether the store is whole and of this release, and whether notifications wait or were given up in it."""
    if not path.exists():
        yield Finding("store.none", "ok", f"there is no store at {path} yet")
        return
    try:
        with closing(_reading(path)) as connection:
            yield from _store(path, connection)
    except sqlite3.Error as error:
        yield _damaged(path, str(error))


def _damaged(path: Path, why: str) -> Finding:
    mend = f"{runbook('CitadelStoreErrors')}: put it aside and begin with an empty one, or restore the last backup"
    return Finding("store.damaged", "fault", f"{path}: {why}", mend)


def _way_back(path: Path) -> str:
    copy = kept_path(path, newest_revision()).name
    if not (path.parent / copy).exists():
        return "run that release, or restore the backup made before the upgrade"
    aside = f"install -d -m 0700 -o {path.stat().st_uid} newer && mv {path.name}* newer"
    back = f"cd {path.parent} && {aside} && cp -p newer/{copy} {path.name}"
    return f"run that release, or go back to the copy made before the upgrade: {back}"


def _store(path: Path, connection: sqlite3.Connection) -> Iterator[Finding]:
    found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if found != "ok":
        yield _damaged(path, found)
        return
    revision = str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    if revision > newest_revision():
        yield Finding(
            "store.newer",
            "fault",
            f"{path} has revision {revision}, this release knows {newest_revision()}: a newer release wrote it",
            _way_back(path),
        )
        return
    yield Finding("store.whole", "ok", f"{path} is whole, revision {revision}")
