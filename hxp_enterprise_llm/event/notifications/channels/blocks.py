"""A notification as a Slack message: escaped, within Slack's limits. Pure."""

from __future__ import annotations

from typing import Any

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.channels.words import headline, one_line, shown_values
from hxp_enterprise_llm.event.notifications.model import Notification

_SECTION_LENGTH = 2900
_LINE_LENGTH = 600
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escaped(text: str, length: int) -> str:
    """The text as Slack shows it letter by letter: no links, no mentions. At most so long after escaping."""
    parts: list[str] = []
    size = 0
    for letter in text:
        entity = _ENTITIES.get(letter, letter)
        size += len(entity)
        if size > length - 1:
            return "".join(parts) + "…"
        parts.append(entity)
    return "".join(parts)


def fallback_text(notification: Notification) -> str:
    """What a phone shows before the message is opened."""
    return escaped(one_line(f"{headline(notification)} · {notification.text}", _LINE_LENGTH), _LINE_LENGTH)


def blocks(notification: Notification) -> list[dict[str, Any]]:
    """Headline, sentence, and the facts in small print."""
    title = escaped(one_line(headline(notification), _LINE_LENGTH), _LINE_LENGTH)
    text = escaped(notification.text, _SECTION_LENGTH - len(title) - 3)
    return [
        {"type": "section", "text": {"type": "mrkdwn", "text": f"*{title}*\n{text}"}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": _small_print(notification)}]},
    ]


def _small_print(notification: Notification) -> str:
    parts = [rfc3339(notification.at)]
    if notification.rule:
        parts = [notification.condition, shown_values(notification.values)]
    if notification.since is not None:
        parts.append(f"since {rfc3339(notification.since)}")
    if notification.reason:
        parts.append(notification.reason)
    return escaped(" · ".join(one_line(part, _LINE_LENGTH) for part in parts), 3 * _LINE_LENGTH)
