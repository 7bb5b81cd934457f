"""From which offset on the log has to be read again after a restart, so that no held tokens are lost: a small file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hxp_enterprise_llm.runtime.files import put


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
    put(path, msgspec.json.encode(mark))
