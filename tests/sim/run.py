"""One run: the program's two processes, publishers, readers, the faults of a plan; then peace, and the checks."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import structlog
from aiohttp.web_app import _cached_build_middleware

from tests.sim import checks, readers
from tests.sim.disk import Loss
from tests.sim.escape import Escape, sealed
from tests.sim.history import Got, History, Reader
from tests.sim.loop import SimLoop, Stuck, World
from tests.sim.network import Network
from tests.sim.node import GATEWAY, PROCESSING, Node
from tests.sim.plan import Fault, Plan
from tests.sim.publishers import SimPublisher
from tests.sim.shared import memory_directory, shared

REST_SECONDS = 90.0
"""Virtual seconds after the load in which everything must have come to rest."""
MOST_CONNECTIONS, MOST_TASKS = 24, 40
"""What a process may have at rest beside its readers: publishers, its own, those that are just being closed."""
_PEOPLE = "192.168.10.9"

_left: list[_Simulation] = []


@dataclass
class Result:
    """What came of a run."""

    plan: Plan
    history: History
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """Virtual seconds that it took."""


def run(plan: Plan, *, last: bool = False) -> Result:
    """Run a plan and check what happened. `last`: the process ends with it, and nothing has to be cleared away."""
    with _without_gc(for_good=last):
        result = _live(plan, last=last)
        if not last:
            with _unheard():
                gc.collect()
    result.violations += checks.check(result.history, plan)
    return result


def _live(plan: Plan, *, last: bool) -> Result:
    world = World(plan.seed)
    result = Result(plan, History())
    with contextlib.ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="sim-", dir=memory_directory()))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        stack.enter_context(_quiet(result.history, world, directory))
        stack.enter_context(shared())
        stack.enter_context(sealed(world))
        simulation = _Simulation(world, plan, result.history, directory)
        stack.callback(simulation.leave if last else simulation.bury)
        try:
            simulation.go()
        except Stuck as stuck:
            result.violations.append(f"I8 it does not come to rest: {stuck}; {simulation.state()}")
        except Escape:
            pass  # the world has taken note of it
        result.seconds = world.now
        result.violations += [f"escape: {escape}" for escape in world.escapes]
        result.violations += simulation.broken
        result.violations += [f"unhandled: {_words(context)}" for context in simulation.unhandled()]
    return result


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Finalisers of what dies with a world run in here, and nobody hears what they complain about."""
    # It keeps the handlers of applications that are long gone.
    _cached_build_middleware.cache_clear()
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.unraisablehook = hook


def _words(context: dict[str, Any]) -> str:
    error = context.get("exception")
    if error is None:
        return str(context.get("message"))
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" in {Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in last)
    return f"{context.get('message')}: {error!r}{where}"


