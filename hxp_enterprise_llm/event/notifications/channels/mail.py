"""A notification as a mail: headers that clients thread by, plain text, and simple HTML. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import blake2b
from html import escape

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.channels.words import headline, one_line, several_lines, shown_values
from hxp_enterprise_llm.event.notifications.model import Delivery, Notification

_SUBJECT_LENGTH = 200
_FACT_LENGTH = 2000


def compose(delivery: Delivery, sender: str) -> EmailMessage:
    """The mail for one recipient; every attempt makes the same one."""
    notification = delivery.notification
    domain = sender.rpartition("@")[2]
    root = f"<{notification.episode}@{domain}>"
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = delivery.target
    mail["Subject"] = one_line(headline(notification), _SUBJECT_LENGTH)
    mail["Date"] = format_datetime(datetime.fromtimestamp(notification.at, UTC))
    mail["Message-ID"] = message_id(delivery, domain)
    mail["In-Reply-To"] = root
    mail["References"] = root
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content("".join(f"{line}\n" for line in _lines(notification)))
    mail.add_alternative(_html(notification), subtype="html")
    return mail


def message_id(delivery: Delivery, domain: str) -> str:
    """The same for every attempt, so that a mail that came twice can be told from two mails."""
    notification = delivery.notification
    recipient = blake2b(delivery.target.encode(), digest_size=4).hexdigest()
    return f"<{notification.episode}.{notification.seq}.{notification.kind}.{recipient}@{domain}>"


def facts(notification: Notification) -> Iterator[tuple[str, str]]:
    """What is known of an alert, label by label."""
    if notification.rule:
        yield "Rule", notification.rule
        yield "Condition", notification.condition
        yield "Values", shown_values(notification.values)
    yield "Priority", notification.priority
    if notification.since is not None:
        yield "Since", rfc3339(notification.since)
    yield "Time", rfc3339(notification.at)
    if notification.reason:
        yield "Reason", notification.reason
    yield "Id", notification.id


def _lines(notification: Notification) -> Iterator[str]:
    yield several_lines(notification.text)
    yield ""
    for label, value in facts(notification):
        yield f"{label}: {one_line(value, _FACT_LENGTH)}"


def _html(notification: Notification) -> str:
    title = escape(one_line(headline(notification), _SUBJECT_LENGTH))
    text = escape(several_lines(notification.text)).replace("\n", "<br>")
    rows = "".join(
        f"<tr><th align=left>{label}</th><td>{escape(one_line(value, _FACT_LENGTH))}</td></tr>"
        for label, value in facts(notification)
    )
    return f"<html><body><h3>{title}</h3><p>{text}</p><table>{rows}</table></body></html>\n"
