"""The store: one SQLite file, one connection, one thread, one transaction at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import StaticPool

from hxp_enterprise_llm.runtime.ownership import FileLock, Owned
from hxp_enterprise_llm.store.errors import StoreClosed, StoreError, StoreInUse, StoreUnavailable
from hxp_enterprise_llm.store.migrations import MIGRATIONS

T = TypeVar("T")
log = structlog.get_logger("store")
_BUSY_TIMEOUT_MS = 5000


class Store:
    """Transactions on the file `path`. `executor` must run one call at a time; without one the store has its own."""

    def __init__(
        self,
        path: Path,
        *,
        executor: Executor | None = None,
        failed: Callable[[], None] = lambda: None,
        owned: bool = False,
    ) -> None:
        """`owned`: no other process may open it as its own meanwhile.

        `failed` is told of each transaction that the file did not take, in the store's thread.
        """
        self.path, self._failed = path, failed
        self._executor = executor or ThreadPoolExecutor(1, "store")
        self._owns_executor = executor is None
        self._engine: Engine | None = None
        self._revision = ""
        self._lock = FileLock(lock_of(path)) if owned else None

    async def open(self) -> None:
        """Create or open the file and bring its tables up to date. Raises StoreUnavailable, StoreInUse, StoreTooNew."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._open)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in one transaction in the store's thread: committed when it returns, undone when it raises.

        A caller that is cancelled meanwhile does not undo it. Raises StoreUnavailable, StoreClosed.
        """
        if self._engine is None:
            raise StoreClosed
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._transaction, work)

    async def close(self) -> None:
        """Let go of the file. Idempotent."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._let_go, engine)
        if self._owns_executor:
            self._executor.shutdown(wait=False)

    @property
    def revision(self) -> str:
        """Revision of the tables, once open."""
        return self._revision

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        if self._engine is None:
            raise StoreClosed
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except IntegrityError:
            raise  # a fault of the caller, not of the file
        except DBAPIError as error:
            self._failed()
            raise StoreUnavailable(self.path, str(error.orig)) from error

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._lock is not None:
                self._lock.acquire()
            _close_to_others(self.path)
        except Owned as owned:
            raise StoreInUse(self.path, owned.owner) from None
        except OSError as error:
            self._release()
            raise StoreUnavailable(self.path, f"{error.filename}: {error.strerror}") from error
        engine = _engine(self.path)
        try:
            self._revision = _migrate(engine, self.path)
        except DBAPIError as error:
            self._let_go(engine)
            raise StoreUnavailable(self.path, _reason(self.path, error)) from error
        except StoreError:
            self._let_go(engine)
            raise
        self._engine = engine
        log.info("store.opened", path=str(self.path), revision=self._revision)

    def _let_go(self, engine: Engine) -> None:
        engine.dispose()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()


def lock_of(path: Path) -> Path:
    """Of whom a store is: the file beside it that names the process."""
    return path.with_suffix(".lock")


def _close_to_others(path: Path) -> None:
    # SQLite gives its further files the mode of this one.
    with suppress(OSError):  # SQLite itself says more clearly why the file cannot be used
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    with suppress(OSError):
        path.chmod(path.stat().st_mode & 0o700)


def _reason(path: Path, error: DBAPIError) -> str:
    text = str(error.orig)
    if "unable to open" in text or "readonly" in text:
        return f"{text}; is the directory {path.parent} writable for this user, and is there room?"
    return text


def _engine(path: Path) -> Engine:
    # The pool holds the one connection, which is used by the executor's thread whatever thread made it.
    engine = create_engine(
        f"sqlite:///{path}", poolclass=StaticPool, connect_args={"check_same_thread": False, "isolation_level": None}
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: object) -> None:
    for pragma in (
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # The driver's own BEGIN comes late and is not IMMEDIATE: two writers could deadlock, migrations would not be whole.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def newest_revision() -> str:
    """The revision of the tables that this release makes: the number of its last migration."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _migrate(engine: Engine, path: Path) -> str:
    newest, revision = newest_revision(), _revision(engine)
    if revision != newest:
        # Only now: to import alembic takes a fifth of a second, which most starts have no use for.
        from hxp_enterprise_llm.store.upgrading import upgrade

        upgrade(engine, path, revision)
    return newest


def _revision(engine: Engine) -> str:
    """Of the tables as they are; empty when there are none."""
    with engine.begin() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return ""
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() or ""