@contextlib.contextmanager
def _quiet(history: History, world: World, directory: Path) -> Iterator[None]:
    """Log lines go into the history; what libraries complain about is an error that nobody took care of."""

    def note(_: Any, level: str, fields: Any) -> Any:
        if level in ("error", "critical", "warning") and not world.over:
            who = world.current.name if world.current else "disk"
            facts = [f"{key}={value}".replace(str(directory), "") for key, value in fields.items() if key != "event"]
            history.add(world.now, who, level, fields["event"], *facts)
        raise structlog.DropEvent

    class Complaints(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            if world.over:
                return
            world.unhandled.append({"message": record.getMessage(), "exception": error})

    before, handler, root = structlog.get_config(), Complaints(logging.ERROR), logging.getLogger()
    structlog.configure(processors=[note], cache_logger_on_first_use=False)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        structlog.configure(**before)


@contextlib.contextmanager
def _without_gc(*, for_good: bool) -> Iterator[None]:
    """A collection would come at a moment that no seed decides."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was and not for_good:
            gc.enable()


class _Simulation:
    """The parts of one run."""

    def __init__(self, world: World, plan: Plan, history: History, directory: Path) -> None:
        self.world, self.plan, self.history = world, plan, history
        world.network = Network(world, plan.line)
        self.nodes = {
            name: Node(world, name, host, directory / name, history)
            for name, host in (("processing", PROCESSING), ("gateway", GATEWAY))
        }
        self._people = SimLoop(world, _PEOPLE, "people")
        self._publishers = [
            SimPublisher(world, f"p{n}", history, plan.load, plan.pause) for n in range(plan.publishers)
        ]
        self._readers = [readers.make(world, n, history) for n in range(plan.readers)]
        self._settled_since: float | None = None
        self._look_at = 0.0
        self.broken: list[str] = []

    def go(self) -> None:
        """Load and faults, then rest, then read the log."""
        for node in self.nodes.values():
            node.start()
        self.world.run(lambda: all(node.ready for node in self.nodes.values()), 10)
        begin = self.world.now
        for fault in self.plan.faults:
            self.world.at(fault.at, functools.partial(self._do, fault))
        for publisher in self._publishers:
            publisher.failing = self.plan.failing
            self._people.create_task(publisher.run())
        for reader in self._readers:
            self._people.create_task(reader.run())
        for name, address in (("processing", f"{PROCESSING}:9100"), ("gateway", f"{GATEWAY}:9102")):
            self._people.create_task(readers.ask_health(self.world, self.history, name, address, 1.0))
        end = begin + self.plan.load
        self.world.run(lambda: self.world.now >= end, end + 1)
        self._mend()
        self._rest()
        if self._ends_in_alarm():
            # What waited to be told has been told in the last moment: its end is still to come.
            self._rest()
        self.history.rested = True
        self._look_at_bounds()

    def _rest(self) -> None:
        """Until everybody is at rest; then the log is read."""
        self._settled_since = None
        self.world.run(self._at_rest, self.world.now + REST_SECONDS)
        self.history.final.clear()
        self._read_log()

    def _ends_in_alarm(self) -> bool:
        told = [got.type for got in self.history.final if got.type in ("alert.firing", "alert.resolved")]
        return bool(told) and told[-1] == "alert.firing"

    def _look_at_bounds(self) -> None:
        """I4: what is open and what runs is as much as there are readers."""
        for node in self.nodes.values():
            assert node.loop is not None
            connections, tasks = self.world.network.count(node.loop), len(asyncio.all_tasks(node.loop))
            if connections > self.plan.readers + MOST_CONNECTIONS or tasks > self.plan.readers + MOST_TASKS:
                self.broken.append(f"I4 {node.name} has {connections} connections and {tasks} tasks at rest")

    # Faults

    def _do(self, fault: Fault) -> None:
        node = self.nodes.get(fault.node)
        self.history.faults.append((self.world.now, self.world.now + fault.seconds, fault.kind, fault.node))
        self.history.add(self.world.now, "fault", str(fault))
        world, network = self.world, self.world.network
        match fault.kind:
            case "kill" | "power" | "rot" if node is not None and node.loop is not None:
                node.loop.end_after(fault.turns, functools.partial(self._fell, node, fault))
            case "restart" if node is not None:
                node.stop()
            case "reset" if node is not None:
                network.reset(fault.count, node.host)
            case "part" | "part_readers":
                pair = (PROCESSING, GATEWAY) if fault.kind == "part" else (_PEOPLE, GATEWAY)
                network.part(*pair)
                world.after(fault.seconds, lambda: network.heal(*pair))
            case "disk_full" if node is not None:
                node.disk.full += 1
                world.after(fault.seconds, node.disk.make_room)
            case "disk_error" if node is not None:
                node.disk.failing_syncs += 1
            case "disk_hangs" if node is not None:
                node.disk.hangs_until = world.now + fault.seconds
            case "clock" if node is not None:
                node.clock.offset += fault.seconds
            case "slow":
                for reader in world.stream(f"slow/{fault.at}").sample(
                    self._readers, min(fault.count, len(self._readers))
                ):
                    reader.seen.stalled = world.now + fault.seconds

    def _fell(self, node: Node, fault: Fault) -> None:
        """A process dies; with the power of its host also what it had not synced."""
        if fault.kind == "kill":
            node.crash("killed")
            self.world.after(1.0, node.start)
            return
        random = self.world.stream(f"tear/{fault.at}")
        self.world.network.power_off(node.host)
        node.crash("power", Loss(lambda size: random.randint(0, size), rotten=fault.kind == "rot"))
        self.world.after(max(1.0, fault.seconds), lambda: self._power_on(node))

    def _power_on(self, node: Node) -> None:
        self.world.network.power_on(node.host)
        node.start()

    def _mend(self) -> None:
        """Every cause goes away; what it broke must heal by itself."""
        self.history.mended = self.world.now
        self.history.add(self.world.now, "world", "mended")
        self.world.network.heal(PROCESSING, GATEWAY)
        self.world.network.heal(_PEOPLE, GATEWAY)
        for node in self.nodes.values():
            node.clock.offset = 0.0
            node.disk.full, node.disk.failing_syncs, node.disk.hangs_until = 0, 0, 0.0
            if node.host in self.world.network.dark:
                self._power_on(node)

    # Rest

    def _at_rest(self) -> bool:
        """Whether for three seconds everybody was connected and had all that was acknowledged."""
        if self.world.now < self._look_at:
            return False
        self._look_at = self.world.now + 0.5
        if not self._calm():
            self._settled_since = None
            return False
        if self._settled_since is None:
            self._settled_since = self.world.now
        return self.world.now - self._settled_since > 3.0

    def _calm(self) -> bool:
        if not all(publisher.done for publisher in self._publishers):
            return False
        if not all(node.ready for node in self.nodes.values()):
            return False
        if self._firing():
            return False
        last = max((offset for _, offset, _ in self.history.acknowledged.values()), default=0)
        return not any(self._behind(reader.seen, last) for reader in self._readers)

    @staticmethod
    def _behind(reader: Reader, last: int) -> bool:
        """Whether a reader lacks something. Who takes what comes, and saw nothing come yet, lacks nothing."""
        if reader.position is None:
            return reader.from_beginning
        return reader.position[1] < last

    def _firing(self) -> bool:
        """Whether an alert was told and its end was not. A rotten log may have lost the end that it had taken."""
        if any(kind == "rot" for _, _, kind, _ in self.history.faults):
            return False
        told = [got.type for got in self._readers[0].seen.items if got is not None and got.type.startswith("alert.")]
        return bool(told) and told[-1] != "alert.resolved"

    def state(self) -> str:
        """Who is not at rest, in words."""
        parts = [f"{name} is not ready" for name, node in self.nodes.items() if not node.ready]
        parts += [f"publisher {n} has not ended" for n, p in enumerate(self._publishers) if not p.done]
        parts += ["an alert fires"] if self._firing() else []
        last = max((offset for _, offset, _ in self.history.acknowledged.values()), default=0)
        parts += [
            f"{r.seen.name} is at {r.seen.position} of {last}" for r in self._readers if self._behind(r.seen, last)
        ]
        return ", ".join(parts)

    def _read_log(self) -> None:
        """Read the whole log over HTTP, as anybody may."""
        reading = self._people.create_task(_read_all(self.history))
        self.world.run(reading.done, self.world.now + 30)
        if answer := reading.result():
            self.broken.append(f"I1 the log cannot be read to its end: {answer}")

    def unhandled(self) -> list[dict[str, Any]]:
        """Errors that nobody took care of."""
        found = list(self.world.unhandled)
        for loop in self.world.loops:
            found += loop.unhandled
        return found

    def leave(self) -> None:
        """Keep all of it, as it is, until the process ends: no finaliser runs."""
        self.world.over = True
        _left.append(self)

    def bury(self) -> None:
        """End what still runs, and let go of everything inside the walls."""
        for node in self.nodes.values():
            node.crash("over")
        self._people.die()
        world = self.world
        world.over = True
        with _unheard():
            for task in [task for loop in world.dead for task in asyncio.all_tasks(loop)]:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                with contextlib.suppress(Exception):
                    task.get_coro().close()
            world.forget()
            self.nodes.clear()
            self._readers.clear()
            self._publishers.clear()
            gc.collect()


async def _read_all(history: History) -> str:
    """Put the whole log into the history; answers what was said in place of a page."""
    after = "earliest"
    while True:
        reader, writer = await asyncio.open_connection(PROCESSING, 9100)
        writer.write(
            f"GET /events?after={after}&limit=1000 HTTP/1.1\r\nHost: {PROCESSING}:9100\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        body = (await reader.read(-1)).partition(b"\r\n\r\n")[2]
        writer.transport.abort()
        page = msgspec.json.decode(body)
        if "events" not in page:
            return body.decode()
        if not page["events"]:
            return ""
        for event in page["events"]:
            history.final.append(Got(page["epoch"], event["offset"], event["id"], event["type"]))
        after = page["next"]
