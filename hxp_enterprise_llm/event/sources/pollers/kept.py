"""What somebody has set for sources while they run, over the configuration: a small file that outlasts a restart."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hxp_enterprise_llm.event.sources.pollers.model import Settings
from hxp_enterprise_llm.runtime.files import put


def read_settings(path: Path) -> dict[str, Settings]:
    """By source. None are there, or none that can be read: the configuration holds. Raises OSError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Settings])
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return {}


def write_settings(path: Path, settings: dict[str, Settings]) -> None:
    """Replace the file as a whole. Raises OSError."""
    put(path, msgspec.json.encode(settings))
