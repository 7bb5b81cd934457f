"""The daemon killed between a condition and those who are told of it: a sample of `tests.torture notifications`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.faults.tellings import World, tellings, total
from tests.integration.daemon import Daemon

SEED = 5


@pytest.mark.timeout(400)
async def test_whoever_is_to_be_told_is_told_once_though_the_daemon_is_killed(tmp_path: Path) -> None:
    said: list[str] = []
    found = total(await tellings(tmp_path, 12, SEED, Daemon, said.append))
    assert found.faults == []
    assert found.kills == 12
    assert found.episodes >= 4


async def test_a_daemon_that_forgets_what_was_in_flight_is_found_out(tmp_path: Path) -> None:
    """The verdict can say no."""
    forgetful = partial(Daemon, environ={"CITADEL_PLANT": "1"})
    verdict = await World(tmp_path / "world", SEED, forgetful).live(["it is handed to the channel"])
    assert any(fault.endswith("was told to nobody") for fault in verdict.faults), verdict
