"""How a channel comes to its words: by templates where there is a renderer, else plainly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hxp_enterprise_llm.event.notifications.channels.words import Worded
from hxp_enterprise_llm.event.notifications.model import Notification

Wording = Callable[[Notification, tuple[str, ...]], Awaitable[Worded | None]]
"""Puts parts of a notification (title, text, html, slack) into words; never fails. None: each channel's own words."""


async def plainly(notification: Notification, parts: tuple[str, ...]) -> Worded | None:
    """No template is used."""
    return None
