"""One question to a service, and its answer in the form it should have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import aiohttp
import msgspec

from hxp_enterprise_llm.client.answers import BadAnswer, Unreachable, found, refusal, words

T = TypeVar("T")

_PATIENCE = 60.0
"""Seconds. A drill of notifications takes as long as an attempt of a delivery may, ten unless configured."""


def patience(session: aiohttp.ClientSession, seconds: float) -> aiohttp.ClientTimeout:
    """The session's time-outs, with bounds for a service that says nothing: aiohttp waits for it five minutes."""
    own = session.timeout
    return aiohttp.ClientTimeout(
        total=own.total,
        connect=own.connect,
        sock_connect=own.sock_connect or seconds,
        sock_read=own.sock_read or seconds,
    )


async def ask(
    session: aiohttp.ClientSession,
    url: str,
    type: type[T],
    *,
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
) -> T:
    """Get `url`, or post `body` to it as JSON. Raises Unreachable, Refused, BadAnswer."""
    status, content = await _exchange(session, url, body, query)
    if status not in {200, 202}:
        raise refusal(status, content)
    try:
        return msgspec.json.decode(content, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadAnswer(url, found(content)) from error


async def _exchange(
    session: aiohttp.ClientSession, url: str, body: Mapping[str, Any] | None, query: Mapping[str, str] | None
) -> tuple[int, bytes]:
    method, data = ("GET", None) if body is None else ("POST", msgspec.json.encode(body))
    headers = {} if body is None else {"Content-Type": "application/json"}
    timeout = patience(session, _PATIENCE)
    try:
        async with session.request(method, url, data=data, headers=headers, params=query, timeout=timeout) as answer:
            return answer.status, await answer.read()
    except aiohttp.ClientConnectorError as error:
        raise Unreachable(url, words(error)) from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise Unreachable(url, "this is no address; it begins with http:// or https://") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(url, words(error)) from error
