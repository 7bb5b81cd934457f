"""Clean-up: newest first, one failure hides no other, bounded, idempotent."""

from __future__ import annotations

import asyncio

from hxp_enterprise_llm.runtime.cleanup import CleanupStack


class Steps:
    """Records the order in which steps ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.stack = CleanupStack()

    def push(self, name: str) -> None:
        async def step() -> None:
            self.ran.append(name)

        self.stack.push(name, step)


async def test_newest_first_and_only_once():
    """What was started last ends first; a second run has nothing to do."""
    steps = Steps()
    for name in ("log", "hub", "listener"):
        steps.push(name)
    assert await steps.stack.run(1) == []
    assert await steps.stack.run(1) == []
    assert steps.ran == ["listener", "hub", "log"]


async def test_a_failing_step_is_named_and_hides_no_other():
    """The others run; the answer names the one that failed."""
    steps = Steps()
    steps.push("log")

    async def fails() -> None:
        raise OSError("gone")

    steps.stack.push("hub", fails)
    steps.push("listener")
    assert await steps.stack.run(1) == ["hub"]
    assert steps.ran == ["listener", "log"]


async def test_a_hanging_step_is_cut_off_and_the_next_still_has_its_turn():
    """The bound holds for all together; each step gets at least a moment."""
    steps = Steps()
    steps.push("log")
    steps.stack.push("hub", asyncio.Event().wait)
    assert await steps.stack.run(0.01) == ["hub"]
    assert steps.ran == ["log"]
