"""Sending a notification by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from hxp_enterprise_llm.client.answers import BadAnswer, Unreachable, found, refusal, words


class Delivery(msgspec.Struct, frozen=True):
    """What became of the notification on one channel so far."""

    channel: str
    state: str


class Sent(msgspec.Struct, frozen=True):
    """The notification as it was taken."""

    id: str
    deliveries: tuple[Delivery, ...]


async def send_notification(session: aiohttp.ClientSession, base_url: str, notification: Mapping[str, Any]) -> Sent:
    """Send `{type, message, channel, …}` through the gateway at `base_url`. Raises Unreachable, Refused, BadAnswer."""
    url = base_url.rstrip("/") + "/notifications/send"
    headers = {"Content-Type": "application/json"}
    try:
        async with session.post(url, data=msgspec.json.encode(notification), headers=headers) as answer:
            body = await answer.read()
    except aiohttp.ClientConnectorError as error:
        raise Unreachable(url, words(error.os_error)) from error
    except aiohttp.InvalidURL as error:
        raise Unreachable(url, "this is no address") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(url, words(error)) from error
    if answer.status not in {200, 202}:
        raise refusal(answer.status, body)
    try:
        return msgspec.json.decode(body, type=Sent)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BadAnswer(url, found(body)) from error
