"""Virtual time. A world has several event loops, one for each process; a seed decides whose turn it is.

Nothing here waits: when no loop has anything to do, the clock jumps to the next timer. Within a turn plain callbacks
keep their order, as asyncio promises; steps of tasks that are ready together are mixed.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.sim.network import Network

TURN_SECONDS = 50e-6
"""Most virtual seconds that one turn of a loop takes."""


class Stuck(Exception):
    """The world ran out of virtual time, or of things to do, before it was done."""


class World:
    """The clock, what is going to happen, and the loops."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = 0.0
        self.turns = 0
        self.loops: list[SimLoop] = []
        self.dead: list[SimLoop] = []
        self.graveyard: list[Any] = []
        """What belonged to dead processes: it must not be finalised in the time of the living."""
        self.escapes: list[BaseException] = []
        self.unhandled: list[dict[str, Any]] = []
        self.current: SimLoop | None = None
        self._hooked: SimLoop | None = None
        """Whose hooks for asynchronous generators are set now."""
        self.over = False
        """Nothing that is said from now on counts."""
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._random = self.stream("schedule")
        self.network: Network

    def forget(self) -> None:
        """Let go of all that was in it."""
        for things in (self.loops, self.dead, self.graveyard, self._agenda, self.unhandled, self.escapes):
            things.clear()
        self.network.servers.clear()
        self.network.connections.clear()

    def stream(self, name: str) -> Random:
        """Randomness of its own for a purpose, so that one purpose does not disturb another."""
        return Random(f"{self.seed}/{name}")

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Let something happen at a time; in the order of the calls when the time is the same."""
        heapq.heappush(self._agenda, (when, next(self._numbers), action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Let something happen so many virtual seconds from now."""
        self.at(self.now + seconds, action)

    def run(self, done: Callable[[], bool], limit: float) -> None:
        """Go on until `done`. Raises Stuck at the virtual second `limit`."""
        hooks = sys.get_asyncgen_hooks()
        try:
            while not done():
                self._go_on()
                if self.now > limit:
                    raise Stuck(f"not done within {limit:g} virtual seconds")
        finally:
            self._hooked = None
            sys.set_asyncgen_hooks(*hooks)

    def _go_on(self) -> None:
        """Let happen what is due, then give one loop its turn, or jump to what comes next."""
        agenda = self._agenda
        while agenda and agenda[0][0] <= self.now:
            heapq.heappop(agenda)[2]()
        ready = [loop for loop in self.loops if loop._ready]  # type: ignore[attr-defined]
        if ready:
            self._turn(ready[int(self._random.random() * len(ready))] if len(ready) > 1 else ready[0])
        elif not agenda:
            raise Stuck("nothing is left to happen")
        else:
            self.now = max(self.now, agenda[0][0])

    def _turn(self, loop: SimLoop) -> None:
        self.turns += 1
        self.current = loop
        if loop is not self._hooked:
            sys.set_asyncgen_hooks(loop._asyncgen_firstiter_hook, loop._asyncgen_finalizer_hook)  # type: ignore[attr-defined]
            self._hooked = loop
        asyncio._set_running_loop(loop)
        try:
            loop.turn(self._random)
        finally:
            asyncio._set_running_loop(None)
            self.current = None
        self.now += TURN_SECONDS * self._random.random()


