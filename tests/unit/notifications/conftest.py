"""Fixtures of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from hxp_enterprise_llm.store.database import Store
from tests.unit.notifications.posts import Post
from tests.unit.notifications.servers import Hook
from tests.unit.notifications.support import ManualClock


@pytest.fixture
async def post(tmp_path: Path):
    store = Store(tmp_path / "store.db")
    await store.open()
    yield Post(store, ManualClock())
    await store.close()


@pytest.fixture
async def hook():
    async with Hook().running() as server:
        yield server
