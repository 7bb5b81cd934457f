"""Webhooks: Alertmanager's payload, signed, to each configured receiver."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from hxp_enterprise_llm.event.notifications.channels.http import post
from hxp_enterprise_llm.event.notifications.channels.model import Dead, Readiness, Retry, Secret
from hxp_enterprise_llm.event.notifications.channels.payload import webhook_payload
from hxp_enterprise_llm.event.notifications.model import Delivery
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.telemetry.redaction import Redactor

SIGNATURE, TIMESTAMP, KEY = "X-Citadel-Signature", "X-Citadel-Timestamp", "Idempotency-Key"
WINDOW_SECONDS = 300
"""How old a timestamp a receiver should take."""
_PATH = "real_time_notifications.webhook"


class Endpoint(NamedTuple):
    """A receiver. Without a secret what it gets is not signed."""

    name: str
    url: Secret
    secret: Secret | None
    most_alerts: int


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over the timestamp, a full stop and the body, as the header carries it."""
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, sha256).hexdigest()


class WebhookChannel:
    """Posts each delivery to the endpoint that is its target."""

    def __init__(
        self, endpoints: Sequence[Endpoint], *, time: Callable[[], float], egress: Egress, page_url: str = ""
    ) -> None:
        """`time`: wall-clock seconds; `page_url`: where people find this service."""
        self._endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self._time, self._egress, self._page_url = time, egress, page_url
        self._redact = Redactor()
        for endpoint in endpoints:
            for secret in (endpoint.url, endpoint.secret):
                if secret is not None:
                    self._redact.hide(secret.reveal())

    @property
    def name(self) -> str:
        return "webhook"

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(self._endpoints)

    @property
    def readiness(self) -> Readiness:
        if self._endpoints:
            return Readiness(True)
        return Readiness(False, f"nobody to post to: name receivers in {_PATH}.endpoints")

    def reaches(self, target: str) -> Readiness:
        return self.readiness

    async def send(self, delivery: Delivery, timeout: float) -> None:
        """Return once the receiver has answered with 2xx. Raises Retry, Dead."""
        endpoint = self._endpoints.get(delivery.target)
        if endpoint is None:
            raise Dead(f"the webhook {delivery.target!r} is configured no longer", failure="other")
        payload = webhook_payload(delivery.notification, endpoint.name, self._page_url, endpoint.most_alerts)
        body = msgspec.json.encode(payload)
        try:
            who = f"the webhook {endpoint.name}"
            await post(self._egress, who, endpoint.url.reveal(), body, self._headers(delivery, endpoint, body), timeout)
        except (Retry, Dead) as failure:
            raise failure.redacted(self._redact) from None

    def _headers(self, delivery: Delivery, endpoint: Endpoint, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "citadel",
            TIMESTAMP: timestamp,
            KEY: sha256(delivery.key.encode("utf-8", "surrogatepass")).hexdigest()[:32],
        }
        if endpoint.secret is not None:
            headers[SIGNATURE] = signature(endpoint.secret.reveal(), timestamp, body)
        return headers
