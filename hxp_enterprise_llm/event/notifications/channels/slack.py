"""Slack: `chat.postMessage` with a bot token, else an incoming webhook."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from hxp_enterprise_llm.config.delivery import SlackConfig
from hxp_enterprise_llm.event.notifications.channels.blocks import blocks, fallback_text
from hxp_enterprise_llm.event.notifications.channels.model import ChannelFault, Dead, Readiness, Retry, Secret
from hxp_enterprise_llm.event.notifications.model import Delivery
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.telemetry.redaction import Redactor

ANYWHERE = Egress()
BLOCKED_SECONDS = 300.0
"""Pause after a refusal that only the operator can end: a token or a URL that is not accepted."""
_RATE_LIMIT_SECONDS = 30.0
_PATH = "real_time_notifications.slack"
_NOT_LET_IN = frozenset(
    [
        "not_authed",
        "invalid_auth",
        "token_revoked",
        "token_expired",
        "account_inactive",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "org_login_required",
        "ekm_access_denied",
        "access_denied",
    ]
)
_FOR_GOOD = frozenset(
    [
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "restricted_action",
        "no_text",
        "msg_too_long",
        "msg_blocks_too_long",
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_arguments",
        "invalid_arg_name",
        "invalid_charset",
    ]
)


class SlackChannel:
    """Posts each delivery as one message."""

    def __init__(
        self,
        config: SlackConfig,
        token: Secret | None = None,
        webhook_url: Secret | None = None,
        egress: Egress = ANYWHERE,
    ) -> None:
        """Raises ChannelFault when the token would travel in clear text."""
        self._config, self._token, self._webhook_url, self._egress = config, token, webhook_url, egress
        self._redact = Redactor()
        for secret in (token, webhook_url):
            if secret is not None:
                self._redact.hide(secret.reveal())
        # The library's debug lines carry the webhook's address, which is a secret.
        self._logger = logging.Logger("slack_sdk.quiet", logging.WARNING)
        self._logger.addHandler(logging.NullHandler())
        url = urlsplit(config.api_url)
        if url.scheme != "https" and url.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ChannelFault(f"{_PATH}.api_url", f"{config.api_url!r} must begin with https://")

    @property
    def name(self) -> str:
        return "slack"

    @property
    def _by_token(self) -> bool:
        return self._token is not None and bool(self._config.channel)

    @property
    def targets(self) -> tuple[str, ...]:
        return (self._config.channel if self._by_token else "",)

    @property
    def readiness(self) -> Readiness:
        if self._by_token or self._webhook_url is not None:
            return Readiness(True)
        if self._token is not None:
            return Readiness(False, f"a bot token is there but {_PATH}.channel is empty")
        return Readiness(
            False,
            f"no bot token and no webhook: set {_PATH}.token_file and .channel, or .webhook_url_file,"
            " or give the credential slack-bot-token or slack-webhook-url",
        )

    async def send(self, delivery: Delivery, timeout: float) -> None:
        """Return once Slack has taken the message. Raises Retry, Dead."""
        try:
            await self._send(delivery, timeout)
        except (Retry, Dead) as failure:
            raise failure.redacted(self._redact) from None

    async def _send(self, delivery: Delivery, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                async with self._egress.session(timeout) as session:
                    await (self._post if self._by_token else self._call_webhook)(delivery, timeout, session)
        except TimeoutError as error:
            raise Retry(f"Slack did not answer within {timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Retry(f"Slack cannot be reached: {self._brief(error)}") from None
        except (SlackClientError, AttributeError, TypeError) as error:
            # The library trips over answers that are no JSON objects.
            raise Retry(f"Slack gave an answer that cannot be read: {type(error).__name__}") from None

    async def _post(self, delivery: Delivery, timeout: float, session: aiohttp.ClientSession) -> None:
        assert self._token is not None
        client = AsyncWebClient(
            token=self._token.reveal(),
            base_url=self._config.api_url,
            timeout=math.ceil(timeout),
            session=session,
            retry_handlers=[],
            logger=self._logger,
        )
        try:
            await client.chat_postMessage(
                channel=delivery.target or self._config.channel,
                text=fallback_text(delivery.notification),
                blocks=blocks(delivery.notification),
                unfurl_links=False,
                unfurl_media=False,
            )
        except SlackApiError as error:
            raise _api_failure(error.response) from None

    async def _call_webhook(self, delivery: Delivery, timeout: float, session: aiohttp.ClientSession) -> None:
        assert self._webhook_url is not None
        client = AsyncWebhookClient(
            self._webhook_url.reveal(),
            timeout=math.ceil(timeout),
            session=session,
            retry_handlers=[],
            logger=self._logger,
        )
        answer = await client.send(text=fallback_text(delivery.notification), blocks=blocks(delivery.notification))
        failure = _webhook_failure(answer.status_code, self._redact(answer.body or ""), answer.headers)
        if failure:
            raise failure

    def _brief(self, error: Exception) -> str:
        # A cut through a secret would leave a part of it.
        return self._redact(str(error) or type(error).__name__)[:300]


def _api_failure(response: Any) -> Retry | Dead:
    """What an answer of the Web API means; `response` is the library's, or aiohttp's when it was no JSON."""
    status = getattr(response, "status_code", None) or getattr(response, "status", 0)
    data = getattr(response, "data", None)
    error = str(data.get("error", "")) if isinstance(data, Mapping) else ""
    if status == 429 or error in ("ratelimited", "rate_limited"):
        return _rate_limited(response.headers)
    if error in _NOT_LET_IN:
        return Retry(f"Slack refuses the token: {error}", after=BLOCKED_SECONDS)
    if error in _FOR_GOOD:
        return Dead(f"Slack says {error}")
    return Retry(f"Slack says {error or f'HTTP {status}'}")


def _webhook_failure(status: int, body: str, headers: Mapping[str, str]) -> Retry | Dead | None:
    if status == 200:
        return None
    if status == 429:
        return _rate_limited(headers)
    said = f"HTTP {status} {body[:100]}".strip()
    if status in (401, 403, 404):
        return Retry(f"Slack does not know the webhook: {said}", after=BLOCKED_SECONDS)
    if 400 <= status < 500:
        return Dead(f"Slack says {said}")
    return Retry(f"Slack says {said}")


def _rate_limited(headers: Mapping[str, str]) -> Retry:
    # Header names are compared without case: the library hands over plain maps as well.
    value = next((text for name, text in headers.items() if name.lower() == "retry-after"), "")
    try:
        after = float(value)
    except ValueError:
        after = math.nan
    return Retry("Slack limits the rate", after=after if 0 <= after <= 86400 else _RATE_LIMIT_SECONDS)