class SimLoop(asyncio.BaseEventLoop):
    """The event loop of one simulated process. A dead loop takes everything and does nothing."""

    def __init__(
        self, world: World, host: str, name: str, jobs: Callable[..., Callable[[], None]] | None = None
    ) -> None:
        self.world, self.host, self.name = world, host, name
        self.dead = False
        super().__init__()
        self.unhandled: list[dict[str, Any]] = []
        self._jobs = jobs or _plain_job
        self.telling: Callable[[], None] | None = None
        """Called before a job tells the loop of something; set while there is a job."""
        self._lanes: dict[int, tuple[object, float]] = {}
        self._delays = world.stream(f"{name}/jobs")
        self._lives: int | None = None
        self._on_end: Callable[[], None] = lambda: None
        world.loops.append(self)

    # What the world asks

    def turn(self, random: Random) -> None:
        """Run what is ready now."""
        ready = list(self._ready)  # type: ignore[attr-defined]
        self._ready.clear()  # type: ignore[attr-defined]
        for handle in _mixed(ready, random) if len(ready) > 1 else ready:
            if not handle._cancelled and not self.dead:
                handle._run()
        if self._lives is not None:
            self._lives -= 1
            if self._lives < 0:
                self._on_end()

    def end_after(self, turns: int, action: Callable[[], None]) -> None:
        """Call `action` when so many further turns have passed: a process dies in the middle of something."""
        self._lives, self._on_end = turns, action

    def die(self) -> None:
        """The process is gone: nothing of it runs any more."""
        self.dead, self._lives = True, None
        self._ready.clear()  # type: ignore[attr-defined]
        self.world.loops.remove(self)
        self.world.dead.append(self)
        for task in asyncio.all_tasks(self):
            task._log_destroy_pending = False  # type: ignore[attr-defined]

    # What asyncio asks

    def time(self) -> float:
        return self.world.now

    def is_running(self) -> bool:
        return self.world.current is self

    def is_closed(self) -> bool:
        return self.dead

    def __del__(self) -> None:
        """There is no selector that would have to be closed."""

    def _check_closed(self) -> None:
        """The last breath of a dead process is no error."""

    def _write_to_self(self) -> None:
        """There is no other thread that would have to be woken for."""

    def get_debug(self) -> bool:
        return False

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self.dead:
            self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        """From within a job: what it has done so far is told."""
        if self.telling is not None:
            self.telling()
        return self.call_soon(callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)

        def ring() -> None:
            if not timer._cancelled and not self.dead:  # type: ignore[attr-defined]
                self._ready.append(timer)  # type: ignore[attr-defined]

        self.world.at(when, ring)
        return timer

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """The agenda skips it."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.dead:
            self.unhandled.append(context)

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """Run a blocking call some virtual time later; the calls of one executor keep their order."""
        future = self.create_future()
        _, free = self._lanes.get(id(executor), (None, 0.0))
        begin = max(free, self.time()) + self._delay()
        end = begin + self._delay()
        self._lanes[id(executor)] = (executor, end)
        self.world.at(begin, self._jobs(self, end, future, func, args))
        return future

    def _delay(self) -> float:
        return 0.0001 + self._delays.random() ** 4 * 0.02

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:  # type: ignore[override]
        return self.world.network.resolve(host, port)

    async def create_server(
        self, factory: Any, host: Any = None, port: Any = None, *, sock: Any = None, **_: Any
    ) -> Any:  # type: ignore[override]
        return self.world.network.serve(self, factory, sock, host, port)

    async def sock_connect(self, sock: Any, address: Any) -> None:
        await self.world.network.connect(self, sock, address)

    async def create_connection(  # type: ignore[override]
        self, factory: Any, host: Any = None, port: Any = None, *, sock: Any = None, ssl: Any = None, **_: Any
    ) -> Any:
        if ssl:
            raise NotImplementedError("the virtual network has no TLS")
        return await self.world.network.open(self, factory, sock, host, port)


def _plain_job(
    loop: SimLoop, end: float, future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]
) -> Callable[[], None]:
    """A job that runs at its beginning and is answered at its end."""

    def work() -> None:
        if loop.dead:
            return
        try:
            result, error = func(*args), None
        except Exception as raised:  # whatever the job raises is its answer
            result, error = None, raised
        loop.world.at(max(end, loop.world.now), lambda: answer(loop, future, result, error))

    return work


def answer(loop: SimLoop, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    """Give the result of a job to those who wait for it, in their own loop."""

    def tell() -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    loop.call_soon(tell)


def _mixed(ready: list[asyncio.Handle], random: Random) -> list[asyncio.Handle]:
    """Steps of tasks that are neighbours in another order. No step passes a callback: libraries lean on it."""
    mixed: list[asyncio.Handle] = []
    steps: list[asyncio.Handle] = []
    for handle in ready:
        if _is_step(handle):
            steps.append(handle)
            continue
        if len(steps) > 1:
            random.shuffle(steps)
        mixed += steps
        steps = []
        mixed.append(handle)
    if len(steps) > 1:
        random.shuffle(steps)
    return mixed + steps


def _is_step(handle: asyncio.Handle) -> bool:
    callback = handle._callback  # type: ignore[attr-defined]
    return type(callback).__name__ == "TaskStepMethWrapper" or isinstance(
        getattr(callback, "__self__", None), asyncio.Task
    )
