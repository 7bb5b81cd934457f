"""Decorated generators: the work lasts until the last value, and only what runs inside the generator is part of it."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, Protocol

P = ParamSpec("P")


class Pauses(Protocol):
    """Work that can be left for a while: whoever takes a value is no part of it."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


Begin = Callable[[], AbstractContextManager[Pauses]]


def stream(begin: Begin, function: Callable[P, Generator[Any, Any, Any]]) -> Callable[P, Generator[Any, Any, Any]]:
    """The generator function, each call of it a piece of work."""

    @functools.wraps(function)
    def yields(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, Any]:
        with begin() as work:
            generator = function(*args, **kwargs)
            step: Callable[[Any], Any] = generator.send
            sent: Any = None
            while True:
                try:
                    value = step(sent)
                except StopIteration as end:
                    return end.value
                work.pause()
                try:
                    step, sent = generator.send, (yield value)
                except BaseException as error:  # it is the generator's, as are values that are sent
                    step, sent = generator.throw, error
                finally:
                    work.resume()

    return yields


def async_stream(
    begin: Begin, function: Callable[P, AsyncGenerator[Any, Any]]
) -> Callable[P, AsyncGenerator[Any, Any]]:
    """The same for `async def` with `yield`."""

    @functools.wraps(function)
    async def yields(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Any, Any]:
        with begin() as work:
            generator = function(*args, **kwargs)
            step: Callable[[Any], Any] = generator.asend
            sent: Any = None
            while True:
                try:
                    value = await step(sent)
                except StopAsyncIteration:
                    return
                work.pause()
                try:
                    step, sent = generator.asend, (yield value)
                except BaseException as error:  # it is the generator's, as are values that are sent
                    step, sent = generator.athrow, error
                finally:
                    work.resume()

    return yields
