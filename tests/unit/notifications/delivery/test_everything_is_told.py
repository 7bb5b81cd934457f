"""Whatever channels, limits and recipients do: every notification is told once, in order, or given up by name."""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.notifications.channels.model import Dead, Readiness, Retry
from hxp_enterprise_llm.event.notifications.delivery.limits import Rate
from hxp_enterprise_llm.event.notifications.model import Delivery
from hxp_enterprise_llm.store.database import Store
from tests.unit.notifications.posts import SETTINGS, Post
from tests.unit.notifications.support import ManualClock

TARGETS = ("#a", "#b")
FAULTS = st.sampled_from(["ok", "ok", "ok", "busy", "slow down", "no token", "refused"])
ROUNDS = 500
"""Of ten seconds each: longer than anything is retried."""
STEP = st.tuples(
    st.integers(0, 3),  # the thread
    st.sampled_from(["firing", "resolved", "message"]),
    st.sampled_from(TARGETS),
    st.integers(0, 40),  # seconds that pass before it
)


class Moody:
    """A channel that fails as it is told to, and remembers what it took."""

    name = "slack"
    targets = TARGETS
    readiness = Readiness(True)

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        self.took: list[Delivery] = []

    def reaches(self, target: str) -> Readiness:
        return self.readiness

    async def send(self, delivery: Delivery, timeout: float) -> None:
        await asyncio.sleep(0)
        fault = self.faults.pop() if self.faults else "ok"
        if fault == "busy":
            raise Retry(fault)
        if fault in ("slow down", "no token"):
            raise Retry(fault, after=45, scope="target" if fault == "slow down" else "channel")
        if fault == "refused":
            raise Dead(fault)
        self.took.append(delivery)


async def deliver_all(steps: list[tuple[int, str, str, int]], faults: list[str], path: Path) -> tuple[Moody, list]:
    """Queue the steps over time, then let time pass until nothing waits."""
    store, channel = Store(path), Moody(list(faults))
    await store.open()
    post = Post(store, ManualClock())
    async with post.running(channel, settings=SETTINGS._replace(rates={"slack": Rate(6, 2)})):
        for number, (thread, kind, target, seconds) in enumerate(steps):
            post.clock.advance(seconds)
            await post.queue(kind, target=target, id=f"n{number}", episode=f"e{thread}", thread=f"t{thread}")
        for _ in range(ROUNDS):  # of time that the test makes pass: how long they take is no matter
            if all(row[0] in ("sent", "dead") for row in await post.facts("state")):
                break
            post.clock.advance(10)
            post.dispatcher.wake(["slack"])
            for _ in range(4):
                await post.store.run(lambda _: None)
        else:
            raise AssertionError(f"something still waits: {await post.rows()}")
    rows = await post.facts("id", "kind", "state", "target", "thread", "merged_into", "payload")
    await store.close()
    return channel, rows


@pytest.mark.timeout(300)
@settings(deadline=None, max_examples=30)
@given(st.lists(STEP, min_size=1, max_size=14), st.lists(FAULTS, max_size=12))
def test_every_notification_is_told_once_and_in_order(steps, faults) -> None:
    with tempfile.TemporaryDirectory() as directory:
        channel, rows = asyncio.run(deliver_all(steps, faults, Path(directory) / "store.db"))
    taken = [delivery.id for delivery in channel.took]
    by_id = {row[0]: row for row in rows}
    assert len(taken) == len(set(taken)), "something was told twice"
    last: defaultdict[tuple[str, str], int] = defaultdict(int)
    for id, _, state, target, _, merged_into, _ in rows:
        if merged_into is None:
            assert (id in taken) is (state == "sent")
        else:
            # It was told by another one, to the same recipient, and shares its fate.
            assert id not in taken
            assert (by_id[merged_into][2], by_id[merged_into][3]) == (state, target)
            assert by_id[merged_into][5] is None
    for id in taken:
        told = [id, *(row[0] for row in rows if row[5] == id)]
        for row in (by_id[each] for each in sorted(told)):
            assert row[0] >= last[row[3], row[4]] or row[1] == "digest", "a thread was told out of order"
            last[row[3], row[4]] = max(last[row[3], row[4]], row[0])
