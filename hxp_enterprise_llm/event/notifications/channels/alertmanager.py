"""Prometheus' Alertmanager: told of alerts as Prometheus tells it, again and again while they fire."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from aiohttp import encode_basic_auth

from hxp_enterprise_llm.event.notifications.channels.http import post
from hxp_enterprise_llm.event.notifications.channels.model import Dead, Readiness, Retry, Secret
from hxp_enterprise_llm.event.notifications.channels.payload import alerts_of, posted_alert
from hxp_enterprise_llm.event.notifications.links import linked_alert
from hxp_enterprise_llm.event.notifications.model import Alert, Delivery, Kept
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.telemetry.redaction import Redactor

RESOLVED_SECONDS = 900.0
"""How long an end is told again and again, so that one lost message cannot lose it."""
_LIVES = 4
"""So many resends may be lost until Alertmanager takes the alert for ended."""
_PATH = "real_time_notifications.alertmanager"


class AlertmanagerChannel:
    """Each Alertmanager is a recipient."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        time: Callable[[], float],
        egress: Egress,
        resend_seconds: float = 60.0,
        interval_seconds: float = 0.0,
        username: str = "",
        password: Secret | None = None,
        page_url: str = "",
    ) -> None:
        """`time`: wall-clock seconds; `resend_seconds`: how often it is told of what fires.

        `interval_seconds`: between two evaluations of the rules; `page_url`: where people find this service.
        """
        self._urls, self._time, self._egress = tuple(url.rstrip("/") for url in urls), time, egress
        self._resend_seconds = resend_seconds
        self._life = _LIVES * max(interval_seconds, resend_seconds)
        self._username, self._password, self._page_url = username, password, page_url
        self._redact = Redactor()
        if password is not None:
            self._redact.hide(password.reveal())
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._ended: dict[str, Alert] = {}
        """Ends that were told in this run, by episode: what was read from the store before may not know them."""

    @property
    def name(self) -> str:
        return "alertmanager"

    @property
    def resend_seconds(self) -> float:
        return self._resend_seconds

    @property
    def targets(self) -> tuple[str, ...]:
        return self._urls

    @property
    def readiness(self) -> Readiness:
        if not self._urls:
            return Readiness(False, f"no Alertmanager is named: set {_PATH}.urls")
        if self._username and self._password is None:
            hint = f"set {_PATH}.password_file or the credential alertmanager-password"
            return Readiness(False, f"no password for {self._username}: {hint}")
        return Readiness(True)

    def reaches(self, target: str) -> Readiness:
        return self.readiness

    async def send(self, delivery: Delivery, timeout: float) -> Kept:
        """Return once Alertmanager has taken the alerts. Raises Retry, Dead."""
        notification, now = delivery.notification, self._time()
        told = [alert for alert in alerts_of(notification) if alert.status != "pending"]
        async with self._turns[delivery.target]:
            await self._post(delivery.target, told, timeout, notification.test)
            self._ended |= {alert.episode: alert for alert in told if alert.status == "resolved"}
        if not notification.alerts or notification.test:
            return {"alerts": []}  # a message by hand ends by itself
        before = _read(delivery.kept)
        return {
            "alerts": [msgspec.to_builtins(alert) for alert in _latest([*before, *told]) if self._tells(alert, now)]
        }

    async def resend(self, target: str, kept: Iterable[Kept], timeout: float) -> None:
        """Tell a recipient once more what fires and what has ended lately. Raises Retry, Dead."""
        now = self._time()
        async with self._turns[target]:
            known = [self._ended.get(alert.episode, alert) for each in kept for alert in _read(each)]
            told = [alert for alert in _latest(known) if self._tells(alert, now)]
            if told:
                await self._post(target, told, timeout, False)
        self._ended = {episode: alert for episode, alert in self._ended.items() if self._tells(alert, now)}

    def over(self, kept: Kept) -> bool:
        """Whether there is nothing more to tell of what was kept."""
        return not any(self._tells(alert, self._time()) for alert in _read(kept))

    def _tells(self, alert: Alert, now: float) -> bool:
        return alert.status == "firing" or now - (alert.ends_at or now) < RESOLVED_SECONDS

    async def _post(self, target: str, alerts: Iterable[Alert], timeout: float, test: bool) -> None:
        if target not in self._urls:
            raise Dead(f"the Alertmanager {target} is configured no longer", failure="other")
        ends_at = self._time() + self._life
        # What is told again was linked by the configuration of another day.
        linked = (linked_alert(alert, self._page_url) for alert in alerts)
        body = msgspec.json.encode([posted_alert(alert, ends_at, test) for alert in linked])
        headers = {"Content-Type": "application/json", "User-Agent": "citadel"}
        if self._username and self._password is not None:
            headers["Authorization"] = encode_basic_auth(self._username, self._password.reveal(), "utf-8")
        try:
            await post(self._egress, f"Alertmanager {target}", f"{target}/api/v2/alerts", body, headers, timeout)
        except (Retry, Dead) as failure:
            raise failure.redacted(self._redact) from None


def _read(kept: Kept | None) -> list[Alert]:
    found: list[Any] = kept.get("alerts", []) if kept else []
    return [msgspec.convert(each, Alert) for each in found]


def _latest(alerts: Iterable[Alert]) -> list[Alert]:
    """Of alerts with the same labels the one that began last; of one episode its end."""
    found: dict[str, Alert] = {}
    for alert in alerts:
        before = found.get(alert.fingerprint)
        if before is None or _rank(alert) >= _rank(before):
            found[alert.fingerprint] = alert
    return list(found.values())


def _rank(alert: Alert) -> tuple[float, bool]:
    return alert.starts_at, alert.status == "resolved"
