"""What the service writes is for its own user alone, whatever the umask is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import msgspec
import pytest

from hxp_enterprise_llm.orchestration.streaming_orchestrator import Settings
from tests.integration.daemon import Daemon, embedded_settings, running, url


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(directory: Path) -> dict[str, str]:
    """Every path below a directory, and itself, that others than its user may use, with its mode."""
    modes = {}
    for path in (directory, *directory.rglob("*")):
        with suppress(FileNotFoundError):  # some are there for a moment, until they have their name
            modes[str(path.relative_to(directory))] = stat.S_IMODE(path.lstat().st_mode)
    return {path: f"{mode:04o}" for path, mode in modes.items() if mode & 0o077}


async def publish(base: str, session: aiohttp.ClientSession) -> None:
    async with session.post(f"{base}/events", json=[{"type": "demo.hello", "data": {"n": n}} for n in range(50)]) as ok:
        assert ok.status == 202


async def test_files_of_log_and_store_are_private_under_any_umask(tmp_path: Path, no_umask: None) -> None:
    settings = embedded_settings(tmp_path)
    streaming = settings.streaming
    workers = msgspec.structs.replace(streaming, service=msgspec.structs.replace(streaming.service, workers=2))
    async with running(Settings(settings.processing, workers)) as program, aiohttp.ClientSession() as session:
        await publish(url(program, "processing"), session)
        message = {"message": "hello", "channel": "websocket"}
        async with session.post(url(program, "streaming") + "/notifications/send", json=message) as answer:
            assert answer.status == 202
        directories = [tmp_path / "processing", tmp_path / "streaming"]
        found = [path for directory in directories for path in directory.rglob("*")]
        assert {"state.db", "state.db-wal", "first.sock"} <= {path.name for path in found}
        assert {path: open_to_others(path) for path in directories} == {path: {} for path in directories}
    assert {path: open_to_others(path) for path in directories} == {path: {} for path in directories}


async def test_a_store_that_others_could_read_is_closed_to_them(tmp_path: Path, no_umask: None) -> None:
    async with running(embedded_settings(tmp_path)):
        pass
    store = tmp_path / "streaming" / "state.db"
    store.chmod(0o644)
    async with running(embedded_settings(tmp_path)):
        assert stat.S_IMODE(store.stat().st_mode) == 0o600


async def test_the_daemon_writes_nothing_for_others(tmp_path: Path, no_umask: None) -> None:
    data = tmp_path / "data"
    async with Daemon(data) as daemon, aiohttp.ClientSession() as session:
        await publish(daemon.events, session)
        assert open_to_others(data) == {}
        assert await daemon.end() == 0
    assert open_to_others(data) == {}
