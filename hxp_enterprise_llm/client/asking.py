"""One question to a service, and its answer in the form it should have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import aiohttp
import msgspec

from hxp_enterprise_llm.client.answers import BadAnswer, Unreachable, found, refusal, words

T = TypeVar("T")


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
    try:
        async with session.request(method, url, data=data, headers=headers, params=query) as answer:
            return answer.status, await answer.read()
    except aiohttp.ClientConnectorError as error:
        raise Unreachable(url, words(error)) from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise Unreachable(url, "this is no address; it begins with http:// or https://") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(url, words(error)) from error
