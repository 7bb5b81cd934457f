"""What a backup is: a directory, or that directory as a tar file, with a manifest that names and sums every file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

FORMAT = 1
MANIFEST = "manifest.json"
LOG = "event-processing/log"
STORE = "data-streaming-api/state.db"
PLATFORM = "event-processing/platform/state"
HISTORY = "event-processing/history/history.db"
SOURCES = "event-processing/sources.json"
_BLOCK = 1 << 20


class BackupError(Exception):
    """A backup that cannot be made or put back; the message says what, where, and what to do."""


class Entry(msgspec.Struct, frozen=True):
    """One file of a backup."""

    path: str
    bytes: int
    sha256: str


class LogFacts(msgspec.Struct, frozen=True):
    """What the log in a backup holds."""

    epoch: str
    first: int
    head: int
    events: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The last file that is written: a backup without it is not finished."""

    format: int
    version: str
    """Of the program that made the backup."""
    begun: str
    """Whatever was acknowledged before this moment is in the backup."""
    host: str
    files: tuple[Entry, ...]
    log: LogFacts | None = None
    store: str = ""
    """Revision of the store; empty when the backup has none."""
    platform: int | None = None
    """Offset up to which the log is in the state of the platform; None when the backup has none."""
    history: int | None = None
    """The same of the history."""


def entry_of(root: Path, path: Path) -> Entry:
    """Size and sum of a file. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return Entry(path.relative_to(root).as_posix(), path.stat().st_size, digest.hexdigest())


def read_manifest(root: Path) -> Manifest:
    """The manifest of an unpacked backup. Raises BackupError."""
    path = root / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise BackupError(f"{root} is no finished backup: it has no {MANIFEST}; take another") from None
    except (OSError, msgspec.DecodeError) as error:
        raise BackupError(f"{path} cannot be read: {error}; take another backup") from error
    if manifest.format != FORMAT:
        raise BackupError(
            f"{path} has format {manifest.format}, this program reads format {FORMAT}: use release {manifest.version}"
        )
    return manifest


def faults_of(root: Path, manifest: Manifest) -> Iterator[str]:
    """What of an unpacked backup is not as it was written."""
    named = {each.path: each for each in manifest.files}
    for path, entry in named.items():
        try:
            found = entry_of(root, root / path)
        except OSError as error:
            yield f"{path}: {error.strerror}"
            continue
        if found != entry:
            yield f"{path}: its content is not what was written ({found.bytes:,} of {entry.bytes:,} bytes)"
    there = {each.relative_to(root).as_posix() for each in root.rglob("*") if each.is_file()}
    yield from (f"{path}: is not part of the backup" for path in sorted(there - named.keys() - {MANIFEST}))
