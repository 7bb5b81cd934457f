"""slowhttptest in four modes at once: heads, bodies, ranges, slow reading. `make torture` has 1,000 of each."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.slowhttp import slow_http
from tests.attacks.victim import victim

MOST_BYTES = 300 * 1024 * 1024
CONNECTIONS, SECONDS = 100, 6


async def test_slow_clients_do_not_hinder_a_good_one(tmp_path: Path) -> None:
    """A new client is answered throughout, the stream loses nothing, and no connection is left over."""
    async with victim(tmp_path) as daemon:
        found = await slow_http(daemon, "HBRX", CONNECTIONS, SECONDS)
    assert found["answers"] >= 10, found
    assert found["refused"] == 0, found
    assert found["most_bytes"] < MOST_BYTES, found
    assert found["descriptors_left"] <= 2, found
