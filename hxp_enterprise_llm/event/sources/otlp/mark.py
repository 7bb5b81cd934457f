"""From which offset on the log has to be read again after a restart, so that no held tokens are lost: a small file."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class Mark(msgspec.Struct, frozen=True):
    """Everything that is not decided on lies at this offset or beyond it."""

    epoch: str
    offset: int


def read_mark(path: Path) -> Mark | None:
    """The mark; None when there is none, or none that can be read: then more of the log is read. Raises OSError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Mark)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def write_mark(path: Path, mark: Mark) -> None:
    """Replace the mark as a whole. Raises OSError."""
    making = path.with_name(f"{path.name}.making")
    with making.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(msgspec.json.encode(mark))
        file.flush()
        os.fsync(file.fileno())
    making.replace(path)
