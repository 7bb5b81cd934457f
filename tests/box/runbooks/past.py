"""Gives a history that nobody writes a longer past: what it has, again and again, earlier. Standard library only.

python3 past.py FILE BYTES: until the file has so many
"""

from __future__ import annotations

import itertools
import sqlite3
import sys
from contextlib import closing

SPAN = "SELECT MIN(block), MAX(block) - MIN(block) + 1 FROM parts WHERE tier = 0"
EARLIER = """INSERT INTO parts SELECT tier, block - ?, series, part, 1, data FROM parts
    WHERE tier = 0 AND block >= ?"""
SIZE = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"


def main(file: str, wanted: str) -> None:
    """The finest tier alone, folded: the coarser ones have it already."""
    with closing(sqlite3.connect(file)) as connection:
        first, span = connection.execute(SPAN).fetchone()
        for times in itertools.count(1):
            with connection:
                connection.execute(EARLIER, (times * span, first))
            if connection.execute(SIZE).fetchone()[0] >= int(wanted):
                break


if __name__ == "__main__":
    main(*sys.argv[1:])
