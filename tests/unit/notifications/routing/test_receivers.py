"""Who is behind a receiver, with the channels as they are made from a configuration."""

from __future__ import annotations

from typing import Any

import pytest

from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.notifications.channels.factory import channel_factory
from hxp_enterprise_llm.event.notifications.channels.model import Plain
from hxp_enterprise_llm.event.notifications.routing.receivers import Receivers
from tests.unit.notifications.routing.ways import settings
from tests.unit.notifications.support import NOW

ONCALL = ("email", "oncall@x")


def receivers(secrets: dict[str, str], **parts: Any) -> Receivers:
    """Those of a configuration; `secrets`: the credentials that are there."""
    config = settings(**parts)
    make = channel_factory(
        MemoryLog(),
        lambda file, credential: Plain(secrets[credential]) if credential in secrets else None,
        time=lambda: NOW,
    )
    return Receivers(config, {channel.name: channel for channel in make(config)})


def test_recipients_of_its_own_need_none_in_the_channel() -> None:
    found = receivers({})
    assert found.recipients("oncall") == [ONCALL]
    assert found.recipients("email") == []
    assert found.absence("email").endswith("name recipients in real_time_notifications.email.to")


def test_what_the_channel_lacks_is_said_of_its_recipients() -> None:
    found = receivers({}, email={"host": ""})
    assert found.recipients("oncall") == []
    assert found.absence("oncall") == "the channel email is not ready: real_time_notifications.email.host is empty"


SLACK = {"ops": {"channel": "slack", "to": ["#ops"]}}


@pytest.mark.parametrize(
    ("secrets", "channel", "to", "absence"),
    [
        ({"slack-bot-token": "xoxb-1"}, "", [("slack", "#ops")], "has no recipients"),
        ({"slack-webhook-url": "https://h/1"}, "", [], "a webhook posts to its own channel: #ops takes a bot token"),
        ({"slack-webhook-url": "https://h/1"}, "#ops", [("slack", "#ops")], "has no recipients"),
        ({}, "", [], "no bot token and no webhook: set"),
    ],
)
def test_a_slack_channel_of_its_own_takes_a_token(
    secrets: dict[str, str], channel: str, to: list, absence: str
) -> None:
    found = receivers(secrets, receivers=SLACK, slack={"channel": channel})
    assert found.recipients("ops") == to
    if not to:
        assert absence in found.absence("ops")
