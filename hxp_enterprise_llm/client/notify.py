"""Notifications by hand: sending, drills, what was given up, and why somebody was told or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from hxp_enterprise_llm.client.asking import ask


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
    return await ask(session, f"{_at(base_url)}/send", Sent, body=notification)


async def try_out(session: aiohttp.ClientSession, base_url: str, drill: Mapping[str, Any]) -> Drilled:
    """Send a drill by `{channel | receiver, target, message}` and wait for it. Raises as `send_notification`."""
    return await ask(session, f"{_at(base_url)}/test", Drilled, body=drill)


async def dead_letters(session: aiohttp.ClientSession, base_url: str) -> DeadLetters:
    """What was given up. Raises as `send_notification`."""
    return await ask(session, f"{_at(base_url)}/dead", DeadLetters)


async def replay(session: aiohttp.ClientSession, base_url: str, ids: Sequence[int] | None) -> Replayed:
    """Send again what was given up; None: all. Raises as `send_notification`."""
    body = {"all": True} if ids is None else {"ids": list(ids)}
    return await ask(session, f"{_at(base_url)}/dead/replay", Replayed, body=body)


async def notification_log(
    session: aiohttp.ClientSession, base_url: str, asked: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What was decided about alerts: `asked` is the query of /notifications/log. Raises as `send_notification`."""
    return (await explanation(session, base_url, asked)).decisions


async def explanation(session: aiohttp.ClientSession, base_url: str, asked: Mapping[str, str]) -> Explanation:
    """As `notification_log`, with what has become of the deliveries."""
    return await ask(session, f"{_at(base_url)}/log", Explanation, query=asked)


async def rule_states(session: aiohttp.ClientSession, base_url: str) -> list[dict[str, Any]]:
    """The rules as /notifications/status has them. Raises as `send_notification`."""
    return (await ask(session, f"{_at(base_url)}/status", _Status)).rules


class Explanation(msgspec.Struct):
    """Decisions, and the deliveries about the newest of their episodes."""

    decisions: list[dict[str, Any]]
    deliveries: list[dict[str, Any]] = []


class _Status(msgspec.Struct):
    rules: list[dict[str, Any]]


def _at(base_url: str) -> str:
    return base_url.rstrip("/") + "/notifications"
