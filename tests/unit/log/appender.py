"""A process that appends batches until it is killed: `python -m tests.unit.log.appender DIRECTORY FIRST [LAST]`.

It prints the number of each batch once the log has acknowledged it. After the last it waits to be killed.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path

from tests.unit.log.support import batch_of, sqlite_log


async def main(directory: Path, first: int, last: int | None = None) -> None:
    log = sqlite_log(directory, segment_bytes=256 * 1024)
    await log.open()
    for number in count(first) if last is None else range(first, last + 1):
        await log.append(batch_of(number))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
