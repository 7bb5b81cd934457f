"""An orderly end: named steps, last in first out, one failing step never hides the others, all of it bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

log = structlog.get_logger("cleanup")


class Closes(Protocol):
    """What is closed without waiting."""

    def close(self) -> None: ...


async def close_all(*what: Closes) -> None:
    """A step that closes all of these."""
    for each in what:
        each.close()


class CleanupStack:
    """Steps to undo, pushed as things are started. `run` is idempotent."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], Awaitable[None]]]] = []

    def push(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        """Remember a step for the end."""
        self._steps.append((name, step))

    async def run(self, within: float) -> list[str]:
        """Run all steps, newest first, within so many seconds; answers the names of those that failed."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        failed = []
        while self._steps:
            name, step = self._steps.pop()
            try:
                async with asyncio.timeout_at(max(end, loop.time() + 0.05)):
                    await step()
            except Exception as error:
                log.error("cleanup.failed", step=name, error=repr(error))
                failed.append(name)
        return failed
