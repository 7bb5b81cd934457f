"""Posting JSON to somebody's server: what is sent along, and what the answer means. Follows no redirect."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp

from hxp_enterprise_llm.event.notifications.channels.model import ChannelFault, Dead, FailureClass, Retry
from hxp_enterprise_llm.event.notifications.channels.pauses import asked_for
from hxp_enterprise_llm.event.notifications.channels.words import one_line
from hxp_enterprise_llm.security.egress import Egress, RedirectRefused
from hxp_enterprise_llm.security.fetch import words

BLOCKED_SECONDS = 300.0
"""Pause after a refusal that only the operator of either side can end."""
_SHOWN_BYTES = 300
_REFUSES_US = frozenset({401, 403, 407})
_LATER = frozenset({408, 425, 429})


async def post(egress: Egress, who: str, url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> None:
    """Return once it was answered with 2xx. Raises Retry, Dead."""
    try:
        async with (
            asyncio.timeout(timeout),
            egress.session(timeout) as session,
            # The answer is not unpacked: nothing in it is worth what unpacking may cost.
            session.post(url, data=body, headers=dict(headers), auto_decompress=False) as answer,
        ):
            if 200 <= answer.status < 300:
                return
            said = one_line((await answer.content.read(_SHOWN_BYTES)).decode("utf-8", "replace"), _SHOWN_BYTES)
            raise _failure(who, answer.status, said, asked_for(answer.headers))
    except RedirectRefused:
        reason = f"{who} sends us elsewhere, and no redirect is followed: configure the address that it names"
        raise Retry(reason, after=BLOCKED_SECONDS, scope="target", failure="clientError") from None
    except TimeoutError as error:
        raise Retry(f"{who} did not answer within {timeout:g} s", failure="timeout") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise Retry(f"{who} cannot be reached: {one_line(words(error), 300)}") from None


def _failure(who: str, status: int, said: str, pause: float | None) -> Retry | Dead:
    text = f"{who} says HTTP {status} {said}".strip()
    if status in _REFUSES_US:
        return Retry(text, after=BLOCKED_SECONDS, scope="target", failure="authError")
    if status in _LATER or status >= 500:
        failure: FailureClass = "rateLimited" if status == 429 else "serverError"
        return Retry(text, after=pause, scope=None if pause is None else "target", failure=failure)
    return Dead(text)


def checked_url(path: str, url: str) -> str:
    """The URL, if it is one of HTTP without a password in it. Raises ChannelFault; the URL is not shown."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isprintable() or " " in url:
        raise ChannelFault(path, "must be a URL such as https://alerts.example.org/hook")
    if parts.username is not None or parts.password is not None:
        raise ChannelFault(path, "must carry no user and no password: they would stand in every log of the way")
    return url
