"""The outbox is emptied: in order, once, each channel by itself, whatever channels and store do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import update

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.log.model import EventTooLarge, LogClosed, LogFull, LogUnavailable
from hxp_enterprise_llm.event.model import BEGINNING, decode, rfc3339
from hxp_enterprise_llm.event.notifications.channels.factory import channel_factory
from hxp_enterprise_llm.event.notifications.channels.model import Dead, Retry
from hxp_enterprise_llm.event.notifications.channels.stream import StreamChannel
from hxp_enterprise_llm.event.notifications.delivery import office, worker
from hxp_enterprise_llm.event.notifications.delivery.office import DeliverySettings
from hxp_enterprise_llm.store.errors import StoreUnavailable
from hxp_enterprise_llm.store.tables import outbox
from tests.unit.notifications.posts import SETTINGS, Post
from tests.unit.notifications.support import NOW, RecordingChannel, delivery, until


async def test_what_is_queued_is_sent_and_counted(post: Post) -> None:
    slack = RecordingChannel()
    await post.queue(id="a", episode="a")
    async with post.running(slack):
        await post.queue(id="b", episode="b")
        await post.states("sent", "sent")
    assert [slack.accepted.get_nowait().notification.id for _ in range(2)] == ["a", "b"]
    assert post.metrics.delivery.labels("slack", "delivered")._value.get() == 2


async def test_the_same_thing_is_queued_once(post: Post) -> None:
    await post.queue(id="a")
    await post.queue(id="a")
    assert len(await post.rows()) == 1


async def test_a_failed_delivery_waits_and_is_tried_again(post: Post) -> None:
    slack = RecordingChannel()
    slack.failures = [Retry("busy"), Retry("still busy")]
    await post.queue()
    async with post.running(slack):
        await post.states("retry")
        assert (await post.rows())[0][2:] == (1, "busy")
        post.clock.advance(15)
        post.dispatcher.wake(["slack"])
        await until(lambda: _equals(post.rows, [("ep-1", "retry", 2, "still busy")]))
        post.clock.advance(29)
        post.dispatcher.wake(["slack"])
        assert slack.attempts.qsize() == 2
        post.clock.advance(1)
        post.dispatcher.wake(["slack"])
        await post.states("sent")
    assert [slack.attempts.get_nowait().key for _ in range(3)] == ["ep-1.message:slack:"] * 3
    assert post.metrics.delivery.labels("slack", "failed")._value.get() == 2


async def _equals(rows, expected) -> bool:
    return await rows() == expected


@pytest.mark.parametrize("jump", [-86_400, 86_400])
async def test_a_clock_that_is_set_neither_delays_a_delivery_nor_gives_it_up(post: Post, jump: int) -> None:
    slack = RecordingChannel()
    slack.failures = [Retry("busy"), Retry("the rate is limited", after=20)]
    await post.queue()
    async with post.running(slack):
        await post.states("retry")
        post.clock.set_wall(post.clock.time() + jump)
        post.clock.advance(15)
        post.dispatcher.wake(["slack"])
        await until(lambda: _equals(post.rows, [("ep-1", "retry", 2, "the rate is limited")]))
        post.clock.advance(20)
        post.dispatcher.wake(["slack"])
        await post.states("sent")
    assert await post.facts("sent_at") == [(post.clock.time(),)]


async def test_a_refused_delivery_is_dead_and_the_next_one_goes_on(post: Post) -> None:
    slack = RecordingChannel()
    slack.failures = [Dead("no such channel")]
    async with post.running(slack):
        await post.queue(id="a", episode="a")
        await post.queue(id="b", episode="b")
        await post.states("dead", "sent")
    assert (await post.rows())[0][3] == "no such channel"
    assert post.metrics.delivery.labels("slack", "dead")._value.get() == 1


async def test_a_resolve_waits_for_its_alert(post: Post) -> None:
    """Somebody else was told, so both go out, in their order."""
    slack, email = RecordingChannel(), RecordingChannel("email")
    slack.failures = [Retry("busy")]
    async with post.running(slack, email):
        await post.queue("firing", channel="email")
        await email.accepted.get()
        await post.queue("firing")
        await post.states("sent", "retry")
        await post.queue("resolved")
        await post.queue(id="other", episode="other")
        await post.states("sent", "retry", "queued", "sent")
        post.clock.advance(15)
        post.dispatcher.wake(["slack"])
        await post.states("sent", "sent", "sent", "sent")
    assert [slack.accepted.get_nowait().notification.kind for _ in range(3)] == ["message", "firing", "resolved"]


async def test_an_end_takes_the_place_of_what_nobody_was_told(post: Post) -> None:
    """One message says both; the row of the beginning shares its fate."""
    slack = RecordingChannel()
    slack.failures = [Retry("busy")]
    async with post.running(slack):
        await post.queue("firing", channel="log")
        await post.queue("firing")
        await post.states("retry", "retry")
        await post.queue("resolved")
        await post.states("retry", "sent", "sent")
    assert slack.accepted.get_nowait().notification.kind == "resolved"
    assert slack.accepted.empty()


async def test_an_end_waits_for_what_was_said_before_it(post: Post) -> None:
    slack = RecordingChannel()
    slack.failures = [Retry("busy")]
    await post.queue("firing")
    async with post.running(slack):
        await post.states("retry")
        await post.queue("message", id="between", thread="ep-1")
        await post.queue("resolved")
        post.clock.advance(15)
        post.dispatcher.wake(["slack"])
        await post.states("sent", "sent", "sent")
    kinds = [slack.accepted.get_nowait().notification.kind for _ in range(3)]
    assert kinds == ["firing", "message", "resolved"]


async def test_a_slow_channel_delays_no_other(post: Post) -> None:
    slack, email = RecordingChannel("slack"), RecordingChannel("email", targets=("a@x",))
    slack.hold = asyncio.Event()
    async with post.running(slack, email):
        await post.queue(id="a", episode="a")
        await slack.attempts.get()
        for number in range(5):
            await post.queue(id=f"m{number}", episode=f"m{number}", channel="email", target="a@x")
        for _ in range(5):
            await email.accepted.get()
        assert slack.accepted.empty()
        slack.hold.set()
        await slack.accepted.get()


async def test_a_rate_limit_holds_the_whole_channel(post: Post) -> None:
    slack = RecordingChannel()
    slack.failures = [Retry("Slack limits the rate", after=60)]
    async with post.running(slack):
        await post.queue(id="a", episode="a")
        await post.states("retry")
        await post.queue(id="b", episode="b")
        post.clock.advance(30)
        post.dispatcher.wake(["slack"])
        await post.store.run(lambda _: None)
        assert slack.attempts.qsize() == 1
        post.clock.advance(30)
        post.dispatcher.wake(["slack"])
        await post.states("sent", "sent")


async def test_other_channels_after_a_reload_are_tried_at_once(post: Post) -> None:
    broken, repaired = RecordingChannel(), RecordingChannel()
    broken.failures = [Retry("wrong token", after=300)]
    async with post.running(broken):
        await post.queue(id="a", episode="a")
        await post.states("retry")
        await post.queue(id="b", episode="b")
        post.dispatcher.use([repaired], SETTINGS)
        await post.states("sent", "sent")
    assert repaired.accepted.qsize() == 2


async def test_a_delivery_is_woken_by_time_alone(post: Post) -> None:
    slack = RecordingChannel()
    slack.failures = [Retry("busy", after=0.01)]
    post.clock.monotonic = asyncio.get_running_loop().time
    start, loop = post.clock.time(), asyncio.get_running_loop()
    began = loop.time()
    post.clock.time = lambda: start + loop.time() - began
    async with post.running(slack):
        await post.queue()
        await post.states("sent")
    assert slack.attempts.qsize() == 2


async def test_what_hangs_is_cut_off(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_GRACE_SECONDS", 0.0)
    slack = RecordingChannel()
    slack.hold = asyncio.Event()
    async with post.running(slack, settings=DeliverySettings(0.05, 3600)):
        await post.queue()
        await post.states("retry")
    assert (await post.rows())[0][3] == "no answer within 0.05 s"


async def test_a_channel_with_a_fault_of_its_own_stops_nothing(post: Post) -> None:
    slack = RecordingChannel()
    slack.failures = [ZeroDivisionError("secret")]
    async with post.running(slack):
        await post.queue(id="a", episode="a")
        await post.queue(id="b", episode="b")
        await post.states("retry", "sent")
    assert (await post.rows())[0][3] == "the channel failed: ZeroDivisionError"


@pytest.mark.parametrize(
    ("channels", "reason"),
    [([], "channel slack is not configured"), ([RecordingChannel(ready=False)], "not set up")],
)
async def test_a_channel_that_is_not_there_is_waited_for(post: Post, channels: list, reason: str) -> None:
    async with post.running(*channels):
        await post.queue()
        await post.states("retry")
    assert (await post.rows())[0][3] == reason


async def test_what_waited_too_long_is_not_sent_any_more(post: Post) -> None:
    slack, office = RecordingChannel(), post.dispatcher.office

    async def delivers() -> bool:
        return office.token > 0

    async with post.running(slack, settings=SETTINGS._replace(enabled=False)):
        await post.queue()
        await until(delivers)
        post.clock.advance(3601)
        post.dispatcher.use([slack], SETTINGS)
        await post.states("dead")
    assert slack.attempts.empty()
    assert (await post.rows())[0][3] == "given up: it waited longer than 3600 s"


async def test_time_in_which_nobody_delivered_does_not_count(post: Post) -> None:
    """A process that starts cannot tell a day without it from a clock that is a day ahead."""
    slack = RecordingChannel()
    await post.queue()
    post.clock.advance(24 * 3600)
    async with post.running(slack):
        await post.states("sent")


async def test_while_notifications_are_off_nothing_is_sent(post: Post) -> None:
    slack = RecordingChannel()
    async with post.running(slack, settings=SETTINGS._replace(enabled=False)):
        await post.queue()
        await post.store.run(lambda _: None)
        assert slack.attempts.empty()
        post.dispatcher.use([slack], SETTINGS)
        await post.states("sent")


async def test_what_was_in_flight_when_the_process_died_is_sent_again(post: Post) -> None:
    await post.queue()
    await post.store.run(lambda c: c.execute(update(outbox).values(state="in_flight", attempts=1)))
    slack = RecordingChannel()
    async with post.running(slack):
        await post.states("sent")
    assert slack.accepted.get_nowait().attempts == 2


async def test_an_orderly_end_finishes_what_is_under_way(post: Post) -> None:
    slack = RecordingChannel()
    slack.hold = asyncio.Event()
    post.dispatcher.use([slack], SETTINGS)
    task = asyncio.create_task(post.dispatcher.run())
    await post.queue()
    await slack.attempts.get()
    task.cancel()
    await asyncio.sleep(0)
    slack.hold.set()
    await asyncio.wait({task})
    assert [row[1] for row in await post.rows()] == ["sent"]


async def test_an_orderly_end_does_not_wait_for_ever(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_FINISH_SECONDS", 0.01)
    slack = RecordingChannel()
    slack.hold = asyncio.Event()
    async with post.running(slack):
        await post.queue()
        await slack.attempts.get()
    assert [row[1] for row in await post.rows()] == ["in_flight"]


async def test_what_was_sent_is_written_down_as_soon_as_the_store_is_back(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office, "STORE_PAUSE_SECONDS", 0.005)
    slack, run, failures = RecordingChannel(), post.store.run, 3

    faults: set[str] = set()

    async def failing(work):
        nonlocal failures
        faults.add(post.dispatcher.store_fault)
        # Another's work that was under way may still succeed, and then the fault is over for a moment.
        if slack.attempts.qsize() and (failures > 0 or len(faults) < 2):
            failures -= 1
            raise StoreUnavailable(Path("s.db"), "database or disk is full")
        return await run(work)

    await post.queue()
    monkeypatch.setattr(post.store, "run", failing)
    async with post.running(slack):
        await slack.accepted.get()
        monkeypatch.setattr(post, "store", type("Direct", (), {"run": staticmethod(run)}))
        await post.states("sent")

        async def told() -> bool:
            return post.dispatcher.store_fault == ""

        # The row is seen by this test before the worker hears that it was written.
        await until(told)
    assert slack.attempts.qsize() == 1
    assert failures <= 0
    assert faults == {"", "the store s.db cannot be used: database or disk is full"}
    assert post.dispatcher.store_fault == ""


async def test_depth_and_age_are_shown(post: Post) -> None:
    slack = RecordingChannel()
    slack.failures = [Retry("busy")] * 2
    async with post.running(slack):
        await post.queue(id="a", episode="a")
        await post.queue(id="b", episode="b")
        await post.states("retry", "retry")
        post.clock.advance(10)
        await until(lambda: _reached(lambda: post.metrics.outbox.labels("slack")._value.get() == 2))
        assert post.metrics.outbox_oldest.labels("slack")._child_samples()[0].value == 10
        assert post.metrics.outbox_oldest.labels("email")._child_samples()[0].value == 0


async def _reached(condition) -> bool:
    return condition()


async def test_streams_get_one_event_however_many_they_are() -> None:
    log = MemoryLog()
    await log.open()
    for name in ("log", "websocket", "sse"):
        channel = StreamChannel(name, log, time=lambda: NOW)
        assert (channel.name, channel.readiness.ready, channel.targets) == (name, True, ("",))
        await channel.send(delivery("", name), 5)
    (stored,) = (await log.read(BEGINNING)).events
    assert stored.type == "alert.firing"


async def test_a_transport_that_is_off_delivers_nothing() -> None:
    """It says so, and how to switch it on; the log itself is always there."""
    on = {"websocket": True, "sse": False}
    factory = channel_factory(MemoryLog(), lambda file, credential: None, on.__getitem__, time=lambda: 0.0)
    channels = {channel.name: channel.readiness for channel in factory(NotificationsConfig())}
    assert {name for name, readiness in channels.items() if readiness.ready} >= {"log", "websocket"}
    assert channels["sse"] == (False, "sse is switched off: set sse.enabled: true and restart")
    on["sse"] = True
    assert StreamChannel("sse", MemoryLog(), lambda: on["sse"], time=lambda: NOW).readiness.ready


@pytest.mark.parametrize(
    ("error", "kind", "after"),
    [
        (LogUnavailable("down", maybe_stored=True), Retry, 1.0),
        (LogFull("no space"), Retry, 10.0),
        (LogClosed(), Retry, 10.0),
        (EventTooLarge(1, 2, 0), Dead, None),
    ],
)
async def test_a_log_that_does_not_take_it_is_told_apart(error, kind, after) -> None:
    log = MemoryLog()
    await log.open()
    log.fail_next(error)
    with pytest.raises(kind) as caught:
        await StreamChannel("log", log, time=lambda: NOW).send(delivery("", "log"), 5)
    assert getattr(caught.value, "after", None) == after


async def test_an_append_whose_answer_was_lost_leaves_one_event() -> None:
    log = MemoryLog()
    await log.open()
    log.fail_next(LogUnavailable("down", maybe_stored=True), after_store=True)
    channel = StreamChannel("log", log, time=lambda: NOW)
    with pytest.raises(Retry):
        await channel.send(delivery("", "log"), 5)
    await channel.send(delivery("", "log"), 5)
    assert len((await log.read(BEGINNING)).events) == 1


async def test_what_was_made_while_the_clock_was_ahead_bears_the_time_at_which_it_is_told() -> None:
    """The log's door refuses times in the future, and would do so for ever."""
    log = MemoryLog()
    await log.open()
    ahead = delivery("", "log", at=NOW + 86_400)
    await StreamChannel("log", log, time=lambda: NOW + 5).send(ahead, 5)
    await StreamChannel("log", log, time=lambda: NOW + 5).send(delivery("", "log", id="other", at=NOW), 5)
    assert [decode(each.raw).time for each in (await log.read(BEGINNING)).events] == [rfc3339(NOW + 5), rfc3339(NOW)]
