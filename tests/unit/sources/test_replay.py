"""Replaying a trace: paced, complete, marked, and patient with a log that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from hxp_enterprise_llm.event.log.model import BatchTooLarge, EventTooLarge, Limits, LogClosed, LogFull, LogUnavailable
from hxp_enterprise_llm.event.model import BEGINNING, Encoded
from hxp_enterprise_llm.event.sources.replay import Trace, TracePlayer, TraceRequest, estimated_latency_ms

from ..processing.events import NOW
from ..processing.virtual import VirtualClock, opened

Sent = list[tuple[float, int]]


def trace_of(*times: float) -> Trace:
    requests = (TraceRequest(line, at, 100 * line, line) for line, at in enumerate(times, start=2))
    return Trace("a trace.csv", "0123456789abcdef" * 4, tuple(requests))


async def played(trace: Trace, speed: float, append_seconds: float = 0.0) -> tuple[Sent, list[int]]:
    """When each batch was sent (virtual seconds) and how large, and what progress was told."""
    clock, sent, told = VirtualClock(), [], []

    async def append(batch: Sequence[Encoded]) -> None:
        sent.append((round(clock.monotonic(), 6), len(batch)))
        if append_seconds:
            await clock.sleep(append_seconds)

    player = TracePlayer(trace, append, clock=clock, speed=speed, sleep=clock.sleep)
    task = asyncio.create_task(player.run(lambda done, total: told.append(done)))
    await clock.advance(10_000)
    await task
    return sent, told


async def test_requests_keep_their_distances() -> None:
    assert await played(trace_of(0, 0, 1.5, 4), 1.0) == ([(0, 2), (1.5, 1), (4, 1)], [0, 2, 3, 4])


async def test_speed_shortens_the_distances() -> None:
    assert (await played(trace_of(0, 10, 40), 20))[0] == [(0, 1), (0.5, 1), (2, 1)]


async def test_speed_0_is_as_fast_as_the_log_takes_it() -> None:
    sent, told = await played(trace_of(*range(600)), 0)
    assert sent == [(0, 256), (0, 256), (0, 88)]
    assert told == [0, 256, 512, 600]


async def test_what_fell_due_during_a_slow_append_goes_out_together() -> None:
    assert (await played(trace_of(0, 1, 2, 3, 9), 1, append_seconds=2.5))[0] == [(0, 1), (2.5, 2), (5, 1), (9, 1)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 100), max_size=30).map(sorted), st.sampled_from([0.3, 1.0, 7.0]))
async def test_each_request_is_sent_once_and_never_early(times: list[float], speed: float) -> None:
    sent, told = await played(trace_of(*times), speed)
    moments = [moment for moment, size in sent for _ in range(size)]
    assert moments == pytest.approx([at / speed for at in times], abs=1e-5)
    assert told[-1] == len(times)


async def test_an_event_says_that_it_is_a_replay() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    player = TracePlayer(trace_of(0, 2), log.append, clock=clock, speed=1, run_id="r1", sleep=clock.sleep)
    task = asyncio.create_task(player.run(lambda done, total: None))
    await clock.advance(5)
    await task
    events = [msgspec.json.decode(stored.raw) for stored in (await log.read(BEGINNING)).events]
    assert events[1] == {
        "specversion": "1.0",
        "id": "0123456789ab/3/r1",
        "source": "/replay/a%20trace.csv",
        "type": "llm.request.completed",
        "time": "2027-01-15T08:00:02.000Z",
        "data": {
            "model": "replay",
            "input_tokens": 300,
            "output_tokens": 3,
            "total_tokens": 303,
            "latency_ms": 155.0,
            "latency_estimated": True,
            "replay": True,
            "trace": "a trace.csv",
        },
    }
    assert len({event["id"] for event in events}) == 2
    assert NOW == 1_800_000_000


def test_the_latency_is_estimated_by_the_formula_that_the_docs_state() -> None:
    assert estimated_latency_ms(0, 0) == 50
    assert estimated_latency_ms(1000, 100) == 50 + 100 + 2500


async def test_two_runs_are_two_replays_and_one_run_is_one() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    for run_id in (None, None, "same", "same"):
        await TracePlayer(trace_of(0), log.append, clock=clock, speed=0, run_id=run_id).run(lambda done, total: None)
    assert len((await log.read(BEGINNING)).events) == 3


async def test_a_log_that_is_away_is_waited_for_and_nothing_is_lost_or_doubled() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    log.fail_next(LogUnavailable("away", maybe_stored=False))
    log.fail_next(LogFull("no space on the disk"))
    log.fail_next(LogUnavailable("no answer", maybe_stored=True), after_store=True)
    player = TracePlayer(trace_of(*[0] * 10), log.append, clock=clock, speed=1, sleep=clock.sleep)
    with capture_logs() as lines:
        task = asyncio.create_task(player.run(lambda done, total: None))
        await clock.advance(10)
        await task
    assert len((await log.read(BEGINNING)).events) == 10
    assert [line["event"] for line in lines] == ["replay.append.failing", "replay.append.recovered"]


async def test_a_log_that_is_closed_ends_the_replay_and_is_no_failure() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    await log.close()
    with capture_logs() as lines, pytest.raises(LogClosed):
        await TracePlayer(trace_of(0), log.append, clock=clock, speed=1).run(lambda done, total: None)
    assert lines == []


async def test_a_log_with_small_batches_gets_small_batches() -> None:
    clock = VirtualClock()
    log = await opened(clock, limits=Limits(max_batch_events=3))
    await TracePlayer(trace_of(*[0] * 10), log.append, clock=clock, speed=0).run(lambda done, total: None)
    assert len((await log.read(BEGINNING)).events) == 10


@pytest.mark.parametrize(
    ("limits", "error"),
    [(Limits(max_batch_bytes=10), BatchTooLarge), (Limits(max_event_bytes=10), EventTooLarge)],
)
async def test_a_log_that_takes_not_even_one_event_ends_the_replay(limits: Limits, error: type[Exception]) -> None:
    clock = VirtualClock()
    log = await opened(clock, limits=limits)
    with pytest.raises(error):
        await TracePlayer(trace_of(0, 0), log.append, clock=clock, speed=0).run(lambda done, total: None)


async def test_a_replay_can_be_stopped_while_it_waits() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    player = TracePlayer(trace_of(0, 3600), log.append, clock=clock, speed=1, sleep=clock.sleep)
    task = asyncio.create_task(player.run(lambda done, total: None))
    await clock.advance(5)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert len((await log.read(BEGINNING)).events) == 1


@pytest.mark.parametrize("speed", [-1, float("nan"), float("inf")])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    async def append(batch: Sequence[Encoded]) -> Any:
        raise AssertionError(batch)

    with pytest.raises(ValueError, match="give a factor such as 10, or 0 for as fast as possible"):
        TracePlayer(trace_of(0), append, clock=VirtualClock(), speed=speed)
