"""Slack's limit, from the 429 to the one message that tells what queued up meanwhile."""

from __future__ import annotations

from aiohttp import web

from hxp_enterprise_llm.config.delivery import RateConfig, SlackConfig
from hxp_enterprise_llm.event.notifications.channels.slack import SlackChannel
from hxp_enterprise_llm.event.notifications.delivery.limits import Rate
from hxp_enterprise_llm.event.notifications.delivery.settings import delivery_settings
from tests.unit.notifications.posts import Post
from tests.unit.notifications.servers import SlackServer
from tests.unit.notifications.support import config
from tests.unit.notifications.test_email import Password


def test_rates_come_from_the_configuration() -> None:
    assert delivery_settings(config()).rates == {
        "email": Rate(20, 20),
        "slack": Rate(60, 5),
        "webhook": Rate(600, 100),
    }
    unbounded = config(slack=SlackConfig(rate=RateConfig(per_minute=0)))
    assert "slack" not in delivery_settings(unbounded).rates


async def test_what_queues_up_behind_a_429_is_one_message(post: Post) -> None:
    async with SlackServer().running() as server:
        server.answers = [web.json_response({"ok": False}, status=429, headers={"Retry-After": "30"})]
        channel = SlackChannel(SlackConfig(channel="#ops", api_url=f"{server.url}/api/"), Password("t"))
        async with post.running(channel, settings=delivery_settings(config())):
            for number in range(12):
                await post.queue("firing", target="#ops", id=f"m{number}", episode=f"m{number}")
            await post.states("retry", *["queued"] * 11)
            post.clock.advance(29)
            post.dispatcher.wake(["slack"])
            await post.store.run(lambda _: None)
            assert server.posts.qsize() == 1
            post.clock.advance(1)
            post.dispatcher.wake(["slack"])
            await post.states(*["sent"] * 13)
        assert server.posts.qsize() == 2
        server.posts.get_nowait()
        _, _, body = server.posts.get_nowait()
        assert body["text"].startswith("[CRITICAL] 12 alerts while the channel was limited")
        assert post.metrics.deliveries.rate_limited.labels("slack")._value.get() == 30


async def test_a_thread_is_found_again_after_a_restart(post: Post) -> None:
    """What the channel keeps of it is in the store."""
    async with SlackServer().running() as server:
        for kind in ("firing", "resolved"):
            channel = SlackChannel(SlackConfig(channel="#ops", api_url=f"{server.url}/api/"), Password("t"))
            async with post.running(channel):
                await post.queue(kind, target="#ops", thread="group-1")
                await post.states(*["sent"] * (1 if kind == "firing" else 2))
        paths = [server.posts.get_nowait()[0] for _ in range(3)]
        assert paths == ["/api/chat.postMessage", "/api/chat.update", "/api/chat.postMessage"]


async def test_a_peer_that_wants_a_day_of_peace_is_asked_again_after_an_hour(post: Post) -> None:
    """Else nobody at this channel would hear of anything for a day, and what waits would be given up unsent."""
    async with SlackServer().running() as server:
        server.answers = [web.json_response({"ok": False}, status=429, headers={"Retry-After": "86400"})]
        channel = SlackChannel(SlackConfig(channel="#ops", api_url=f"{server.url}/api/"), Password("t"))
        async with post.running(channel, settings=delivery_settings(config())):
            await post.queue("firing", target="#ops")
            await post.states("retry")
            post.clock.advance(3599)
            post.dispatcher.wake(["slack"])
            await post.store.run(lambda _: None)
            assert server.posts.qsize() == 1
            post.clock.advance(1)
            post.dispatcher.wake(["slack"])
            await post.states("sent")
