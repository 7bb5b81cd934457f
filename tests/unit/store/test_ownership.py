"""One process owns a store: a second one is refused, and learns by whom; what it left when it ended is free."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hxp_enterprise_llm.runtime.ownership import FileLock, Owned
from hxp_enterprise_llm.store.database import Store
from hxp_enterprise_llm.store.errors import StoreInUse, StoreUnavailable

OWNER = """
import asyncio, pathlib, sys, time
from hxp_enterprise_llm.runtime.ownership import FileLock, Owned
from hxp_enterprise_llm.store.database import Store

asyncio.run(Store(pathlib.Path(sys.argv[1]), owned=True).open())
print("opened", file=sys.stderr, flush=True)
time.sleep(600)
"""


async def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ
    )
    assert owner.stderr is not None
    assert await owner.stderr.readline() == b"opened\n"
    store = Store(path, owned=True)
    with pytest.raises(StoreInUse) as caught:
        await store.open()
    assert str(caught.value) == (
        f"the store {path} is in use by process {owner.pid}; one process owns a store:"
        " end that one, or give this one a state.directory of its own"
    )
    owner.send_signal(signal.SIGKILL)
    await owner.wait()
    await store.open()
    await store.close()


async def test_a_disk_without_room_for_the_name_of_the_owner_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds, and is free afterwards: a lock that was lost on the way would be held until the process ends."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "pwrite", full)
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    for _ in range(2):
        first.acquire()
        with pytest.raises(Owned, match=r"process \(unknown\)"):
            second.acquire()
        first.release()


async def test_who_lets_go_or_could_not_open_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_text("this is no database" * 100)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await Store(path, owned=True).open()
    path.unlink()
    for _ in range(2):
        store = Store(path, owned=True)
        await store.open()
        await store.close()
    assert (tmp_path / "state.lock").stat().st_mode & 0o777 == 0o600
