"""A notification as a Slack message: escaped, within Slack's limits. Pure."""

from __future__ import annotations

import re
from typing import Any

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.channels.words import (
    Worded,
    alert_lines,
    headline,
    links,
    one_line,
    sentences,
    several_lines,
    shown_reason,
    shown_values,
)
from hxp_enterprise_llm.event.notifications.model import Notification

_SECTION_LENGTH = 2900
_LINE_LENGTH = 600
_HALF = re.compile(r"(&[a-z]{0,3}|<[^>]*)$")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_IN_LINK = str.maketrans(_ENTITIES)


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


def fallback_text(notification: Notification, worded: Worded | None = None) -> str:
    """What a phone shows before the message is opened."""
    title = worded.title if worded else headline(notification)
    return escaped(one_line(f"{title} · {notification.text}", _LINE_LENGTH), _LINE_LENGTH)


def links_text(notification: Notification) -> str:
    """Where to go from here, as Slack's links; never cut, for half a link is none."""
    return " · ".join(f"<{url.translate(_IN_LINK)}|{label}>" for label, url in links(notification))


def blocks(notification: Notification, worded: Worded | None = None) -> list[dict[str, Any]]:
    """Headline, sentence, the alerts when there are several, where to go from here, and the facts in small print."""
    if worded is not None and worded.slack:
        shown = [_section(_cut(several_lines(worded.slack), _SECTION_LENGTH))]
    else:
        title = escaped(one_line(headline(notification), _LINE_LENGTH), _LINE_LENGTH)
        text = escaped(sentences(notification), _SECTION_LENGTH - len(title) - 3)
        shown = [_section(f"*{title}*\n{text}")]
        if listed := alert_lines(notification):
            shown.append(_section(escaped("\n".join(f"• {line}" for line in listed), _SECTION_LENGTH)))
    small: dict[str, Any] = {"type": "context", "elements": [{"type": "mrkdwn", "text": _small_print(notification)}]}
    if worded is not None and worded.note:
        small["elements"].append({"type": "mrkdwn", "text": escaped(worded.note, _LINE_LENGTH)})
    leading = links_text(notification)
    return [*shown, *([_section(leading)] if leading else []), small]


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _cut(text: str, length: int) -> str:
    """At most so much of a text that is escaped already; no escape and no link is cut in two."""
    return text if len(text) <= length else _HALF.sub("", text[: length - 1]) + "…"


def _small_print(notification: Notification) -> str:
    parts = [rfc3339(notification.at)]
    if notification.rule:
        parts = [notification.condition, shown_values(notification.values)]
    if notification.since is not None:
        parts.append(f"since {rfc3339(notification.since)}")
    if notification.reason:
        parts.append(shown_reason(notification.reason))
    parts += [alert.episode for alert in notification.alerts if len(notification.alerts) == 1]
    return escaped(" · ".join(one_line(part, _LINE_LENGTH) for part in parts), 3 * _LINE_LENGTH)
