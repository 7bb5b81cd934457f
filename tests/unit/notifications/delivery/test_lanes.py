"""Recipients do not wait for each other; limits hold one recipient, and what queues up behind them is told as one."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.event.notifications.channels.model import Dead, Retry
from hxp_enterprise_llm.event.notifications.delivery.digest import merged
from hxp_enterprise_llm.event.notifications.delivery.limits import Held, Limits, Rate
from hxp_enterprise_llm.event.notifications.model import Alert
from hxp_enterprise_llm.telemetry.notification_metrics import CHANNELS, NotificationMetrics
from tests.unit.notifications.posts import SETTINGS, Post
from tests.unit.notifications.support import NOW, RecordingChannel, notification


class ChoosyChannel(RecordingChannel):
    """Hangs for one recipient."""

    def __init__(self, name: str = "email", *, hangs_for: str) -> None:
        super().__init__(name, targets=(hangs_for, "b@x", "c@x"))
        self.hangs_for, self.let_go = hangs_for, asyncio.Event()

    async def send(self, delivery, timeout: float) -> None:
        if delivery.target == self.hangs_for:
            await self.let_go.wait()
        await super().send(delivery, timeout)


async def test_a_recipient_who_hangs_delays_no_other(post: Post) -> None:
    email = ChoosyChannel(hangs_for="a@x")
    async with post.running(email):
        for number in range(3):
            for target in ("a@x", "b@x", "c@x"):
                await post.queue(id=f"m{number}", episode=f"m{number}", channel="email", target=target)
        reached = [(await email.accepted.get()).target for _ in range(6)]
        assert sorted(reached) == ["b@x"] * 3 + ["c@x"] * 3
        assert email.accepted.empty()
        email.let_go.set()
        assert [(await email.accepted.get()).notification.id for _ in range(3)] == ["m0", "m1", "m2"]


async def test_one_recipient_gets_one_message_at_a_time_and_in_order(post: Post) -> None:
    slack = RecordingChannel()
    slack.hold = asyncio.Event()
    async with post.running(slack):
        for number in range(4):
            await post.queue(id=f"m{number}", episode=f"m{number}")
        await slack.attempts.get()
        await post.store.run(lambda _: None)
        assert slack.attempts.empty()
        slack.hold.set()
        assert [(await slack.accepted.get()).notification.id for _ in range(4)] == ["m0", "m1", "m2", "m3"]


async def test_a_peer_that_limits_one_recipient_does_not_hold_the_others(post: Post) -> None:
    slack = RecordingChannel(targets=("#a", "#b"))
    slack.failures = [Retry("slow down", after=60, scope="target", failure="rateLimited")]
    async with post.running(slack):
        await post.queue(id="m0", episode="m0", target="#a")
        await post.states("retry")
        await post.queue(id="m1", episode="m1", target="#a")
        await post.queue(id="m2", episode="m2", target="#b")
        await post.states("retry", "queued", "sent")
        assert post.dispatcher.waits_for("slack", "#a") == "the rate is limited for another 60 s"
        assert post.dispatcher.waits_for("slack", "#b") == ""
    assert post.metrics.deliveries.failures.labels("slack", "rateLimited")._value.get() == 1


LIMITED = SETTINGS._replace(rates={"slack": Rate(60, 2)})


async def test_what_waits_behind_a_limit_is_told_as_one(post: Post) -> None:
    """Two pass at once; the other four become one message, and each row says so."""
    slack = RecordingChannel()
    async with post.running(slack, settings=LIMITED):
        for number in range(6):
            await post.queue("firing", id=f"m{number}", episode=f"m{number}")
        await post.states("sent", "sent", "queued", "queued", "queued", "queued")
        post.clock.advance(1)
        post.dispatcher.wake(["slack"])
        await post.states(*["sent"] * 7)
    told = [slack.accepted.get_nowait().notification for _ in range(3)]
    assert [each.id for each in told] == ["m0", "m1", "digest:3-6"]
    assert told[2].title == "4 alerts while the channel was limited"
    assert told[2].text.splitlines() == ["[CRITICAL] critical_alert: firing · error_rate is 0.31"] * 4
    assert slack.accepted.empty()
    assert [row[0] for row in await post.facts("merged_into")] == [None, None, 7, 7, 7, 7, None]
    assert post.metrics.deliveries.rate_limited.labels("slack")._value.get() == 1
    assert post.metrics.deliveries.latency.labels("slack")._sum.get() == 1


async def test_what_comes_after_the_limit_is_told_by_itself(post: Post) -> None:
    slack = RecordingChannel()
    async with post.running(slack, settings=LIMITED):
        for number in range(2):
            await post.queue(id=f"m{number}", episode=f"m{number}")
        await post.states("sent", "sent")
        post.clock.advance(100)
        for number in range(2, 4):
            await post.queue(id=f"m{number}", episode=f"m{number}")
        await post.states(*["sent"] * 4)


async def test_a_joined_message_that_fails_takes_its_parts_along(post: Post) -> None:
    """It is tried again as it is, its parts stay in it, and an end waits for it."""
    slack = RecordingChannel()
    slack.failures = [Retry("slow down", after=60, scope="target"), Retry("busy"), Dead("is_archived")]
    async with post.running(slack, settings=LIMITED):
        await post.queue("firing", id="m0", episode="m0")
        await post.states("retry")
        await post.queue("firing", id="m1", episode="m1")
        post.clock.advance(60)
        post.dispatcher.wake(["slack"])
        await post.states("merged", "merged", "retry")
        await post.queue("resolved", id="m2", episode="m1")
        await post.queue("message", id="m3", episode="m3")
        await post.states("merged", "merged", "retry", "queued", "dead")
        post.clock.advance(15)
        post.dispatcher.wake(["slack"])
        await post.states("sent", "sent", "sent", "sent", "dead")
    kinds = [slack.accepted.get_nowait().notification.kind for _ in range(2)]
    assert kinds == ["message", "resolved"]


async def test_what_must_wait_for_its_predecessor_is_not_joined(post: Post) -> None:
    """The second of a thread is due, the first is to be tried again later: the others are told meanwhile."""
    slack = RecordingChannel()
    slack.failures = [Retry("busy")]
    async with post.running(slack, settings=SETTINGS._replace(rates={"slack": Rate(6, 1)})):
        for name, thread in (("first", "t"), ("second", "t"), ("third", "u"), ("fourth", "v")):
            await post.queue("firing", id=name, episode=thread)
        await post.states("retry", "queued", "queued", "queued")
        post.clock.advance(10)
        post.dispatcher.wake(["slack"])
        await post.states("retry", "queued", "sent", "sent", "sent")
        assert slack.accepted.get_nowait().notification.id == "digest:3-4"
        post.clock.advance(10)
        post.dispatcher.wake(["slack"])
        await post.states("sent", "sent", "sent", "sent", "sent", "sent")
        assert slack.accepted.get_nowait().notification.id == "digest:1-2"


def test_a_bucket_fills_with_time() -> None:
    limits = Limits(Rate(60, 3))
    for second in (0, 0, 0):
        assert limits.paused(second) == {}
        limits.take("a", second)
    assert limits.paused(0) == {"a": 1}
    assert limits.paused(0.25) == {"a": 0.75}
    assert limits.ended(1) == {"a": Held(0, 1)}
    limits.take("a", 1)
    assert limits.paused(1) == {"a": 1}
    limits.take("b", 1)
    assert limits.paused(100) == {}


def test_a_pause_of_the_peer_only_grows() -> None:
    limits = Limits()
    limits.take("a", 0)
    limits.pause("a", 1, 30)
    limits.pause("a", 2, 5)
    assert limits.paused(11) == {"a": 20}
    limits.use(None)
    assert limits.paused(11) == {}


def alert(number: int, status: str = "firing") -> Alert:
    return Alert(
        fingerprint=f"{number:016}",
        episode=f"ep-{number}",
        status=status,
        priority="warning",
        labels={"alertname": "a"},
        starts_at=NOW,
    )


def test_a_joined_message_keeps_the_last_state_of_each_alert() -> None:
    parts = [notification(alerts=(alert(1), alert(2))), notification("resolved", alerts=(alert(1, "resolved"),))]
    told = merged([*parts, notification("message", priority="info")], "digest:1-3", NOW)
    assert [(each.episode, each.status) for each in told.alerts] == [("ep-2", "firing"), ("ep-1", "resolved")]
    assert (told.title, told.priority) == ("3 notifications while the channel was limited", "critical")


def test_a_joined_message_does_not_grow_without_end() -> None:
    told = merged([notification(text="x" * 999, alerts=(alert(n),)) for n in range(150)], "d", NOW)
    assert len(told.text) < 21 * 201
    assert told.text.endswith("and 130 more")
    assert (len(told.alerts), told.truncated) == (100, 50)


def test_every_series_is_there_from_the_start() -> None:
    registry = CollectorRegistry()
    NotificationMetrics(registry)
    for channel in CHANNELS:
        for name, labels in (
            ("citadel_notification_outbox_depth", {}),
            ("citadel_notification_outbox_oldest_seconds", {}),
            ("citadel_notification_rate_limited_seconds_total", {}),
            ("citadel_notification_latency_seconds_count", {}),
            ("citadel_notification_dead_letters_total", {"reason": "clientError"}),
            ("citadel_notification_failures_total", {"reason": "rateLimited"}),
            ("notification_delivery_total", {"result": "delivered"}),
        ):
            assert registry.get_sample_value(name, {"channel": channel} | labels) == 0, name
