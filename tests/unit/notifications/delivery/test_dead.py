"""What was given up is listed with its reason and can be sent again."""

from __future__ import annotations

from hxp_enterprise_llm.event.notifications.channels.model import Dead, Retry
from tests.unit.notifications.delivery.test_lanes import LIMITED
from tests.unit.notifications.posts import Post
from tests.unit.notifications.support import NOW, RecordingChannel


async def test_dead_letters_are_listed_and_replayed(post: Post) -> None:
    slack = RecordingChannel()
    slack.failures = [Dead("is_archived"), Dead("no_text", failure="serverError")]
    async with post.running(slack):
        await post.queue("firing", id="a", episode="a")
        await post.queue("message", id="b", episode="b", title="hello", priority="info")
        await post.states("dead", "dead")
        letters = await post.dispatcher.dead()
        assert [letter._replace(created_at=0, given_up_at=0) for letter in letters] == [
            (2, "slack", "", "message", "info", "hello", "b", 1, 0, 0, "no_text", 1),
            (1, "slack", "", "firing", "critical", "critical_alert", "a", 1, 0, 0, "is_archived", 1),
        ]
        assert letters[0].given_up_at == letters[0].created_at == NOW
        post.clock.advance(86_400)  # longer than a delivery is tried: it counts from the replay
        assert await post.dispatcher.replay([2, 99]) == [2]
        await post.states("dead", "sent")
        assert await post.dispatcher.replay(None) == [1]
        await post.states("sent", "sent")
        assert await post.dispatcher.replay(None) == []
        assert await post.dispatcher.dead() == []
    assert post.metrics.deliveries.dead_letters.labels("slack", "clientError")._value.get() == 1
    assert post.metrics.deliveries.dead_letters.labels("slack", "serverError")._value.get() == 1


async def test_a_joined_message_is_one_dead_letter(post: Post) -> None:
    slack = RecordingChannel()
    slack.failures = [Retry("slow down", after=60, scope="target"), Dead("is_archived")]
    async with post.running(slack, settings=LIMITED):
        for name in ("a", "b", "c"):
            await post.queue("firing", id=name, episode=name)
        await post.states("retry", "queued", "queued")
        post.clock.advance(60)
        post.dispatcher.wake(["slack"])
        await post.states("dead", "dead", "dead", "dead")
        (letter,) = await post.dispatcher.dead()
        assert (letter.id, letter.tells) == (4, 3)
        assert await post.dispatcher.replay([letter.id]) == [4]
        post.clock.advance(60)
        post.dispatcher.wake(["slack"])
        await post.states("sent", "sent", "sent", "sent")


async def test_a_drill_that_fails_is_no_dead_letter(post: Post) -> None:
    slack = RecordingChannel()
    slack.failures = [Retry("busy")]
    async with post.running(slack):
        await post.queue("message", test=True)
        await post.states("dead")
        assert await post.dispatcher.dead() == []
    assert post.metrics.delivery.labels("slack", "dead")._value.get() == 0
    assert post.metrics.delivery.labels("slack", "failed")._value.get() == 1
