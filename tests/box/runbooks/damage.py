"""Spoils the largest record of a segment, and nothing else, as a disk does that loses bits. Standard library only.

python3 damage.py SEGMENT
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

SPOILT = b"\xff" * 16


def main(segment: str) -> None:
    """Sixteen bytes in the middle of its body's first part."""
    path = Path(segment)
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        query = "SELECT body FROM record ORDER BY length(body) DESC LIMIT 1"
        body = bytes(connection.execute(query).fetchone()[0])
    content = path.read_bytes()
    # A body lies in several pages, each with the number of the next ahead: the words looked for may lie on two.
    words = (body[at : at + 32] for at in range(len(body) // 2, len(body)))
    position = next(content.index(word) for word in words if word in content) + 8
    with path.open("r+b") as file:
        file.seek(position)
        file.write(SPOILT)


if __name__ == "__main__":
    main(*sys.argv[1:])
