"""Ways to damage the files of a log, for tests."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from hxp_enterprise_llm.event.log.sqlite.segment import segment_paths
from tests.unit.log.support import events, eventually, sqlite_log


async def four_segments(directory: Path) -> None:
    """Offsets 1 to 40, ten in each segment, each segment of two records."""
    log = sqlite_log(directory, segment_bytes=256 * 1024)
    await log.open()
    for number in range(4):
        await log.append(events(10 * number, 5, size=40_000 if number < 3 else 3000))
        await log.append(events(10 * number + 5, 5, size=40_000 if number < 3 else 3000))
        if number < 3:
            await eventually(lambda count=number + 2: len(segment_paths(directory)) == count)
    await log.close()


def flip(path: Path, position: int) -> None:
    """Change one bit of a file."""
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


def flip_body(path: Path, *, last: bool = True) -> None:
    """Change one bit in the body of the last, or the first, record of a segment."""
    with closing(sqlite3.connect(path)) as connection:
        chosen = "max" if last else "min"
        (body,) = connection.execute(f"SELECT body, {chosen}(last_offset) FROM record").fetchone()[:1]
    flip(path, path.read_bytes().index(body[100:200]))


def remove_record(path: Path, last: int) -> None:
    """Let a record vanish without a trace."""
    run_sql(path, f"DELETE FROM record WHERE last_offset = {last}")


def run_sql(path: Path, statement: str) -> None:
    """Change a segment by hand."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def note_of(directory: Path) -> Path:
    """The note of the head lies beside the log, not in it."""
    return directory.with_name(directory.name + ".head")


def damage_pages(path: Path, kind: int) -> None:
    """Make the first page of a kind (13: a leaf of a table, 5: an inner one), beyond the schema, unreadable."""
    content = bytearray(path.read_bytes())
    for start in range(2 * 4096, len(content), 4096):
        if content[start] == kind:
            content[start : start + 8] = b"\xff" * 8
            path.write_bytes(content)
            return
    raise AssertionError(f"{path} has no page of kind {kind}")
