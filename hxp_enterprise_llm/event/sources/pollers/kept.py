"""What somebody has set for sources while they run, over the configuration: a small file that outlasts a restart."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from hxp_enterprise_llm.event.sources.pollers.model import Settings


def read_settings(path: Path) -> dict[str, Settings]:
    """By source. None are there, or none that can be read: the configuration holds. Raises OSError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Settings])
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return {}


def write_settings(path: Path, settings: dict[str, Settings]) -> None:
    """Replace the file as a whole. Raises OSError."""
    making = path.with_name(f"{path.name}.making")
    with making.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(msgspec.json.encode(settings))
        file.flush()
        os.fsync(file.fileno())
    making.replace(path)
