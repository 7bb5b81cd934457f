"""Notifications by hand: sending, drills, what was given up, and why somebody was told or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

import aiohttp
import msgspec

from hxp_enterprise_llm.client.answers import BadAnswer, Unreachable, found, refusal, words

T = TypeVar("T")


class Delivery(msgspec.Struct, frozen=True):
    """What became of the notification on one channel so far."""

    channel: str
    state: str
    target: str = ""
    reason: str = ""


class Sent(msgspec.Struct, frozen=True):
    """The notification as it was taken."""

    id: str
    deliveries: tuple[Delivery, ...]


class Drilled(msgspec.Struct, frozen=True):
    """The outcome of a drill."""

    id: str
    delivered: bool
    deliveries: tuple[Delivery, ...]


class DeadLetter(msgspec.Struct, frozen=True):
    """A delivery that was given up."""

    id: int
    channel: str
    target: str
    title: str
    reason: str
    given_up_at: str
    attempts: int
    tells: int


class DeadLetters(msgspec.Struct, frozen=True):
    """The newest first."""

    dead: tuple[DeadLetter, ...]


class Replayed(msgspec.Struct, frozen=True):
    """Which were queued again, and which are not dead."""

    replayed: tuple[int, ...]
    unknown: tuple[int, ...]


async def send_notification(session: aiohttp.ClientSession, base_url: str, notification: Mapping[str, Any]) -> Sent:
    """Send `{type, message, channel, …}` through the gateway at `base_url`. Raises Unreachable, Refused, BadAnswer."""
    return await _ask(session, "POST", base_url, "/notifications/send", notification, Sent)


async def try_out(session: aiohttp.ClientSession, base_url: str, drill: Mapping[str, Any]) -> Drilled:
    """Send a drill by `{channel | receiver, target, message}` and wait for it. Raises as `send_notification`."""
    return await _ask(session, "POST", base_url, "/notifications/test", drill, Drilled)


async def dead_letters(session: aiohttp.ClientSession, base_url: str) -> DeadLetters:
    """What was given up. Raises as `send_notification`."""
    return await _ask(session, "GET", base_url, "/notifications/dead", None, DeadLetters)


async def replay(session: aiohttp.ClientSession, base_url: str, ids: Sequence[int] | None) -> Replayed:
    """Send again what was given up; None: all. Raises as `send_notification`."""
    body = {"all": True} if ids is None else {"ids": list(ids)}
    return await _ask(session, "POST", base_url, "/notifications/dead/replay", body, Replayed)


async def notification_log(
    session: aiohttp.ClientSession, base_url: str, asked: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What was decided about alerts: `asked` is the query of /notifications/log. Raises as `send_notification`."""
    return (await explanation(session, base_url, asked)).decisions


async def explanation(session: aiohttp.ClientSession, base_url: str, asked: Mapping[str, str]) -> Explanation:
    """As `notification_log`, with what has become of the deliveries."""
    return await _ask(session, "GET", base_url, "/notifications/log", None, Explanation, asked)


async def rule_states(session: aiohttp.ClientSession, base_url: str) -> list[dict[str, Any]]:
    """The rules as /notifications/status has them. Raises as `send_notification`."""
    return (await _ask(session, "GET", base_url, "/notifications/status", None, _Status)).rules


class Explanation(msgspec.Struct):
    """Decisions, and the deliveries about the newest of their episodes."""

    decisions: list[dict[str, Any]]
    deliveries: list[dict[str, Any]] = []


class _Status(msgspec.Struct):
    rules: list[dict[str, Any]]


async def _ask(
    session: aiohttp.ClientSession,
    method: Literal["GET", "POST"],
    base_url: str,
    path: str,
    body: Mapping[str, Any] | None,
    type: type[T],
    query: Mapping[str, str] | None = None,
) -> T:
    url = base_url.rstrip("/") + path
    data = None if body is None else msgspec.json.encode(body)
    headers = {} if body is None else {"Content-Type": "application/json"}
    try:
        async with session.request(method, url, data=data, headers=headers, params=query) as answer:
            content = await answer.read()
    except aiohttp.ClientConnectorError as error:
        raise Unreachable(url, words(error.os_error)) from error
    except aiohttp.InvalidURL as error:
        raise Unreachable(url, "this is no address") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(url, words(error)) from error
    if answer.status not in {200, 202}:
        raise refusal(answer.status, content)
    try:
        return msgspec.json.decode(content, type=type)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BadAnswer(url, found(content)) from error
