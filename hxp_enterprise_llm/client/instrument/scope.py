"""What all helpers have in common: `with`, `async with` and `@`, time, failures; they never raise by themselves."""

from __future__ import annotations

import copy
import functools
import inspect
import logging
from collections.abc import Callable
from contextvars import Token
from types import TracebackType
from typing import Any, ParamSpec, Protocol, TypeVar

from hxp_enterprise_llm.client.instrument.context import Work, current, enter, leave, within
from hxp_enterprise_llm.client.instrument.streams import async_stream, stream
from hxp_enterprise_llm.runtime.clock import Clock

log = logging.getLogger("hxp.client")

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Scope")
SHORT = 500
"""Most characters of a text that people wrote."""


class Emits(Protocol):
    """Takes an event, at once and without an exception."""

    def emit(self, event: dict[str, Any], /) -> bool: ...


class Reporter:
    """Sends events of a piece of work, and raises nothing by itself."""

    def __init__(self, emitter: Emits, clock: Clock, work: Work | None = None) -> None:
        self._emitter, self._clock = emitter, clock
        self.work = work
        """Known while it runs."""

    def report(self, type: str, **fields: Any) -> None:
        """Send an event with what is known of the work. Raises nothing."""
        self._safely(lambda: self._emit(type, **fields))

    def _emit(self, type: str, **fields: Any) -> None:
        """Send an event with what is known of the work; fields without a value are left out."""
        around = self.work.fields() if self.work else {}
        data = around | {name: value for name, value in fields.items() if value is not None and value != ""}
        self._emitter.emit({"type": type, "data": data})

    @staticmethod
    def _safely(report: Callable[[], None]) -> None:
        try:
            report()
        except Exception:  # the program that is being watched goes on, whatever it has handed to us
            log.exception("something could not be reported")


class Scope(Reporter):
    """A piece of work, reported when it begins and ends. One object may be entered again, one after another."""

    def __init__(self, emitter: Emits, clock: Clock) -> None:
        super().__init__(emitter, clock)
        self._outer: Work | None = None
        self._token: Token[Work | None] | None = None
        self._began = 0.0

    def _place(self, outer: Work | None) -> Work:
        """Where the work stands."""
        return within(outer)

    def _begun(self) -> None:
        """Report the beginning."""

    def _completed(self) -> None:
        """Report the end."""

    def _failed(self, error: BaseException) -> None:
        """Report a failure."""

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since it began."""
        return round(1000 * (self._clock.monotonic() - self._began), 3)

    def __enter__(self: S) -> S:
        self._outer = current()
        self.work = self._place(self._outer)
        self._token = enter(self.work)
        self._safely(self._begun)
        self._began = self._clock.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._safely(self._completed)
        else:
            self._safely(lambda: self._failed(error))
        self.pause()

    def pause(self) -> None:
        """Until `resume`, what runs is no part of the work."""
        if self._token is not None:
            leave(self._token)
            self._token = None

    def resume(self) -> None:
        """Go on after `pause`."""
        if self.work is not None:
            self._token = enter(self.work)

    async def __aenter__(self: S) -> S:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function or generator, plain or `async`: each call of it is a piece of work of its own."""
        decorated: Any = function
        if inspect.isgeneratorfunction(function):
            return stream(lambda: copy.copy(self), decorated)  # type: ignore[return-value]
        if inspect.isasyncgenfunction(function):
            return async_stream(lambda: copy.copy(self), decorated)  # type: ignore[return-value]
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def waits(*args: P.args, **kwargs: P.kwargs) -> Any:
                with copy.copy(self):
                    return await function(*args, **kwargs)

            return waits  # type: ignore[return-value]

        @functools.wraps(function)
        def runs(*args: P.args, **kwargs: P.kwargs) -> R:
            with copy.copy(self):
                return function(*args, **kwargs)

        return runs


def short(text: object) -> str:
    """The text within bounds."""
    found = str(text)
    return found if len(found) <= SHORT else found[: SHORT - 1] + "…"


def failure(error: BaseException) -> dict[str, str]:
    """What events say of an exception."""
    return {"error": short(error) or type(error).__name__, "error_class": type(error).__name__}
