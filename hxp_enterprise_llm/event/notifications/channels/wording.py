"""How a channel comes to its words: by templates where there is a renderer, else plainly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hxp_enterprise_llm.event.notifications.channels.words import Worded
from hxp_enterprise_llm.event.notifications.model import Notification

Wording = Callable[[Notification], Awaitable[Worded | None]]
"""Puts a notification into words; never fails. None: plainly, as each channel does it."""


async def plainly(notification: Notification) -> Worded | None:
    """No template is used."""
    return None
