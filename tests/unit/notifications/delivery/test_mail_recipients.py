"""One recipient for whom the mail server hangs, or says no, delays and harms no other."""

from __future__ import annotations

import pytest

from hxp_enterprise_llm.config.delivery import EmailConfig
from hxp_enterprise_llm.event.notifications.channels.email import EmailChannel
from tests.unit.notifications.posts import SETTINGS, Post
from tests.unit.notifications.servers import MailServer
from tests.unit.notifications.support import until

EVERYBODY = ("slow@example.org", "gone@example.org", "busy@example.org", "ops@example.org")


async def test_each_recipient_has_a_fate_of_his_own(post: Post) -> None:
    async with MailServer(starttls=False).running() as server:
        server.hangs_for = "slow@example.org"
        server.refused_recipients = {"gone@example.org": "550 no such user", "busy@example.org": "451 try later"}
        config = EmailConfig(host="127.0.0.1", port=server.port, tls="none", to=list(EVERYBODY))
        async with post.running(EmailChannel(config), settings=SETTINGS._replace(timeout=1.0)):
            for target in EVERYBODY:
                await post.queue(channel="email", target=target)
            # The others are through while the first one still hangs.
            await post.states("in_flight", "dead", "retry", "sent")
            envelope, mail = server.received.get_nowait()
            assert (envelope.rcpt_tos, mail["To"]) == (["ops@example.org"], "ops@example.org")
            await post.states("retry", "dead", "retry", "sent")
            server.hangs_for = ""
            server.refused_recipients.clear()
            post.clock.advance(15)
            post.dispatcher.wake(["email"])
            await post.states("sent", "dead", "sent", "sent")
        assert {mail["To"] for _, mail in (server.received.get_nowait() for _ in range(2))} == {
            "slow@example.org",
            "busy@example.org",
        }
    failures = post.metrics.deliveries.failures
    assert [failures.labels("email", name)._value.get() for name in ("timeout", "clientError", "serverError")] == [
        1,
        1,
        1,
    ]


@pytest.mark.parametrize("drops", [1, 2])
async def test_a_server_that_is_gone_before_it_says_that_it_has_the_mail(post: Post, drops: int) -> None:
    """Nobody can know whether it has: the mail comes again, as the same one, and no more often than it was dropped."""
    async with MailServer(starttls=False).running() as server:
        server.drops = drops
        config = EmailConfig(host="127.0.0.1", port=server.port, tls="none", to=["ops@example.org"])
        async with post.running(EmailChannel(config)):
            await post.queue("firing", channel="email", target="ops@example.org")
            for attempt in range(1, drops + 1):

                async def failed(attempt: int = attempt) -> bool:
                    ((_, state, attempts, error),) = await post.rows()
                    return (state, attempts) == ("retry", attempt) and "broke off" in error

                await until(failed)
                post.clock.advance(30)
                post.dispatcher.wake(["email"])
            await post.states("sent")
        mails = [server.received.get_nowait()[1] for _ in range(drops + 1)]
        assert server.received.empty()
    assert len({mail["Message-ID"] for mail in mails}) == 1
