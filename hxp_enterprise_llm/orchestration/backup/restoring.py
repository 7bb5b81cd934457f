"""Putting a backup back: checked whole, made beside what is there, then exchanged by names; what was there is kept."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from hxp_enterprise_llm.event.log.model import LogError
from hxp_enterprise_llm.event.log.sqlite import directory as files
from hxp_enterprise_llm.event.log.sqlite.segment import segment_paths
from hxp_enterprise_llm.event.processing.platform.keeping import StateFile, Unusable, decoded, unbound
from hxp_enterprise_llm.orchestration.backup.archive import unpacked
from hxp_enterprise_llm.orchestration.backup.making import Places
from hxp_enterprise_llm.orchestration.backup.model import (
    HISTORY,
    LOG,
    PLATFORM,
    SOURCES,
    STORE,
    BackupError,
    Manifest,
    faults_of,
    read_manifest,
)
from hxp_enterprise_llm.runtime.files import FULL, leave_to_owner, sync
from hxp_enterprise_llm.runtime.sqlite_copy import damage_of, is_open

_SUFFIX = ".restoring"
_BESIDE_DATABASES = ("-wal", "-shm")


def check(source: Path, beside: Path) -> Manifest:
    """Look at every byte and every record of a backup. Raises BackupError."""
    try:
        with unpacked(source, beside) as root:
            return _checked(root)
    except OSError as error:
        raise BackupError(f"{source} cannot be read: {error}") from error


def restore(source: Path, places: Places, stamp: str, *, replace: bool) -> tuple[Manifest, list[Path]]:
    """Check a backup, move what is there aside (`replace`), put the backup in its place.

    Answers the manifest and where the former state is now. Raises BackupError; then all is as it was.
    """
    try:
        # At once, not after gigabytes have been looked at; and again when they have.
        _require_unused(places, replace)
        places.processing.mkdir(mode=0o700, parents=True, exist_ok=True)
        with unpacked(source, places.processing) as root:
            manifest = _checked(root)
            _require_unused(places, replace)
            new = Beside(places, own=root != source)
            try:
                new.make(root, manifest)
                return manifest, _exchange(new, places, manifest, f".before-restore-{stamp}")
            finally:
                new.discard()
    except (OSError, sqlite3.Error, LogError, Unusable) as error:
        full = isinstance(error, OSError) and error.errno in FULL
        room = f"; it takes room for a second copy in {places.processing}" if full else ""
        raise BackupError(f"{source} was not restored, all is as it was: {error}{room}") from error


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
            raise BackupError(f"{places.store} is in use: sudo systemctl stop 'citadel*' first, the ports too")
        if not replace:
            raise BackupError(f"{places.store} exists: --replace moves it aside and keeps it")


class Beside:
    """All of a backup, made beside its places under other names: a full disk on the way changes nothing.

    `own`: the unpacked backup is ours, and its files are moved, which takes no room.
    """

    def __init__(self, places: Places, *, own: bool) -> None:
        self._places, self._own = places, own
        self.renames: list[tuple[Path, Path]] = []
        """New file or directory, and its place."""

    def make(self, root: Path, manifest: Manifest) -> None:
        """Everything that the backup has. Raises OSError, Unusable."""
        places = self._places
        if manifest.store:
            places.streaming.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._bring(root / STORE, self._beside(places.store))
        if manifest.log is not None:
            self._make_derived(root, manifest)
            if (root / SOURCES).exists():
                self._bring(root / SOURCES, self._beside(places.sources))
            self._make_log(root)

    def discard(self) -> None:
        """What has not come to its place."""
        for new, _ in self.renames:
            _remove(new)

    def _beside(self, place: Path) -> Path:
        new = place.with_name(place.name + _SUFFIX)
        _remove(new)
        self.renames.append((new, place))
        return new

    def _make_derived(self, root: Path, manifest: Manifest) -> None:
        """What was made of the log: it may know of events that the log no longer has."""
        places = self._places
        if manifest.platform is not None:
            _make_directory(places.platform.path.parent)
            new = self._beside(places.platform.path)
            StateFile(new).write(unbound(decoded(root / PLATFORM, (root / PLATFORM).read_bytes())))
            leave_to_owner(new)
        if manifest.history is not None:
            _make_directory(places.history.parent)
            self._bring(root / HISTORY, self._beside(places.history))

    def _make_log(self, root: Path) -> None:
        """The last one: a log that is not there yet is told, one without its history is not."""
        self._make_note()
        new = self._beside(self._places.log)
        _make_directory(new)
        for path in segment_paths(root / LOG):
            self._bring(path, new / path.name)
        sync(new)

    def _make_note(self) -> None:
        """See that the log opens under a new epoch, also when it had not gone on since the backup.

        The note of the head keeps how far the log had reached, so that no offset ever means two events; as a copy it
        is not believed beyond that.
        """
        note = self._places.note
        if note.exists():
            new = self._beside(note)
            _copy(note, new)
            leave_to_owner(new)
            sync(new)

    def _bring(self, source: Path, target: Path) -> None:
        if self._own:
            shutil.move(source, target)
        else:
            _copy(source, target)
        leave_to_owner(target)
        sync(target)


def _exchange(new: Beside, places: Places, manifest: Manifest, suffix: str) -> list[Path]:
    """Everything in its place, or nothing; answers where the former state is now. Raises OSError."""
    aside = list(_aside(places, manifest, suffix))
    _rename_all([*aside, *new.renames])
    return [kept for old, kept in aside if old != places.note and not old.name.endswith(_BESIDE_DATABASES)]


def _rename_all(renames: Iterable[tuple[Path, Path]]) -> None:
    done: list[tuple[Path, Path]] = []
    try:
        for old, new in renames:
            old.rename(new)
            done.append((old, new))
        for directory in {new.parent for _, new in done}:
            sync(directory)
    except OSError:
        for old, new in reversed(done):
            new.rename(old)
        raise


def _aside(places: Places, manifest: Manifest, suffix: str) -> Iterator[tuple[Path, Path]]:
    """What is there, and the names under which it is kept."""
    found: list[tuple[Path, Path]] = []
    if manifest.log is not None:
        # What was made of another log, and was set while it ran, goes with it.
        plain = (places.log, places.note, places.platform.path, places.analytics, places.sources)
        found += [(path, path.with_name(path.name + suffix)) for path in plain]
        found += _database(places.history, suffix)
    if manifest.store:
        found += _database(places.store, suffix)
    yield from (each for each in found if each[0].exists())


def _database(path: Path, suffix: str) -> Iterator[tuple[Path, Path]]:
    for ending in ("", *_BESIDE_DATABASES):
        # SQLite finds the write-ahead log by the name of its file.
        yield path.with_name(path.name + ending), path.with_name(path.name + suffix + ending)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _make_directory(path: Path) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    leave_to_owner(path)


def _copy(source: Path, target: Path) -> None:
    handle = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with source.open("rb") as reading, os.fdopen(handle, "wb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)
