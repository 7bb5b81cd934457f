"""The copy of a store that is kept before newer tables are made of it: with it, the release before runs again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from hxp_enterprise_llm.runtime.files import sync


def kept_path(path: Path, revision: str) -> Path:
    """Where the copy of this revision is."""
    return path.with_name(f"{path.name}.revision-{revision}")


def keep_copy(path: Path, revision: str) -> Path:
    """Copy a store as it stands, whole and durable; answers where to. Raises OSError, sqlite3.Error."""
    place = kept_path(path, revision)
    making = place.with_name(f"{place.name}.making")
    making.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(making),))
    making.chmod(0o600)
    # It has its name only once it is whole: a copy of an upgrade that was cut off is made again.
    sync(making)
    making.replace(place)
    sync(place.parent)
    return place
