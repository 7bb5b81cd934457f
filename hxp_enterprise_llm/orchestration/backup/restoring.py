"""Putting a backup back: checked whole first, what was there is kept aside."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from hxp_enterprise_llm.event.log.model import LogError
from hxp_enterprise_llm.event.log.sqlite import directory as files
from hxp_enterprise_llm.event.log.sqlite.segment import segment_paths
from hxp_enterprise_llm.event.processing.platform.keeping import Unusable, decoded, unbound
from hxp_enterprise_llm.orchestration.backup.archive import unpacked
from hxp_enterprise_llm.orchestration.backup.making import Places
from hxp_enterprise_llm.orchestration.backup.model import (
    HISTORY,
    LOG,
    PLATFORM,
    STORE,
    BackupError,
    Manifest,
    faults_of,
    read_manifest,
)
from hxp_enterprise_llm.runtime.files import sync
from hxp_enterprise_llm.runtime.sqlite_copy import damage_of, is_open


def check(source: Path, beside: Path) -> Manifest:
    """Look at every byte and every record of a backup. Raises BackupError."""
    try:
        with unpacked(source, beside) as root:
            return _checked(root)
    except OSError as error:
        raise BackupError(f"{source} cannot be read: {error}") from error


def restore(source: Path, places: Places, stamp: str, *, replace: bool) -> tuple[Manifest, list[Path]]:
    """Check a backup, move what is there aside (`replace`), put the backup in its place.

    Answers the manifest and where the former state is now. Raises BackupError; then nothing has been changed, or what
    it names has been moved.
    """
    try:
        places.processing.mkdir(mode=0o700, parents=True, exist_ok=True)
        with unpacked(source, places.processing) as root:
            manifest = _checked(root)
            _require_unused(places, replace)
            moved = list(_moved_aside(places, manifest, stamp))
            _put(root, places, manifest)
    except (OSError, sqlite3.Error, LogError, Unusable) as error:
        raise BackupError(f"{source} was not restored: {error}") from error
    return manifest, moved


def _checked(root: Path) -> Manifest:
    manifest = read_manifest(root)
    faults = list(faults_of(root, manifest))
    if not faults and manifest.store and (fault := damage_of(root / STORE)):
        faults.append(f"{STORE}: {fault}")
    if not faults and manifest.history is not None and (fault := damage_of(root / HISTORY)):
        faults.append(f"{HISTORY}: {fault}")
    if not faults and manifest.log is not None:
        faults += [str(damage) for damage in files.check(root / LOG).damages]
    if faults:
        more = f"; and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise BackupError(f"{root.name}: the backup is damaged: {faults[0]}{more}; take another")
    return manifest


def _require_unused(places: Places, replace: bool) -> None:
    if segment_paths(places.log):
        if not replace:
            raise BackupError(f"{places.log} holds a log: --replace moves it aside and keeps it")
        with files.owned(places.log):
            pass
    if places.store.exists():
        if is_open(places.store):
            raise BackupError(f"{places.store} is in use: stop citadel-data-streaming-api first")
        if not replace:
            raise BackupError(f"{places.store} exists: --replace moves it aside and keeps it")


def _moved_aside(places: Places, manifest: Manifest, stamp: str) -> Iterator[Path]:
    suffix = f".before-restore-{stamp}"
    if manifest.log is not None:
        # What was made of another log goes with it.
        for path in (places.log, places.platform.path):
            yield from _renamed(path, suffix)
        yield from _database_renamed(places.history, suffix)
    if manifest.store:
        yield from _database_renamed(places.store, suffix)


def _renamed(path: Path, suffix: str, ending: str = "") -> Iterator[Path]:
    old = path.with_name(path.name + ending)
    if old.exists():
        yield old.rename(path.with_name(path.name + suffix + ending))


def _database_renamed(path: Path, suffix: str) -> Iterator[Path]:
    yield from _renamed(path, suffix)
    for ending in ("-wal", "-shm"):
        # SQLite finds the write-ahead log by the name of its file.
        list(_renamed(path, suffix, ending))


def _put(root: Path, places: Places, manifest: Manifest) -> None:
    if manifest.store:
        places.streaming.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy(root / STORE, places.store)
        sync(places.streaming)
    if manifest.log is not None:
        _doubt_the_note(places.log)
        _put_derived(root, places, manifest)
        _put_log(root, places)


def _put_log(root: Path, places: Places) -> None:
    # Whole or not at all, under its name.
    new = places.log.with_name("log.restoring")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    for path in segment_paths(root / LOG):
        _copy(path, new / path.name)
    _give(new, places.processing)
    sync(new)
    new.rename(places.log)
    sync(places.processing)


def _put_derived(root: Path, places: Places, manifest: Manifest) -> None:
    """What was made of the log: it may know of events that the log no longer has."""
    if manifest.platform is not None:
        _make_directory(places.platform.path.parent, places.processing)
        places.platform.write(unbound(decoded(root / PLATFORM, (root / PLATFORM).read_bytes())))
        _give(places.platform.path, places.processing)
    if manifest.history is not None:
        _make_directory(places.history.parent, places.processing)
        _copy(root / HISTORY, places.history)
        sync(places.history.parent)


def _make_directory(path: Path, like: Path) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    _give(path, like)


def _copy(source: Path, target: Path) -> None:
    handle = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with source.open("rb") as reading, os.fdopen(handle, "wb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)
    _give(target, _owner_of(target))
    sync(target)


def _owner_of(target: Path) -> Path:
    return next(each for each in target.parents if not each.name.endswith(".restoring"))


def _give(path: Path, like: Path) -> None:
    """Root restores for the user of the services: the files are whose the state directory is."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _doubt_the_note(log: Path) -> None:
    """See that the log opens under a new epoch, also when it had not gone on since the backup.

    The note of the head keeps how far the log had reached, so that no offset ever means two events; as a copy it is
    not believed beyond that.
    """
    note = log.with_name(log.name + ".head")
    if note.exists():
        copy = note.with_name(note.name + ".copy")
        copy.unlink(missing_ok=True)
        _copy(note, copy)
        copy.rename(note)
