"""Decorated generators: the work lasts until the last value, and who takes the values is no part of it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, contextmanager
from typing import Any

import pytest

from hxp_enterprise_llm.client import Instrument
from hxp_enterprise_llm.client.instrument.context import current


class Events:
    """Keeps what is emitted."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def emit(self, event: dict[str, Any]) -> bool:
        self.all.append(event)
        return True

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.all]


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def watch(events: Events) -> Instrument:
    return Instrument(events)


def span() -> str:
    work = current()
    return work.span_id if work else ""


async def test_a_streamed_answer_is_reported_when_it_has_ended(watch: Instrument, events: Events) -> None:
    spans: list[str] = []

    @watch.llm("m")
    async def stream(count: int) -> AsyncGenerator[int, None]:
        for number in range(count):
            spans.append(span())
            assert events.types == ["agent.started"]
            await asyncio.sleep(0)
            yield number

    with watch.agent("a"):
        around = span()
        assert [(number, span()) async for number in stream(3)] == [(0, around), (1, around), (2, around)]
    assert events.types == ["agent.started", "llm.request.completed", "agent.completed"]
    assert {around, *spans} == {around, spans[0]}
    assert events.all[1]["data"]["span_id"] == spans[0]
    assert around not in spans
    assert inspect.isasyncgenfunction(stream)


async def test_a_stream_that_fails_or_is_left_is_a_failure(watch: Instrument, events: Events) -> None:
    @watch.llm("m")
    async def stream() -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("cut off")

    with pytest.raises(ValueError, match="cut off"):
        [number async for number in stream()]
    async with aclosing(stream()) as numbers:
        assert await anext(numbers) == 1
    assert [event["data"]["error_class"] for event in events.all] == ["ValueError", "GeneratorExit"]
    assert span() == ""


async def test_two_streams_by_turns_do_not_mix(watch: Instrument, events: Events) -> None:
    seen: dict[str, set[str]] = {"one": set(), "two": set()}

    @watch.tool("t")
    async def stream(name: str) -> AsyncGenerator[str, None]:
        for _ in range(3):
            seen[name].add(span())
            yield name

    one, two = stream("one"), stream("two")
    for _ in range(3):
        assert (await anext(one), await anext(two), span()) == ("one", "two", "")
    for rest in (one, two):
        assert [name async for name in rest] == []
    assert [len(spans) for spans in seen.values()] == [1, 1]
    assert events.types == ["tool.call.completed"] * 2


def test_values_exceptions_and_results_go_through(watch: Instrument, events: Events) -> None:
    @watch.tool("t")
    def talk() -> Generator[str, str, str]:
        heard = yield "first"
        try:
            yield f"heard {heard}"
        except KeyError as error:
            yield f"caught {error}"
        return "result"

    def whole() -> Generator[str, str, None]:
        assert (yield from talk()) == "result"
        yield "end"

    stream = whole()
    assert next(stream) == "first"
    assert stream.send("word") == "heard word"
    assert stream.throw(KeyError("k")) == "caught 'k'"
    assert list(stream) == ["end"]
    assert events.types == ["tool.call.completed"]
    assert inspect.isgeneratorfunction(talk)


def test_a_context_manager_may_be_watched(watch: Instrument, events: Events) -> None:
    @contextmanager
    @watch.tool("t")
    def held() -> Generator[int, None, None]:
        try:
            yield 1
        except ValueError:
            assert events.types == []

    with held() as value:
        assert (value, span()) == (1, "")
        raise ValueError("the caller's")
    assert events.types == ["tool.call.completed"]


async def test_what_is_sent_to_an_async_stream_goes_through(watch: Instrument, events: Events) -> None:
    @watch.tool("t")
    async def talk() -> AsyncGenerator[str, str]:
        heard = yield "first"
        try:
            yield heard
        except KeyError:
            yield "caught"

    stream = talk()
    assert await anext(stream) == "first"
    assert await stream.asend("word") == "word"
    assert await stream.athrow(KeyError("k")) == "caught"
    assert [text async for text in stream] == []
    assert events.types == ["tool.call.completed"]
