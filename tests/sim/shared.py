"""What is the same in all starts of the program is done once: it would take most of the time of a start."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from sqlalchemy import Engine

from hxp_enterprise_llm.event.dashboards import definitions
from hxp_enterprise_llm.event.log.remote.log import RemoteLog
from hxp_enterprise_llm.event.processing import part
from hxp_enterprise_llm.event.sources import ingest
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.event.sources.typed import TypedReader
from hxp_enterprise_llm.event.streaming import service
from hxp_enterprise_llm.store import database
from tests.sim.node import SILENCE_SECONDS

_load_text = functools.cache(definitions.load_text)
_prices = functools.cache(part.shipped)
_schemas = functools.cache(SchemaCatalogue.load)


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """The shipped schemas, dashboards and prices are understood once; a new store is a copy of one that was made.

    No host has schemas of its own. The gateway gives a silent peer up as soon as readers do, for to wait finds nothing.
    """
    fresh, revision = _fresh_store()
    migrate = database._migrate

    def copied(engine: Engine, path: Path) -> str:
        if path.stat().st_size:
            return migrate(engine, path)
        path.write_bytes(fresh)
        return revision

    replaced = [
        (SchemaCatalogue, "load", lambda _=None: _schemas()),
        (ingest, "TypedReader", lambda _: _typed_reader()),
        (definitions, "load_text", _load_text),
        (part, "shipped", _prices),
        (database, "_migrate", copied),
        (service, "RemoteLog", functools.partial(RemoteLog, silence=SILENCE_SECONDS)),
    ]
    with contextlib.ExitStack() as stack:
        for place, name, value in replaced:
            stack.enter_context(patch.object(place, name, value))
        yield


@functools.cache
def _typed_reader() -> TypedReader:
    return TypedReader(_schemas().all)


@functools.cache
def _fresh_store() -> tuple[bytes, str]:
    """The file of a store that was just made, and the revision of its tables."""
    with tempfile.TemporaryDirectory(dir=memory_directory()) as directory:
        path = Path(directory) / "state.db"
        engine = database._engine(path)
        revision = database._migrate(engine, path)
        engine.dispose()
        return path.read_bytes(), revision


def memory_directory() -> str | None:
    """Where files are in memory; None when there is no such place."""
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() else None
