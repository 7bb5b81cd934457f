"""Making a backup of services that may be running."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.event.log.model import LogError
from hxp_enterprise_llm.event.log.sqlite import directory as files
from hxp_enterprise_llm.event.log.sqlite.segment import segment_paths
from hxp_enterprise_llm.event.log.sqlite.snapshot import copy_log
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.processing.history.database import Meta
from hxp_enterprise_llm.event.processing.platform.keeping import StateFile, Unusable, encoded
from hxp_enterprise_llm.orchestration.backup.archive import is_archive, pack
from hxp_enterprise_llm.orchestration.backup.model import (
    FORMAT,
    HISTORY,
    LOG,
    MANIFEST,
    PLATFORM,
    SOURCES,
    STORE,
    BackupError,
    LogFacts,
    Manifest,
    entry_of,
)
from hxp_enterprise_llm.runtime.files import put, sync
from hxp_enterprise_llm.runtime.sqlite_copy import copy_database, damage_of


class Places(NamedTuple):
    """Where the services keep what must survive."""

    processing: Path
    streaming: Path

    @property
    def log(self) -> Path:
        return self.processing / "log"

    @property
    def note(self) -> Path:
        """How far the log had reached: never part of a backup."""
        return self.log.with_name(f"{self.log.name}.head")

    @property
    def platform(self) -> StateFile:
        return StateFile(self.processing / "platform" / "state")

    @property
    def history(self) -> Path:
        return self.processing / "history" / "history.db"

    @property
    def analytics(self) -> Path:
        """Windows of the log that is here: no part of a backup, as they are read from the log again."""
        return self.processing / "analytics" / "state"

    @property
    def sources(self) -> Path:
        """What somebody has set for sources while they ran."""
        return self.processing / "sources.json"

    @property
    def store(self) -> Path:
        return self.streaming / "state.db"


def make(places: Places, target: Path, time: Callable[[], float]) -> Manifest:
    """Copy log and store, and what was made of the log, into `target`, a new directory or tar file; check the copy.

    Raises BackupError.
    """
    if target.exists():
        raise BackupError(f"{target} exists already: name another, nothing is written over")
    work = target.with_name(target.name + ".making")
    try:
        work.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise BackupError(f"{work} is left over or in use: remove it if no other backup runs") from None
    except OSError as error:
        raise BackupError(f"no backup was made: {error}") from error
    try:
        manifest = _made(places, work, time)
        _finish(work, target)
    except (OSError, sqlite3.Error, LogError) as error:
        raise BackupError(f"no backup was made: {error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


def _finish(work: Path, target: Path) -> None:
    """Under its final name, whole or not at all."""
    if is_archive(target):
        pack(work, target)
    else:
        work.rename(target)
        sync(target.parent)


def _made(places: Places, root: Path, time: Callable[[], float]) -> Manifest:
    begun = rfc3339(time())
    # The store first: what it refers to is then in the log. What was told meanwhile may be told twice after a restore.
    revision = _copy_store(places.store, root / STORE) if places.store.exists() else ""
    platform = history = facts = None
    if segment_paths(places.log):
        # What was made of the log before the log: then no event is in the one and not in the other.
        platform = _copy_platform(places.platform, root / PLATFORM)
        history = _copy_history(places.history, root / HISTORY) if places.history.exists() else None
        facts = _copy_log(places.log, root / LOG)
        _copy_sources(places.sources, root / SOURCES)
    if facts is None and not revision:
        raise BackupError(f"there is neither a log in {places.log} nor a store at {places.store}: name the directory")
    found = sorted(each for each in root.rglob("*") if each.is_file())
    manifest = Manifest(
        format=FORMAT,
        version=__version__,
        begun=begun,
        host=socket.gethostname(),
        files=tuple(entry_of(root, path) for path in found),
        log=facts,
        store=revision,
        platform=platform,
        history=history,
    )
    path = root / MANIFEST
    path.touch(0o600)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    sync(path)
    sync(root)
    return manifest


def _copy_store(source: Path, target: Path) -> str:
    target.parent.mkdir(mode=0o700)
    copy_database(source, target)
    if fault := damage_of(target):
        raise BackupError(f"the store {source} is damaged: {fault}; keep the last good backup and see `hxp doctor`")
    with closing(sqlite3.connect(f"file:{target}?mode=ro&immutable=1", uri=True)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def _copy_platform(source: StateFile, target: Path) -> int | None:
    """None when there is none, or none that can be used: then it is made anew from the log."""
    try:
        saved = source.read()
    except Unusable:
        return None
    if saved is None:
        return None
    StateFile(target).write(encoded(saved))
    return saved.position


def _copy_history(source: Path, target: Path) -> int:
    target.parent.mkdir(mode=0o700, parents=True)
    copy_database(source, target)
    if fault := damage_of(target):
        raise BackupError(f"the history {source} is damaged: {fault}; move it away, it is made anew from the log")
    with closing(sqlite3.connect(f"file:{target}?mode=ro&immutable=1", uri=True)) as connection:
        return Meta(connection).cursor.position


def _copy_sources(source: Path, target: Path) -> None:
    """As a whole: it is replaced as a whole."""
    if source.exists():
        put(target, source.read_bytes())


def _copy_log(source: Path, target: Path) -> LogFacts:
    target.parent.mkdir(mode=0o700, exist_ok=True)
    copy_log(source, target)
    summary = files.check(target)
    if not summary.is_whole:
        damage = summary.damages[0]
        raise BackupError(f"the log {source} is damaged: {damage}; `hxp log check` and `repair` mend it")
    return LogFacts(summary.epoch, summary.first, summary.head, summary.events)
