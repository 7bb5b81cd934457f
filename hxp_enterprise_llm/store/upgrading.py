"""Tables brought up to date, by alembic: what was is kept first. Imported only when there is something to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine

from hxp_enterprise_llm.store.errors import StoreTooNew, StoreUnavailable
from hxp_enterprise_llm.store.keeping import keep_copy
from hxp_enterprise_llm.store.migrations import MIGRATIONS

log = structlog.get_logger("store")


def migrations() -> Config:
    """Where alembic finds the migrations."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def upgrade(engine: Engine, path: Path, revision: str) -> None:
    """Bring the tables of the store at `path` from their revision, empty for none, to the newest, all or nothing.

    Raises StoreTooNew, StoreUnavailable.
    """
    config = migrations()
    _keep_what_was(path, revision, ScriptDirectory.from_config(config))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StoreTooNew(path, str(error).rpartition(" ")[2].strip("'\"")) from error


def _keep_what_was(path: Path, revision: str, scripts: ScriptDirectory) -> None:
    """Before a store of an earlier release is changed, a copy of it is kept for the way back."""
    if revision not in {script.revision for script in scripts.walk_revisions()}:
        return
    try:
        kept = keep_copy(path, revision)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(path, f"no copy of it could be made before the upgrade: {error}") from error
    log.info("store.kept", path=str(kept), revision=revision)
