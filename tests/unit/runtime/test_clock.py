"""The machine's clock keeps the promises of the protocol."""

from __future__ import annotations

import time

from hxp_enterprise_llm.runtime.clock import SystemClock


def test_wall_and_monotonic_time_go_on():
    """Wall time is that of the machine; monotonic time does not go back."""
    clock = SystemClock()
    before, wall = clock.monotonic(), clock.time()
    assert clock.monotonic() >= before
    assert abs(wall - time.time()) < 60


def test_ids_are_not_repeated():
    """A thousand ids are a thousand different texts."""
    clock = SystemClock()
    assert len({clock.new_id() for _ in range(1000)}) == 1000
