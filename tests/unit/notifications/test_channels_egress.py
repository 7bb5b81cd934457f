"""Channels call nobody whom the policy excludes, follow nobody, and say back nothing that they were told."""

from __future__ import annotations

import pytest
from aiohttp import web

from hxp_enterprise_llm.config.delivery import EmailConfig, SlackConfig
from hxp_enterprise_llm.event.notifications.channels.email import EmailChannel
from hxp_enterprise_llm.event.notifications.channels.model import Dead, Retry
from hxp_enterprise_llm.event.notifications.channels.slack import SlackChannel
from hxp_enterprise_llm.security.egress import Egress
from tests.unit.notifications.servers import MailServer, SlackServer
from tests.unit.notifications.support import delivery
from tests.unit.notifications.test_email import Password

SECRET = "xoxb-canary-4711"


def slack_channel(server: SlackServer, *, by_token: bool, egress: Egress) -> SlackChannel:
    if by_token:
        return SlackChannel(SlackConfig(channel="#ops", api_url=f"{server.url}/api/"), Password(SECRET), None, egress)
    return SlackChannel(SlackConfig(), None, Password(f"{server.url}/services/{SECRET}"), egress)


@pytest.mark.parametrize("by_token", [True, False])
async def test_slack_is_not_called_at_an_excluded_address(by_token: bool) -> None:
    async with SlackServer().running() as server:
        channel = slack_channel(server, by_token=by_token, egress=Egress(deny_private=True))
        with pytest.raises(Retry, match=r"security\.egress\.deny_private"):
            await channel.send(delivery("#ops", "slack"), 5)
        assert server.posts.empty()


@pytest.mark.parametrize("by_token", [True, False])
async def test_slack_sends_us_nowhere_else(by_token: bool) -> None:
    async with SlackServer().running() as server:
        server.answers = [web.Response(status=307, headers={"Location": "/elsewhere"})]
        channel = slack_channel(server, by_token=by_token, egress=Egress())
        with pytest.raises(Retry, match="redirect"):
            await channel.send(delivery("#ops", "slack"), 5)
        assert server.posts.qsize() == 1


@pytest.mark.parametrize("answer", [{"ok": False, "error": f"no {SECRET}"}, {"ok": False, "error": "x" * 95 + SECRET}])
async def test_a_slack_that_says_the_token_back_is_not_quoted(answer: dict[str, object]) -> None:
    async with SlackServer().running() as server:
        server.answers = [web.json_response(answer), web.Response(status=400, text="x" * 95 + SECRET)]
        with pytest.raises((Retry, Dead)) as caught:
            await slack_channel(server, by_token=True, egress=Egress()).send(delivery("#ops", "slack"), 5)
        assert "canary" not in repr(caught.value)
        with pytest.raises(Dead) as caught:
            await slack_channel(server, by_token=False, egress=Egress()).send(delivery("", "slack"), 5)
        assert "xoxb" not in repr(caught.value)


async def test_mail_is_not_sent_to_an_excluded_address() -> None:
    async with MailServer(starttls=False).running() as server:
        config = EmailConfig(host="localhost", port=server.port, tls="none", to=["ops@example.org"])
        with pytest.raises(Retry, match=r"cannot be reached: .*security\.egress\.deny_private"):
            await EmailChannel(config, None, Egress(deny_private=True)).send(delivery("ops@example.org", "email"), 5)
        await EmailChannel(config, None, Egress()).send(delivery("ops@example.org", "email"), 5)
        assert server.received.qsize() == 1
