"""The page that a notification links to. Pure."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from hxp_enterprise_llm.event.notifications.model import Alert, Notification

_ALERTS = "/view/alerts"


def page_of(episode: str, page_url: str) -> str:
    """The page of an alert's episode; empty where it is not known under which address people reach the page."""
    return f"{page_url}{_ALERTS}?episode={quote(episode, safe='')}" if page_url else ""


def linked_alert(alert: Alert, page_url: str) -> Alert:
    """The alert with the address of its page."""
    url = page_of(alert.episode, page_url)
    return alert if alert.url == url else msgspec.structs.replace(alert, url=url)


def linked(notification: Notification, page_url: str) -> Notification:
    """The notification with the addresses of its pages: that of its one alert, else the list of all alerts."""
    alerts = tuple(linked_alert(alert, page_url) for alert in notification.alerts)
    return msgspec.structs.replace(notification, alerts=alerts, url=_url(notification, page_url))


def _url(notification: Notification, page_url: str) -> str:
    if len(notification.alerts) == 1:
        return page_of(notification.alerts[0].episode, page_url)
    if not notification.alerts and notification.kind != "message":
        return page_of(notification.episode, page_url)
    return page_url and f"{page_url}{_ALERTS}"
