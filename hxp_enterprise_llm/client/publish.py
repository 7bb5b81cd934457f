"""Publishing over HTTP: every event has an id before it is sent, so that sending again stores nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from hxp_enterprise_llm.client.answers import BadAnswer, Unreachable, found, refusal, words
from hxp_enterprise_llm.runtime.clock import Clock, SystemClock

_FIRST_DELAY, _LONGEST_DELAY = 0.25, 5.0


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
    """Sends events to event processing at `base_url`, e.g. `http://127.0.0.1:9100`."""

    def __init__(
        self,
        base_url: str,
        session: aiohttp.ClientSession,
        *,
        deadline: float = 15.0,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`deadline`: seconds for which an overloaded or vanished service is asked again."""
        self._url = base_url.rstrip("/") + "/events"
        self._session, self._deadline = session, deadline
        self._clock, self._sleep = clock or SystemClock(), sleep

    async def publish(self, events: Sequence[Mapping[str, Any]]) -> Receipt:
        """Store events, each `{type, source?, subject?, time?, data?, id?}` or a CloudEvent: all or none.

        Raises Unreachable, Refused, BadAnswer.
        """
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
                wait = delay if again.delay is None else again.delay
                if self._clock.monotonic() + wait > end:
                    raise again.cause from None
                await self._sleep(wait)
                delay = min(2 * delay, _LONGEST_DELAY)

    async def _send(self, lines: Sequence[bytes]) -> Receipt:
        headers = {"Content-Type": "application/x-ndjson"}
        try:
            async with self._session.post(self._url, data=b"\n".join(lines) + b"\n", headers=headers) as answer:
                body = await answer.read()
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(self._url, words(error)) from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise Unreachable(self._url, "this is no address; it begins with http:// or https://") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _Again(Unreachable(self._url, words(error))) from error
        if answer.status == 503:
            raise _Again(refusal(503, body), _retry_after(answer.headers.get("Retry-After", "")))
        if answer.status != 202:
            raise refusal(answer.status, body)
        return self._receipt(body, len(lines))

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
