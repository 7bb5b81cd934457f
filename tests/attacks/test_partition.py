"""A network that stops carrying anything mid-stream; `make torture` waits for the kernel's own deadline too."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.attacks.namespaces import in_own_network
from tests.attacks.partition import CLIENTS, Vanished

MOST_SECONDS = 30.0
"""Beats, and what a busy machine takes; the kernel's own deadline is a quarter of an hour away."""
MOST_GROWTH = 32 * 1024 * 1024


async def test_vanished_clients_leave_their_places(tmp_path: Path) -> None:
    """With a heartbeat each second their places are free soon, memory stays, and who is left gets everything."""
    output = await in_own_network("tests.attacks.partition", str(tmp_path), "1", "websocket")
    found = msgspec.json.decode(output, type=Vanished)
    assert found.opened == CLIENTS
    assert found.left == 0, found
    assert found.seconds < MOST_SECONDS, found
    assert found.after_bytes - found.before_bytes < MOST_GROWTH, found
    assert found.delivered > 0
