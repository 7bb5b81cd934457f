"""Named side tasks: one that dies is logged by name and ends the process, which systemd starts again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger("tasks")


class TaskDied(Exception):
    """A supervised task ended that should have run on."""

    def __init__(self, name: str, cause: BaseException | None) -> None:
        super().__init__(name, cause)
        self.name, self.cause = name, cause

    def __str__(self) -> str:
        return f"task {self.name} died: {self.cause!r}" if self.cause else f"task {self.name} ended by itself"


class Supervisor:
    """Owns the long-running tasks of a process or a test."""

    def __init__(self, on_death: Callable[[TaskDied], None]) -> None:
        self._on_death = on_death
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = False

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, Any], *, ends: bool = False) -> asyncio.Task[Any]:
        """Run a task under a name. `ends`: it may return by itself; a death by exception is never accepted."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._finished(done, ends))
        return task

    def _finished(self, task: asyncio.Task[Any], ends: bool) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        cause = task.exception()
        if self._stopping or (ends and cause is None):
            return
        death = TaskDied(task.get_name(), cause)
        log.error("task.died", task=death.name, error=repr(cause))
        self._on_death(death)

    @property
    def names(self) -> list[str]:
        """Names of the tasks that run now, sorted."""
        return sorted(task.get_name() for task in self._tasks)

    async def stop(self) -> None:
        """Cancel every task, the youngest first, and wait for them."""
        self._stopping = True
        tasks = sorted(self._tasks, key=lambda task: task.get_name())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
