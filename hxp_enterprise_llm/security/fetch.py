"""GET from another service: bounded in size and time, through the egress, without redirects and without compression."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
import msgspec

from hxp_enterprise_llm.security.egress import RedirectRefused
from hxp_enterprise_llm.telemetry.text import clean

_SHOWN_BYTES = 200
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "citadel"}


class FetchError(Exception):
    """Another service does not answer as it should.

    The text says what is wrong, and what to do if that can be known.
    """


class Fetch:
    """Asks one host. `timeout`: seconds for the whole of an answer, `limit`: bytes of it."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, *, timeout: float, limit: int) -> None:
        self._session, self._timeout, self._limit = session, timeout, limit
        self.base_url = base_url.rstrip("/")

    async def get(
        self, path: str, *, accept: str = "application/json", query: Mapping[str, str] | None = None
    ) -> bytes:
        """The body of a 2xx. Raises FetchError."""
        url = self.base_url + path
        try:
            async with (
                asyncio.timeout(self._timeout),
                # What may be packed is not unpacked: a small answer could become any size.
                self._session.get(
                    url, params=query, headers={**_HEADERS, "Accept": accept}, auto_decompress=False
                ) as answer,
            ):
                if not 200 <= answer.status < 300:
                    said = clean((await answer.content.read(_SHOWN_BYTES)).decode("utf-8", "replace").strip())
                    raise FetchError(f"{_place(url)} answers {answer.status} {said}".rstrip())
                if answer.headers.get("Content-Encoding", "identity") != "identity":
                    raise FetchError(f"{_place(url)} compresses its answer although it was asked not to")
                return await self._body(answer, url)
        except RedirectRefused:
            raise FetchError(f"{_place(url)} answers with a redirect; name the place that it leads to") from None
        except TimeoutError:
            raise FetchError(f"{_place(url)} has not answered within {self._timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchError(f"{_place(url)} does not answer: {clean(words(error))}") from None

    async def _body(self, answer: aiohttp.ClientResponse, url: str) -> bytes:
        parts, size = [], 0
        async for part in answer.content.iter_chunked(65536):
            size += len(part)
            if size > self._limit:
                raise FetchError(f"{_place(url)} answers with more than {self._limit:,} bytes")
            parts.append(part)
        return b"".join(parts)


def json_object(body: bytes) -> dict[str, object]:
    """The JSON object of an answer. Raises FetchError."""
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FetchError(f"its answer is no JSON object: {clean(str(error))}") from None


def _place(url: str) -> str:
    """The URL without a password that may be in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def words(error: Exception) -> str:
    """Why there is no connection, in the operating system's words where it has any."""
    inner = getattr(error, "os_error", None) or error
    number = getattr(inner, "errno", None)
    if isinstance(number, int) and number > 0 and not isinstance(inner, ssl.SSLError):
        return os.strerror(number)
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
