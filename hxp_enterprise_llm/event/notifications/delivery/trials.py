"""Drills: something is sent to see whether it arrives, and who asks waits for the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

from hxp_enterprise_llm.event.notifications.delivery import rows
from hxp_enterprise_llm.event.notifications.delivery.dispatcher import Dispatcher
from hxp_enterprise_llm.event.notifications.model import Notification, delivery_key
from hxp_enterprise_llm.event.notifications.outbox import Recipient

Send = Callable[[Notification, Sequence[Recipient]], Awaitable[None]]
Receivers = Callable[[str], Sequence[Recipient] | None]
"""Who is behind the name of a receiver; None when there is none of that name."""
_MARGIN_SECONDS = 3.0


class Outcome(NamedTuple):
    """What became of a drill at one recipient."""

    channel: str
    target: str
    state: Literal["delivered", "failed"]
    reason: str = ""


async def trial(
    dispatcher: Dispatcher, send: Send, notification: Notification, to: Sequence[Recipient]
) -> list[Outcome]:
    """Send it and wait for the first attempt at each recipient. Raises StoreUnavailable."""
    held = {recipient: dispatcher.waits_for(*recipient) for recipient in to}
    asked = [recipient for recipient in to if not held[recipient]]
    found = {recipient: Outcome(*recipient, "failed", reason) for recipient, reason in held.items() if reason}
    within = dispatcher.office.settings.timeout + _MARGIN_SECONDS
    listener = dispatcher.office.listeners[notification.id] = asyncio.Queue()
    try:
        await send(notification, asked)
        async with asyncio.timeout(within):
            while len(found) < len(to):
                delivery, verdict = await listener.get()
                state: Literal["delivered", "failed"] = "delivered" if verdict.state == "sent" else "failed"
                place = (delivery.channel, delivery.target)
                found[place] = Outcome(*place, state, verdict.error)
    except TimeoutError:
        await _call_off(dispatcher, notification, asked)
    finally:
        del dispatcher.office.listeners[notification.id]
    late = dispatcher.store_fault or f"there was no outcome within {within:g} s; it was called off"
    return [found.get(recipient) or Outcome(*recipient, "failed", late) for recipient in to]


async def _call_off(dispatcher: Dispatcher, notification: Notification, to: Sequence[Recipient]) -> None:
    keys = [delivery_key(notification, channel, target) for channel, target in to]
    work = partial(rows.withdraw, delivery_keys=keys, now=dispatcher.office.clock.time())
    await dispatcher.office.store.run(work)
