"""Work in stretches: thousands of alerts at once must not keep the streams waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


async def in_turns(stretches: Iterable[None]) -> None:
    """Do it to its end; others run wherever it yields, and when it is done."""
    for _ in stretches:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
