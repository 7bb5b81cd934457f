"""Slack: with a bot token one message an incident, changed in place and answered in its thread; else a webhook."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from hxp_enterprise_llm.config.delivery import SlackConfig
from hxp_enterprise_llm.event.notifications.channels.blocks import blocks, fallback_text, links_text
from hxp_enterprise_llm.event.notifications.channels.model import ChannelFault, Dead, Readiness, Retry, Secret
from hxp_enterprise_llm.event.notifications.channels.slack_failures import (
    CANNOT_BE_CHANGED,
    TOO_MUCH,
    api_error,
    api_failure,
    webhook_failure,
)
from hxp_enterprise_llm.event.notifications.channels.wording import Wording, plainly
from hxp_enterprise_llm.event.notifications.channels.words import Worded
from hxp_enterprise_llm.event.notifications.model import Delivery, Kept
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.security.fetch import words
from hxp_enterprise_llm.telemetry.redaction import Redactor

ANYWHERE = Egress()
_PATH = "real_time_notifications.slack"


class SlackChannel:
    """Posts the first delivery of a thread as a message; later ones change that message and answer it."""

    def __init__(
        self,
        config: SlackConfig,
        token: Secret | None = None,
        webhook_url: Secret | None = None,
        egress: Egress = ANYWHERE,
        wording: Wording = plainly,
    ) -> None:
        """Raises ChannelFault when the token would travel in clear text."""
        self._config, self._token, self._webhook_url, self._egress = config, token, webhook_url, egress
        self._wording = wording
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

    def _tells_by_token(self, target: str) -> bool:
        return self._token is not None and bool(target or self._config.channel)

    @property
    def targets(self) -> tuple[str, ...]:
        return (self._config.channel if self._tells_by_token("") else "",)

    @property
    def readiness(self) -> Readiness:
        return self.reaches("")

    def reaches(self, target: str) -> Readiness:
        if self._tells_by_token(target):
            return Readiness(True)
        if self._webhook_url is not None:
            if target and target != self._config.channel:
                return Readiness(False, f"a webhook posts to its own channel: {target} takes a bot token")
            return Readiness(True)
        if self._token is not None:
            return Readiness(False, f"a bot token is there but {_PATH}.channel is empty")
        return Readiness(
            False,
            f"no bot token and no webhook: set {_PATH}.token_file and .channel, or .webhook_url_file,"
            " or give the credential slack-bot-token or slack-webhook-url",
        )

    async def send(self, delivery: Delivery, timeout: float) -> Kept | None:
        """Return once Slack has taken the message. Raises Retry, Dead."""
        worded = await self._wording(delivery.notification, ("title", "slack"))
        try:
            return await self._send(delivery, worded, timeout)
        except (Retry, Dead) as failure:
            raise failure.redacted(self._redact) from None

    async def _send(self, delivery: Delivery, worded: Worded | None, timeout: float) -> Kept | None:
        try:
            async with asyncio.timeout(timeout):
                async with self._egress.session(timeout) as session:
                    if self._tells_by_token(delivery.target):
                        return await self._tell(delivery, worded, self._client(timeout, session))
                    await self._call_webhook(delivery, worded, timeout, session)
                    return None
        except TimeoutError as error:
            raise Retry(f"Slack did not answer within {timeout:g} s", failure="timeout") from error
        except SlackApiError as error:
            raise api_failure(error.response) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Retry(f"Slack cannot be reached: {self._brief(error)}") from None
        except (SlackClientError, AttributeError, TypeError) as error:
            # The library trips over answers that are no JSON objects.
            raise Retry(f"Slack gave an answer that cannot be read: {type(error).__name__}") from None

    def _client(self, timeout: float, session: aiohttp.ClientSession) -> AsyncWebClient:
        assert self._token is not None
        return AsyncWebClient(
            token=self._token.reveal(),
            base_url=self._config.api_url,
            timeout=math.ceil(timeout),
            session=session,
            retry_handlers=[],
            logger=self._logger,
        )

    async def _tell(self, delivery: Delivery, worded: Worded | None, client: AsyncWebClient) -> Kept | None:
        """Change the root of the thread and answer it, else begin one; answers what the next one needs."""
        kept = delivery.kept
        message, leading = _message(delivery, worded), links_text(delivery.notification)
        if kept is not None:
            try:
                # First the change, which may be repeated without harm.
                await _shortened(client.chat_update, message, leading, channel=kept["channel"], ts=kept["ts"])
                broadcast = delivery.notification.kind == "resolved" and delivery.notification.priority == "critical"
                await _shortened(
                    client.chat_postMessage,
                    message | _QUIET,
                    leading,
                    channel=kept["channel"],
                    thread_ts=kept["ts"],
                    reply_broadcast=broadcast,
                )
            except SlackApiError as error:
                if api_error(error.response) not in CANNOT_BE_CHANGED:
                    raise
            else:
                return kept
        answer = await _shortened(
            client.chat_postMessage, message | _QUIET, leading, channel=delivery.target or self._config.channel
        )
        ts, channel = answer.get("ts"), answer.get("channel")
        return {"ts": ts, "channel": channel} if isinstance(ts, str) and isinstance(channel, str) else None

    async def _call_webhook(
        self, delivery: Delivery, worded: Worded | None, timeout: float, session: aiohttp.ClientSession
    ) -> None:
        assert self._webhook_url is not None
        client = AsyncWebhookClient(
            self._webhook_url.reveal(),
            timeout=math.ceil(timeout),
            session=session,
            retry_handlers=[],
            logger=self._logger,
        )
        answer = await client.send(**_message(delivery, worded))
        failure = webhook_failure(answer.status_code, self._redact(answer.body or ""), answer.headers)
        if failure:
            raise failure

    def _brief(self, error: Exception) -> str:
        # A cut through a secret would leave a part of it.
        return self._redact(words(error))[:300]


_QUIET = {"unfurl_links": False, "unfurl_media": False}


def _message(delivery: Delivery, worded: Worded | None) -> dict[str, Any]:
    notification = delivery.notification
    return {"text": fallback_text(notification, worded), "blocks": blocks(notification, worded)}


async def _shortened(call: Callable[..., Awaitable[Any]], message: dict[str, Any], leading: str, **more: Any) -> Any:
    """Make the call; when Slack finds the message too long or badly laid out, once more with its first line alone.

    `leading`: where to go from here, which stays.
    """
    try:
        return await call(**message, **more)
    except SlackApiError as error:
        if api_error(error.response) not in TOO_MUCH:
            raise
    text = "\n".join(filter(None, (message["text"], leading)))
    return await call(**(message | {"text": text, "blocks": []}), **more)
