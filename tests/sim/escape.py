"""Walls around a run: real time, randomness, sockets and threads cannot be reached, and who tries is named.

The program must take clock and randomness from what it is handed: when it asks the machine, that is an Escape.
Libraries that ask the machine are given virtual answers instead. A thread is an Escape, whoever wants it; what asks for
a socket is given one of the virtual network.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp.connector

from tests.sim.loop import World
from tests.sim.network import SimSocket

PROGRAM = "hxp_enterprise_llm."
EPOCH_SECONDS = 1_800_000_000.0
"""Wall-clock time at which every run begins."""


class Escape(BaseException):
    """Something was about to leave the simulation. No `except Exception` may hide it."""

    def __init__(self, what: str, who: str) -> None:
        super().__init__(what, who)
        self.what, self.who = what, who

    def __str__(self) -> str:
        return f"{self.who} uses {self.what}, which a seed cannot repeat"


def forbidden(world: World, what: str) -> Callable[..., Any]:
    """A function that nobody may call."""

    def refuse(*_: Any, **__: Any) -> Any:
        escape = Escape(what, _caller())
        world.escapes.append(escape)
        raise escape

    return refuse


def virtual(world: World, what: str, answer: Callable[..., Any]) -> Callable[..., Any]:
    """A function that libraries may call; the program may not."""

    def call(*args: Any, **options: Any) -> Any:
        who = _caller()
        if who.startswith(PROGRAM):
            escape = Escape(what, who)
            world.escapes.append(escape)
            raise escape
        return answer(*args, **options)

    return call


def _caller() -> str:
    """The caller of the wall; behind the system's clock, who asked for that one."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__") == f"{PROGRAM}runtime.clock":
        frame = frame.f_back
    return f"{frame.f_globals.get('__name__', '?')}:{frame.f_lineno}"


@contextlib.contextmanager
def sealed(world: World) -> Iterator[None]:
    """Put up the walls for the time of a run."""
    chance = world.stream("machine")

    def wall() -> float:
        return EPOCH_SECONDS + world.now

    def monotonic() -> float:
        return world.now

    def token(size: int | None = None) -> bytes:
        return chance.randbytes(32 if size is None else size)

    walls: list[tuple[Any, str, Any]] = [
        (time, "time", virtual(world, "time.time", wall)),
        (time, "monotonic", virtual(world, "time.monotonic", monotonic)),
        (time, "perf_counter", virtual(world, "time.perf_counter", monotonic)),
        (time, "time_ns", virtual(world, "time.time_ns", lambda: int(wall() * 1e9))),
        (time, "sleep", forbidden(world, "time.sleep")),
        (aiohttp.connector, "monotonic", monotonic),
        (os, "urandom", virtual(world, "os.urandom", token)),
        (uuid, "uuid4", virtual(world, "uuid.uuid4", lambda: uuid.UUID(bytes=token(16), version=4))),
        (uuid, "uuid1", forbidden(world, "uuid.uuid1")),
        (secrets, "token_bytes", virtual(world, "secrets.token_bytes", token)),
        (random, "random", virtual(world, "random.random", chance.random)),
        (random, "uniform", virtual(world, "random.uniform", chance.uniform)),
        (random, "randint", virtual(world, "random.randint", chance.randint)),
        (random, "choice", virtual(world, "random.choice", chance.choice)),
        (random, "shuffle", virtual(world, "random.shuffle", chance.shuffle)),
        (threading.Thread, "start", forbidden(world, "a thread")),
        (socket, "socket", SimSocket),
        (socket, "create_connection", forbidden(world, "a real socket")),
        (socket, "socketpair", forbidden(world, "a real socket")),
        (socket, "gethostname", lambda: world.current.host if world.current else "nowhere"),
    ]
    before = [(place, name, getattr(place, name)) for place, name, _ in walls]
    try:
        for place, name, value in walls:
            setattr(place, name, value)
        yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)
