"""The store: durable transactions, migrations, and plain words when the file cannot be used."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import IntegrityError

from hxp_enterprise_llm.store import migrations, upgrading
from hxp_enterprise_llm.store.database import Store, newest_revision
from hxp_enterprise_llm.store.errors import StoreClosed, StoreTooNew, StoreUnavailable
from hxp_enterprise_llm.store.tables import cursor, metadata

VERSIONS = Path(migrations.__file__).parent / "versions"


def put(name: str, offset: int):
    def work(connection: Connection) -> None:
        connection.execute(cursor.insert().values(name=name, epoch="e", offset=offset))

    return work


def offsets(connection: Connection) -> list[int]:
    return list(connection.scalars(select(cursor.c.offset).order_by(cursor.c.offset)))


@pytest.fixture
async def store(tmp_path: Path):
    store = Store(tmp_path / "state" / "store.db")
    await store.open()
    yield store
    await store.close()


async def test_a_new_store_has_the_tables_of_the_code(store: Store) -> None:
    def differences(connection: Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    assert await store.run(differences) == []
    assert store.revision == max(path.name[:4] for path in VERSIONS.glob("0*.py"))


async def test_the_file_is_durable(store: Store) -> None:
    def pragmas(connection: Connection) -> list[object]:
        return [connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")]

    assert await store.run(pragmas) == ["wal", 2, 1]


async def test_what_was_committed_is_there_after_opening_again(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    for offset in (1, 2):
        store = Store(path)
        await store.open()
        await store.run(put(f"c{offset}", offset))
        await store.close()
        await store.close()
    store = Store(path)
    await store.open()
    assert await store.run(offsets) == [1, 2]
    await store.close()


async def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    def work(connection: Connection) -> None:
        put("a", 1)(connection)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.run(work)
    assert await store.run(offsets) == []


async def test_a_broken_constraint_is_the_callers_fault(store: Store) -> None:
    await store.run(put("a", 1))
    with pytest.raises(IntegrityError):
        await store.run(put("a", 2))
    assert await store.run(offsets) == [1]


async def test_transactions_run_one_after_the_other_in_one_thread(store: Store) -> None:
    threads = await asyncio.gather(*(store.run(lambda _: threading.get_ident()) for _ in range(20)))
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


async def test_an_executor_may_be_shared(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        stores = [Store(tmp_path / f"{n}.db", executor=executor) for n in range(2)]
        for n, store in enumerate(stores):
            await store.open()
            await store.run(put("a", n))
        assert [await store.run(offsets) for store in stores] == [[0], [1]]
        for store in stores:
            await store.close()


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    with pytest.raises(StoreClosed, match="the store is not open"):
        await store.run(offsets)
    await store.open()
    store_closing = asyncio.create_task(store.close())
    await store_closing
    with pytest.raises(StoreClosed):
        await store.run(offsets)


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "state" / "store.db")
    with pytest.raises(StoreUnavailable) as caught:
        await store.open()
    assert str(caught.value) == f"the store {store.path} cannot be used: {tmp_path / 'file' / 'state'}: Not a directory"
    await store.close()


async def test_a_directory_that_cannot_be_written_is_named() -> None:
    store = Store(Path("/proc/self/store.db"))
    with pytest.raises(StoreUnavailable) as caught:
        await store.open()
    assert str(caught.value) == (
        "the store /proc/self/store.db cannot be used: unable to open database file;"
        " is the directory /proc/self writable for this user, and is there room?"
    )
    await store.close()


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 20)
    store = Store(path)
    with pytest.raises(StoreUnavailable, match="file is not a database"):
        await store.open()
    await store.close()


async def test_a_store_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store(path)
    await store.open()
    await store.run(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    await store.close()
    store = Store(path)
    with pytest.raises(StoreTooNew, match="was written by a newer release \\(revision 9999\\)"):
        await store.open()
    await store.close()


def test_the_newest_revision_is_the_last_of_alembics() -> None:
    assert newest_revision() == ScriptDirectory.from_config(upgrading.migrations()).get_current_head()


async def test_a_store_that_is_up_to_date_has_no_use_for_alembic(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store(path)
    await store.open()
    await store.close()
    program = (
        "import asyncio, pathlib, sys; from hxp_enterprise_llm.store.database import Store;"
        f"asyncio.run(Store(pathlib.Path({str(path)!r})).open()); sys.exit('alembic' in sys.modules)"
    )
    started = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await started.wait() == 0


async def test_a_full_disk_is_reported_and_passes(store: Store) -> None:
    await store.run(put("before", 1))
    size = await store.run(lambda connection: connection.scalar(text("PRAGMA page_count")))
    await store.run(lambda connection: connection.execute(text(f"PRAGMA max_page_count = {size}")))

    def much(connection: Connection) -> None:
        for n in range(2000):
            put(f"name-{n:060}", n + 10)(connection)

    with pytest.raises(StoreUnavailable, match="database or disk is full"):
        await store.run(much)
    assert await store.run(offsets) == [1]
    await store.run(lambda connection: connection.execute(text("PRAGMA max_page_count = 1000000")))
    await store.run(much)
    assert len(await store.run(offsets)) == 2001


async def test_a_file_locked_by_another_process_is_reported(store: Store) -> None:
    await store.run(lambda connection: connection.execute(text("PRAGMA busy_timeout = 10")))
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="database is locked"):
        await store.run(put("a", 1))
    other.execute("ROLLBACK")
    other.close()
    await store.run(put("a", 1))


WRITER = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from hxp_enterprise_llm.store.database import Store
    from hxp_enterprise_llm.store.tables import cursor

    async def main():
        store = Store(Path(sys.argv[1]))
        await store.open()
        for n in range(100_000):
            rows = [{"name": f"{n}-{k}", "epoch": "e", "offset": n} for k in "ab"]
            await store.run(lambda c: [c.execute(cursor.insert().values(**row)) for row in rows])
            print(n, file=sys.stderr)

    asyncio.run(main())
""")


async def test_what_was_acknowledged_survives_kill_9_and_transactions_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ
    )
    assert writer.stderr is not None
    acknowledged = -1
    while acknowledged < 40:
        acknowledged = int(await writer.stderr.readline())
    writer.send_signal(signal.SIGKILL)
    rest = (await writer.stderr.read()).decode().splitlines(keepends=True)
    acknowledged = max([acknowledged, *(int(line) for line in rest if line.endswith("\n"))])
    await writer.wait()
    store = Store(path)
    await store.open()
    found = await store.run(offsets)
    assert found == [n for n in range(len(found) // 2) for _ in "ab"]
    assert len(found) // 2 - 1 >= acknowledged
    await store.close()


async def test_a_transaction_that_the_file_did_not_take_is_told(tmp_path):
    """For the metric; a fault of the caller is not the file's."""
    told = []
    store = Store(tmp_path / "state.db", failed=lambda: told.append(1))
    await store.open()
    with pytest.raises(StoreUnavailable):
        await store.run(lambda connection: connection.exec_driver_sql("INSERT INTO nowhere VALUES (1)"))
    assert told == [1]
    await store.close()
