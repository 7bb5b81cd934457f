"""Publishing over HTTP: every event has an id before it is sent, so that sending again stores nothing twice."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from hxp_enterprise_llm.client.answers import BadAnswer, Unreachable, found, refusal, words
from hxp_enterprise_llm.client.asking import patience
from hxp_enterprise_llm.runtime.clock import Clock, SystemClock

_FIRST_DELAY, _LONGEST_DELAY = 0.25, 5.0
_AGAIN = frozenset({429, 502, 503, 504})
"""The service, or a proxy in front of it, cannot take the batch now."""
_LARGE = 512 * 1024


class Accepted(msgspec.Struct, frozen=True):
    """An event that is stored durably: its offset, or the first offset when it was a repeat."""

    offset: int
    duplicate: bool = False


class Receipt(msgspec.Struct, frozen=True):
    """The answer for a batch, in its order."""

    events: tuple[Accepted, ...]
    epoch: str


class _Again(Exception):
    """The batch may be stored or not: send the same once more after `delay` seconds (None: as the sender likes)."""

    def __init__(self, cause: Exception, delay: float | None = None) -> None:
        super().__init__(cause, delay)
        self.cause, self.delay = cause, delay


class Publisher:
    """Sends events to event processing at `base_url`, e.g. `http://127.0.0.1:9100`.

    `session` is the caller's, with its headers (such as an API key) and time-outs; it stays open.
    """

    def __init__(
        self,
        base_url: str,
        session: aiohttp.ClientSession,
        *,
        deadline: float = 15.0,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`deadline`: seconds for which an overloaded or vanished service is asked again, and for which one that says
        nothing is waited for. A service that was never there is not: an address may be wrong."""
        self._url = base_url.rstrip("/") + "/events"
        self._session, self._deadline = session, deadline
        self._clock, self._sleep = clock or SystemClock(), sleep
        self._reached = False

    async def publish(self, events: Iterable[Mapping[str, Any]]) -> Receipt:
        """Store events, each `{type, source?, subject?, time?, data?, id?}` or a CloudEvent: all or none.

        At most 4,096 events and 20 MiB, as shipped. Raises Unreachable, Refused, BadAnswer; TypeError or ValueError for
        what cannot be written as JSON.
        """
        if isinstance(events, Mapping):
            raise TypeError("publish takes a list of events; put the one into a list: publish([event])")
        return await self.publish_lines([msgspec.json.encode(self.with_id(event)) for event in events])

    def with_id(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """The event with an id; its own when it has one."""
        return event if "id" in event else {"id": self._clock.new_id(), **event}

    async def publish_lines(self, lines: Sequence[bytes]) -> Receipt:
        """Store events that are encoded already, one JSON object each; without an id a repeat is stored twice."""
        end = self._clock.monotonic() + self._deadline
        delay = _FIRST_DELAY
        while True:
            try:
                return await self._send(lines)
            except _Again as again:
                self._reached = True
                wait = delay if again.delay is None else again.delay
                if self._clock.monotonic() + wait > end:
                    raise again.cause from None
                await self._sleep(wait)
                delay = min(2 * delay, _LONGEST_DELAY)

    async def _send(self, lines: Sequence[bytes]) -> Receipt:
        status, retry_after, body = await self._exchange(lines)
        if status in _AGAIN:
            raise _Again(refusal(status, body), _retry_after(retry_after))
        if status != 202:
            raise refusal(status, body)
        return self._receipt(body, len(lines))

    async def _exchange(self, lines: Sequence[bytes]) -> tuple[int, str, bytes]:
        body = b"\n".join(lines) + b"\n" if lines else b"[]"
        # A file is sent piece by piece, so that a large body does not hold the event loop up.
        data = io.BytesIO(body) if len(body) > _LARGE else body
        timeout = patience(self._session, self._deadline)
        headers = {"Content-Type": "application/x-ndjson" if lines else "application/json"}
        try:
            async with self._session.post(self._url, data=data, headers=headers, timeout=timeout) as answer:
                self._reached = True
                return answer.status, answer.headers.get("Retry-After", ""), await answer.read()
        except aiohttp.ClientConnectorError as error:
            raise self._gone(Unreachable(self._url, words(error))) from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise Unreachable(self._url, "this is no address; it begins with http:// or https://") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _Again(Unreachable(self._url, words(error))) from error

    def _gone(self, error: Unreachable) -> Exception:
        """Nobody is there: a service that was is being started again."""
        return _Again(error) if self._reached else error

    def _receipt(self, body: bytes, sent: int) -> Receipt:
        try:
            receipt = msgspec.json.decode(body, type=Receipt)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise BadAnswer(self._url, found(body)) from error
        if len(receipt.events) != sent:
            raise BadAnswer(self._url, f"{len(receipt.events)} answers for {sent} events")
        return receipt


def _retry_after(text: str) -> float | None:
    return float(text) if text.isdecimal() else None
