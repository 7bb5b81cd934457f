"""One process delivers at a time; one that was paused and comes back neither takes nor settles anything."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest

from hxp_enterprise_llm.event.notifications import records
from hxp_enterprise_llm.event.notifications.delivery import lease, rows
from hxp_enterprise_llm.event.notifications.delivery.dispatcher import Dispatcher
from hxp_enterprise_llm.event.notifications.instant import Instant, SteadyClock
from hxp_enterprise_llm.event.notifications.outbox import Verdict
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.store.database import Store
from tests.unit.notifications.posts import SETTINGS, Post
from tests.unit.notifications.support import NOW, RecordingChannel, metrics, notification, until

ROOT = Path(__file__).parents[4]


async def ask(post: Post, node: str, run: str, *, starts: bool = False, at: float = 0.0) -> tuple[int | None, str]:
    work = partial(lease.acquire, node=node, run=run, now=NOW + at, starts=starts)
    answer = await post.store.run(work)
    return answer.token, answer.holder


async def test_a_lease_is_held_by_one_and_its_number_grows(post: Post) -> None:
    assert await ask(post, "a", "1", starts=True) == (1, "a/1")
    assert await ask(post, "b", "1", starts=True) == (None, "a/1")
    assert await ask(post, "a", "2") == (None, "a/1")
    assert await ask(post, "a", "2", starts=True) == (2, "a/2")
    assert await ask(post, "b", "1", at=14.9) == (None, "a/2")
    assert await ask(post, "b", "1", at=15) == (3, "b/1")
    assert await ask(post, "a", "2", at=1000 - 15) == (4, "a/2")


async def test_a_clock_that_was_set_back_does_not_keep_a_lease_for_ever(post: Post) -> None:
    await ask(post, "a", "1", at=10_000)
    answer = await post.store.run(partial(lease.acquire, node="b", run="1", now=NOW, starts=True))
    assert (answer.token, answer.wait) == (None, lease.SECONDS)


async def test_who_has_lost_the_lease_can_neither_take_nor_settle(post: Post) -> None:
    first, _ = await ask(post, "a", "1")
    await post.queue()
    take = partial(rows.claim, wanted=rows.Wanted("slack", first or 0), now=Instant(NOW, NOW))
    delivery = (await post.store.run(take)).delivery
    assert delivery is not None
    second, _ = await ask(post, "b", "1", at=15)
    assert await post.store.run(partial(rows.recover, now=NOW + 15, fence=second or 0)) == 1
    done = partial(rows.settle, delivery=delivery, verdict=Verdict("sent", NOW), now=NOW)
    assert await post.store.run(partial(done, fence=first or 0)) is False
    assert [row[1] for row in await post.rows()] == ["retry"]
    with pytest.raises(lease.LeaseLost, match="b/1 delivers now"):
        await post.store.run(take)


async def test_the_next_one_delivers_what_the_last_one_had_in_flight(post: Post) -> None:
    """Two dispatchers on one store: the new one takes over, and the first delivers nothing any more."""
    hanging, working = RecordingChannel(), RecordingChannel()
    hanging.hold = asyncio.Event()
    other = Post(post.store, post.clock)
    async with post.running(hanging):
        await post.queue(id="a", episode="a")
        await hanging.attempts.get()
        async with other.running(working):
            assert (await working.accepted.get()).attempts == 2
            await post.states("sent")
            hanging.hold.set()
            await until(lambda: _true(lambda: post.dispatcher.store_fault))
            assert post.dispatcher.store_fault == f"another process delivers: localhost/{other.dispatcher._run}"
            await post.queue(id="b", episode="b")
            other.dispatcher.wake(["slack"])
            await working.accepted.get()
            await post.states("sent", "sent")
    assert hanging.attempts.empty()


async def test_another_host_waits_for_the_lease(post: Post) -> None:
    other = Post(post.store, post.clock, node="other")
    slack = RecordingChannel()
    async with post.running(RecordingChannel()):
        await until(lambda: _true(lambda: post.dispatcher.office.token))
        async with other.running(slack):
            await until(lambda: _true(lambda: other.dispatcher.store_fault))
            assert other.dispatcher.office.token == 0
    # An orderly end gives it back.
    await post.queue()
    async with other.running(slack):
        await slack.accepted.get()


async def _true(condition) -> bool:
    return bool(condition())


PAUSED = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.unit.notifications.delivery.test_lease import deliver_until_killed
asyncio.run(deliver_until_killed(Path(sys.argv[1])))
"""


async def deliver_until_killed(path: Path) -> None:
    """The child's part: it says what it takes and what it has delivered, and hangs in between until a line comes."""
    lease.RENEW_SECONDS = 3600.0  # were it stopped while it renews, it would keep the lock of the store
    store = Store(path)
    await store.open()
    clock = SystemClock()
    dispatcher = Dispatcher(
        store, clock=clock, steady=SteadyClock(clock), metrics=metrics(), random=lambda: 0.5, node="child"
    )
    channel = RecordingChannel()
    channel.hold = asyncio.Event()
    dispatcher.use([channel], SETTINGS._replace(timeout=60))
    loop = asyncio.get_running_loop()
    loop.add_reader(0, lambda: (os.read(0, 100), channel.hold.set()))
    running = asyncio.create_task(dispatcher.run())
    await channel.attempts.get()
    for _ in range(50):  # whatever the other workers have asked of the store is done: nothing holds its lock
        await store.run(lambda _: None)
    os.write(1, b"taken\n")
    await channel.accepted.get()
    while not dispatcher.store_fault:
        await asyncio.sleep(0.01)
    os.write(1, dispatcher.store_fault.encode() + b"\n")
    await running


async def test_a_process_that_was_stopped_and_goes_on_settles_nothing(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "store.db"
    store, channel = Store(path), RecordingChannel()
    await store.open()
    now = SteadyClock(SystemClock()).now()
    await store.run(partial(records.enqueue, notification=notification(), to=[("slack", "")], now=now))
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(PAUSED).format(root=str(ROOT)),
        str(path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        assert await _line(child.stdout, b"taken")
        child.send_signal(signal.SIGSTOP)
        # Long enough for the lease to run out, seen from here.
        monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
        clock = SystemClock()
        monkeypatch.setattr(clock, "time", lambda: SystemClock().time() + lease.SECONDS, raising=False)
        dispatcher = Dispatcher(
            store, clock=clock, steady=SteadyClock(clock), metrics=metrics(), random=lambda: 0.5, node="other"
        )
        dispatcher.use([channel], SETTINGS)
        running = asyncio.create_task(dispatcher.run())
        async with asyncio.timeout(60):
            assert (await channel.accepted.get()).attempts == 2
        child.send_signal(signal.SIGCONT)
        child.stdin.write(b"go on\n")
        assert await _line(child.stdout, b"another process delivers: other/")
        running.cancel()
        await asyncio.wait({running})
    finally:
        child.kill()
        await child.wait()
    await store.close()


async def _line(stream: asyncio.StreamReader, beginning: bytes) -> bool:
    """Whether a line that begins so comes; log lines of the child stand between."""
    async with asyncio.timeout(30):
        while line := await stream.readline():
            if line.startswith(beginning):
                return True
    return False
