"""Sending a notification by hand, and asking why somebody was told or not."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import aiohttp
import msgspec

from hxp_enterprise_llm.client.answers import BadAnswer, Unreachable, found, refusal, words

T = TypeVar("T")


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
    body = await _asked(url, session.post(url, data=msgspec.json.encode(notification), headers=headers))
    return _read(url, body, Sent)


async def notification_log(
    session: aiohttp.ClientSession, base_url: str, asked: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What was decided about alerts: `asked` is the query of /notifications/log. Raises as `send_notification`."""
    url = base_url.rstrip("/") + "/notifications/log"
    return _read(url, await _asked(url, session.get(url, params=asked)), _Log).decisions


class _Log(msgspec.Struct):
    decisions: list[dict[str, Any]]


async def _asked(url: str, request: AbstractAsyncContextManager[aiohttp.ClientResponse]) -> bytes:
    try:
        async with request as answer:
            body = await answer.read()
    except aiohttp.ClientConnectorError as error:
        raise Unreachable(url, words(error.os_error)) from error
    except aiohttp.InvalidURL as error:
        raise Unreachable(url, "this is no address") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(url, words(error)) from error
    if answer.status not in {200, 202}:
        raise refusal(answer.status, body)
    return body


def _read(url: str, body: bytes, type: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=type)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BadAnswer(url, found(body)) from error
