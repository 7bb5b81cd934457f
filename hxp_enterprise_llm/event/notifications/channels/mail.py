"""A notification as a mail: headers that clients thread by, plain text, and simple HTML. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import blake2b
from html import escape

from hxp_enterprise_llm.event.notifications.channels.words import (
    Worded,
    alert_lines,
    facts,
    headline,
    links,
    one_line,
    plain,
    sentences,
    several_lines,
)
from hxp_enterprise_llm.event.notifications.model import Delivery, Notification, thread_of

_SUBJECT_LENGTH = 200
_FACT_LENGTH = 2000
_ATOM = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_LONGEST_ATOM = 64
_PHONE = (
    '<!doctype html><html><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
    '<body style="margin:0 auto;max-width:40em;padding:12px;font:16px/1.4 sans-serif;overflow-wrap:anywhere">'
)


def compose(delivery: Delivery, sender: str, worded: Worded | None = None) -> EmailMessage:
    """The mail for one recipient; every attempt makes the same one. Without `worded` in plain words."""
    notification = delivery.notification
    domain = sender.rpartition("@")[2]
    # No mail has this id: clients put together what names it.
    root = f"<{_atom(thread_of(notification))}@{domain}>"
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = delivery.target
    mail["Subject"] = one_line((worded or plain(notification)).title, _SUBJECT_LENGTH)
    mail["Date"] = format_datetime(datetime.fromtimestamp(notification.at, UTC))
    mail["Message-ID"] = message_id(delivery, domain)
    mail["In-Reply-To"] = root
    mail["References"] = root
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(several_lines((worded or plain(notification)).text))
    if worded is None or worded.html:
        html = several_lines(worded.html) if worded else _html(notification)
        mail.add_alternative(html, subtype="html")
    return mail


def message_id(delivery: Delivery, domain: str) -> str:
    """The same for every attempt, so that a mail that came twice can be told from two mails."""
    recipient = blake2b(delivery.target.encode(), digest_size=4).hexdigest()
    return f"<{_atom(delivery.notification.id)}.{recipient}@{domain}>"


def _atom(text: str) -> str:
    """The text as it may stand in a message id; what may not is replaced by its digest."""
    if len(text) <= _LONGEST_ATOM and _ATOM.fullmatch(text):
        return text
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _html(notification: Notification) -> str:
    title = escape(one_line(headline(notification), _SUBJECT_LENGTH))
    text = escape(sentences(notification)).replace("\n", "<br>")
    listed = "".join(f"<li>{escape(line)}</li>" for line in alert_lines(notification))
    leading = dict(links(notification))
    rows = "".join(
        f'<tr><th align="left" valign="top">{label}</th><td>{_cell(value, label in leading)}</td></tr>'
        for label, value in facts(notification)
    )
    many = f"<ul>{listed}</ul>" if listed else ""
    return f"{_PHONE}<h3>{title}</h3><p>{text}</p>{many}<table>{rows}</table></body></html>\n"


def _cell(value: str, leads: bool) -> str:
    text = escape(one_line(value, _FACT_LENGTH))
    return f'<a href="{escape(value)}">{text}</a>' if leads else text
