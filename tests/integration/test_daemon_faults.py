"""The whole daemon under load with a fault at some n-th operation on its disk; `tests.torture faults` goes through all.

Each row is the lives of one data directory: the first begins it, the others go on with it. Which operation is the n-th
depends on the time, and what follows from it on its kind: a full disk that a write meets passes, after one that a sync
meets nobody knows what was kept. So a fault that must end, or must not, names the kinds (see disk.c). Where no
file can be made any more, a daemon ends that has not opened all of its own yet, and no other.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.lives import EX_CANTCREAT, EX_SOFTWARE, Lives

KILLED, WENT_ON = -9, None
NO_FILE_MORE = "it goes on, or ends because its store was not open yet"
MOST = 300
"""Batches of a life: ten times what one here needs for its fault."""


@pytest.mark.parametrize(
    ("below", "lives"),
    [
        ("", [("all:25:kill", KILLED), ("all:90:short", KILLED), ("all:200:kill", KILLED), ("all:333:short", KILLED)]),
        ("processing", [("all:40:stay-eio", EX_CANTCREAT), ("s:40:stay-eio", EX_SOFTWARE), ("all:180:part", WENT_ON)]),
        ("", [("wtc:290:stay-enospc", WENT_ON), ("wtc:250:stay-enospc", WENT_ON), ("c:8:stay-enospc", NO_FILE_MORE)]),
        ("processing", [("", WENT_ON), ("c:8:stay-emfile", WENT_ON)]),
        ("streaming", [("all:40:kill", KILLED), ("all:35:kill", KILLED), ("all:42:short", KILLED)]),
        (
            "streaming",
            [("all:30:stay-eio", EX_CANTCREAT), ("all:120:stay-eio", WENT_ON), ("all:60:stay-enospc", WENT_ON)],
        ),
    ],
)
async def test_faults_at_operations_of_the_daemon(tmp_path: Path, below: str, lives: list) -> None:
    """Nothing acknowledged is lost or doubled, health says what is wrong, and all is well when the fault is gone."""
    daemon = Lives(tmp_path, below)
    for fault, status in lives:
        life = await daemon.life(fault.replace("all", "wsrtuc"), most=MOST)
        assert not life.broken, life
        if status == NO_FILE_MORE and life.status == EX_CANTCREAT:
            assert "unable to open database file" in life.last_words, life
        else:
            assert life.status == (WENT_ON if status == NO_FILE_MORE else status), life
    assert await daemon.settle() == []
