"""Replays a trace of a real LLM service as `llm.request.completed` events, each marked as a replay.

Traces hold no latencies. `latency_ms` is estimated from the tokens (see `estimated_latency_ms`) and says so.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from math import isfinite
from typing import Any
from urllib.parse import quote

import structlog

from hxp_enterprise_llm.event.log.model import BatchTooLarge, EventTooLarge, LogClosed, LogError
from hxp_enterprise_llm.event.model import Encoded, Event, encode, rfc3339
from hxp_enterprise_llm.event.sources.traces import Trace, TraceFault, TraceRequest, load_trace, read_trace
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.outage import Outage

__all__ = ["Trace", "TraceFault", "TracePlayer", "TraceRequest", "estimated_latency_ms", "load_trace", "read_trace"]

log = structlog.get_logger("replay")

Append = Callable[[Sequence[Encoded]], Awaitable[Any]]
Progress = Callable[[int, int], None]

BATCH_EVENTS = 256
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0

_FIXED_MS = 50.0
_MS_PER_INPUT_TOKEN = 0.1
_MS_PER_OUTPUT_TOKEN = 25.0


def estimated_latency_ms(input_tokens: int, output_tokens: int) -> float:
    """50 ms + 0.1 ms a token in + 25 ms a token out: a service that reads 10,000 tokens a second and writes 40."""
    return round(_FIXED_MS + _MS_PER_INPUT_TOKEN * input_tokens + _MS_PER_OUTPUT_TOKEN * output_tokens, 1)


class TracePlayer:
    """Plays one trace once, at `speed` times its own pace; 0 is as fast as the log takes it.

    Ids are `<first 12 of the file's SHA-256>/<line>/<run id>`, so a batch that has to be sent again is no second one.
    """

    def __init__(
        self,
        trace: Trace,
        append: Append,
        *,
        clock: Clock,
        speed: float = 1.0,
        run_id: str | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Raises ValueError for a speed that is no finite number of at least 0."""
        if not (isfinite(speed) and speed >= 0):
            raise ValueError(f"speed is {speed}; give a factor such as 10, or 0 for as fast as possible")
        self._trace, self._append, self._clock, self._speed, self._sleep = trace, append, clock, speed, sleep
        self._times = [request.at_s for request in trace.requests]
        self._run_id = run_id or clock.new_id()
        self._appending = Outage(log, "replay.append")

    async def run(self, progress: Progress) -> None:
        """Append everything in its time and return; `progress(done, total)` is told after each batch.

        A log that is away is waited for, and the replay is late by so much. Raises BatchTooLarge or EventTooLarge
        when the log takes not even one of its events, and LogClosed when it never will again.
        """
        started, done, total = self._clock.monotonic(), 0, len(self._times)
        progress(done, total)
        while done < total:
            elapsed = self._clock.monotonic() - started
            due = min(self._due(elapsed), done + BATCH_EVENTS)
            if due == done:
                await self._sleep(max(0.0, self._times[done] / self._speed - elapsed))
                continue
            await self._send([self._event(request, elapsed) for request in self._trace.requests[done:due]])
            done = due
            progress(done, total)
            # An append that is answered at once does not pause.
            await asyncio.sleep(0)

    def _due(self, elapsed: float) -> int:
        """How many requests are due after so many seconds."""
        # A nanosecond of grace, so that a timer which is exact to the last digit but one is not waited for again.
        return bisect_right(self._times, (elapsed + 1e-9) * self._speed) if self._speed else len(self._times)

    def _event(self, request: TraceRequest, elapsed: float) -> Encoded:
        late = elapsed - request.at_s / self._speed if self._speed else 0.0
        name = self._trace.name
        return encode(
            Event(
                id=f"{self._trace.digest[:12]}/{request.line}/{self._run_id}",
                source=f"/replay/{quote(name)}",
                type="llm.request.completed",
                time=rfc3339(self._clock.time() - late),
                data={
                    "model": "replay",
                    "input_tokens": request.input_tokens,
                    "output_tokens": request.output_tokens,
                    "total_tokens": request.input_tokens + request.output_tokens,
                    "latency_ms": estimated_latency_ms(request.input_tokens, request.output_tokens),
                    "latency_estimated": True,
                    "replay": True,
                    "trace": name,
                },
            )
        )

    async def _send(self, batch: Sequence[Encoded]) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._append(batch)
            except BatchTooLarge:
                if len(batch) == 1:
                    raise
                await self._send(batch[: len(batch) // 2])
                await self._send(batch[len(batch) // 2 :])
                return
            except (EventTooLarge, LogClosed):
                raise
            except LogError as error:
                self._appending.failed(error)
                await self._sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._appending.worked()
                return
