"""The alertmanager channel: what is posted, what is told again and for how long."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from aiohttp import web

from hxp_enterprise_llm.event.notifications.channels.alertmanager import AlertmanagerChannel
from hxp_enterprise_llm.event.notifications.channels.model import Dead, Retry
from hxp_enterprise_llm.event.notifications.delivery import rows
from hxp_enterprise_llm.security.egress import Egress
from tests.unit.notifications.posts import Post
from tests.unit.notifications.servers import Hook
from tests.unit.notifications.support import NOW, delivery, until
from tests.unit.notifications.test_email import Password
from tests.unit.notifications.test_webhook import alert


def channel(url: str, clock: list[float] | None = None, **more: Any) -> AlertmanagerChannel:
    at = clock or [NOW]
    return AlertmanagerChannel([url], time=lambda: at[0], egress=Egress(), **more)


async def posted(server: Hook) -> list[dict[str, Any]]:
    return msgspec.json.decode((await server.seen.get())[1])


async def test_an_alert_is_posted_with_the_time_at_which_it_ends_unheard(hook: Hook) -> None:
    sender = channel(hook.url, username="u", password=Password("p"))
    told = alert(1, labels={"alertname": "e", "1-x": "y"})
    kept = await sender.send(delivery(hook.url, "alertmanager", alerts=(told,)), 5)
    headers, body = await hook.seen.get()
    assert headers["Authorization"] == "Basic dTpw"
    assert msgspec.json.decode(body) == [
        {
            "labels": {"alertname": "e", "_1_x": "y"},
            "annotations": {"summary": "too many"},
            "startsAt": "2027-01-15T07:59:00.000Z",
            "endsAt": "2027-01-15T08:04:00.000Z",
        }
    ]
    assert [each["episode"] for each in kept["alerts"]] == ["e1"]


async def test_what_fires_is_told_again_and_an_end_for_fifteen_minutes(hook: Hook) -> None:
    clock = [NOW]
    sender = channel(hook.url, clock)
    kept = await sender.send(delivery(hook.url, "alertmanager", alerts=(alert(1), alert(2))), 5)
    await hook.seen.get()
    clock[0] += 60
    await sender.resend(hook.url, [kept], 5)
    assert [each["endsAt"] for each in await posted(hook)] == ["2027-01-15T08:05:00.000Z"] * 2
    ended = alert(1, "resolved", ends_at=NOW + 60)
    after = await sender.send(delivery(hook.url, "alertmanager", alerts=(ended,))._replace(kept=kept), 5)
    assert [each["endsAt"] for each in await posted(hook)] == ["2027-01-15T08:01:00.000Z"]
    # What was read from the store before the end was told does not open it again.
    await sender.resend(hook.url, [kept], 5)
    assert [each["endsAt"] for each in await posted(hook)] == ["2027-01-15T08:01:00.000Z", "2027-01-15T08:05:00.000Z"]
    clock[0] += 900
    await sender.resend(hook.url, [after], 5)
    assert [each["labels"]["agent"] for each in await posted(hook)] == ["a2"]
    assert not sender.over(after)
    assert sender.over({"alerts": [each for each in after["alerts"] if each["status"] == "resolved"]})


async def test_an_alert_that_fires_again_is_not_ended_by_its_earlier_end(hook: Hook) -> None:
    earlier = alert(1, "resolved", ends_at=NOW - 10)
    later = alert(1, starts_at=NOW - 5, episode="e1-later")
    sender = channel(hook.url)
    kept = [await sender.send(delivery(hook.url, "alertmanager", alerts=(each,)), 5) for each in (earlier, later)]
    for _ in range(2):
        await hook.seen.get()
    await sender.resend(hook.url, kept, 5)
    (only,) = await posted(hook)
    assert only["startsAt"] == "2027-01-15T07:59:55.000Z"


async def test_messages_and_drills_are_told_once(hook: Hook) -> None:
    sender = channel(hook.url)
    for told in (delivery(hook.url, kind="message", rule=""), delivery(hook.url, test=True, alerts=(alert(1),))):
        kept = await sender.send(told, 5)
        assert kept == {"alerts": []}
        assert sender.over(kept)
    await sender.resend(hook.url, [kept], 5)
    assert hook.seen.qsize() == 2


async def test_a_refusal_says_which_one(hook: Hook) -> None:
    hook.answers = [web.Response(status=400, text="bad"), web.Response(status=503)]
    sender = channel(hook.url)
    with pytest.raises(Dead, match=f"Alertmanager {hook.url} says HTTP 400 bad"):
        await sender.send(delivery(hook.url), 5)
    with pytest.raises(Retry):
        await sender.send(delivery(hook.url), 5)
    with pytest.raises(Dead, match="configured no longer"):
        await sender.send(delivery("http://old"), 5)


def test_a_channel_that_is_not_set_up_says_what_is_missing() -> None:
    nobody = AlertmanagerChannel([], time=lambda: NOW, egress=Egress())
    assert nobody.readiness == (False, "no Alertmanager is named: set real_time_notifications.alertmanager.urls")
    unlocked = channel("http://a", username="u").readiness
    assert unlocked == (
        False,
        "no password for u: set real_time_notifications.alertmanager.password_file"
        " or the credential alertmanager-password",
    )


async def test_a_new_run_goes_on_telling_and_forgets_what_is_over(hook: Hook, post: Post) -> None:
    """At its start it tells what the store has; what has ended long ago is dropped there."""
    clock = [NOW]
    first = channel(hook.url, clock)
    async with post.running(first):
        await post.queue("firing", channel="alertmanager", target=hook.url, alerts=(alert(1),))
        assert len(await posted(hook)) == 1
        await post.states("sent")
    clock[0] += 60
    second = channel(hook.url, clock)
    async with post.running(second):
        (again,) = await posted(hook)
        assert again["endsAt"] == "2027-01-15T08:05:00.000Z"
        await post.queue("resolved", channel="alertmanager", target=hook.url, alerts=(alert(1, "resolved"),))
        (end,) = await posted(hook)
        assert end["endsAt"] == "2027-01-15T08:00:00.000Z"
        await post.states("sent", "sent")
    clock[0] += 900
    async with post.running(channel(hook.url, clock)):

        async def forgotten() -> bool:
            return await post.store.run(lambda connection: rows.all_kept(connection, "alertmanager")) == []

        await until(forgotten)
    assert hook.seen.empty()


async def test_an_end_that_could_not_be_told_is_over(hook: Hook, post: Post) -> None:
    """Alertmanager ends it by itself: it is not told of it again as if it went on firing."""
    hook.answers = [web.Response(), web.Response(status=400)]
    async with post.running(channel(hook.url)):
        for kind, states in (("firing", ["sent"]), ("resolved", ["sent", "dead"])):
            await post.queue(kind, channel="alertmanager", target=hook.url, alerts=(alert(1, kind),))
            await post.states(*states)
    hook.seen = type(hook.seen)()
    async with post.running(channel(hook.url)):

        async def forgotten() -> bool:
            return await post.store.run(lambda connection: rows.all_kept(connection, "alertmanager")) == []

        await until(forgotten)
    assert hook.seen.empty()
