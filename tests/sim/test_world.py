"""The world itself: time, order, the network's promises, the walls."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from hxp_enterprise_llm.event.log.memory import MemoryLog
from tests.sim.escape import Escape, sealed
from tests.sim.loop import SimLoop, Stuck, World
from tests.sim.network import Line, Network, SimSocket

SERVER = ("10.0.0.1", 80)


class Wire:
    """A server that keeps what it hears, and one client."""

    def __init__(self, seed: int = 1, line: Line | None = None) -> None:
        self.world = World(seed)
        self.network = self.world.network = Network(self.world, line or Line())
        self.there, self.here = SimLoop(self.world, SERVER[0], "server"), SimLoop(self.world, "10.0.0.2", "client")
        self.server, self.client = Peer(), Peer()

    def connect(self) -> None:
        async def begin() -> None:
            await self.here.create_connection(lambda: self.client, *SERVER)

        self.network.serve(self.there, lambda: self.server, None, *SERVER)
        task = self.here.create_task(begin())
        self.world.run(lambda: task.done() and self.server.transport is not None, 10)
        task.result()


class Peer(asyncio.Protocol):
    """Keeps everything."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.heard = b""
        self.pieces = 0
        self.ended = self.lost = self.paused = False
        self.error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self.pieces += 1

    def eof_received(self) -> bool:
        self.ended = True
        return False

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost, self.error = True, exc


def test_an_hour_passes_at_once():
    """Nothing waits."""
    world = World(1)
    loop = SimLoop(world, "10.0.0.1", "one")
    begin = time.monotonic()
    task = loop.create_task(asyncio.sleep(3600))
    world.run(task.done, 4000)
    assert 3600 <= world.now < 3601
    assert time.monotonic() - begin < 5


def test_a_world_that_does_not_come_to_its_end_says_so():
    """Neither for ever, nor for want of events."""
    world = World(1)
    loop = SimLoop(world, "10.0.0.1", "one")
    with pytest.raises(Stuck, match="nothing is left"):
        world.run(lambda: False, 10)
    task = loop.create_task(asyncio.sleep(3600))
    with pytest.raises(Stuck, match="within 10"):
        world.run(task.done, 10)


def order_of(seed: int) -> str:
    world = World(seed)
    loop, order = SimLoop(world, "10.0.0.1", "one"), ""

    async def step(name: str) -> None:
        nonlocal order
        order += name

    tasks = [loop.create_task(step(name)) for name in "abcdefgh"]
    loop.call_soon(lambda: step_done("|"))

    def step_done(mark: str) -> None:
        nonlocal order
        order += mark

    world.run(lambda: all(task.done() for task in tasks) and "|" in order, 10)
    return order


def test_a_seed_decides_the_order_of_tasks_and_no_task_passes_a_callback():
    """Eight orders of eight tasks; what was queued after them stays behind them."""
    orders = [order_of(seed) for seed in range(20)]
    assert orders == [order_of(seed) for seed in range(20)]
    assert len(set(orders)) > 10
    assert {order[-1] for order in orders} == {"|"}


@pytest.mark.parametrize("seed", range(30))
def test_bytes_arrive_whole_and_in_order_whatever_the_line_is_like(seed):
    """Split, delayed, held by a partition, through a narrow window."""
    wire = Wire(seed, Line(latency=0.01, jitter=0.3, split=0.7, window=700))
    wire.connect()
    sent = b""
    for number in range(60):
        piece = b"%d;" % number * 9
        sent += piece
        wire.world.after(number * 0.05, lambda piece=piece: wire.client.transport.write(piece))
    wire.world.after(0.4, lambda: wire.network.part(SERVER[0], "10.0.0.2"))
    wire.world.after(1.1, lambda: wire.network.heal(SERVER[0], "10.0.0.2"))
    wire.world.after(1.15, lambda: wire.network.part(SERVER[0], "10.0.0.2"))
    wire.world.after(1.9, lambda: wire.network.heal(SERVER[0], "10.0.0.2"))
    wire.world.after(4.0, lambda: wire.client.transport.close())
    wire.world.run(lambda: wire.server.lost and wire.client.lost, 60)
    assert wire.server.heard == sent
    assert wire.server.pieces > 60
    assert wire.server.ended
    assert not wire.network.connections


def test_a_reader_that_does_not_read_holds_its_writer_back():
    """The window fills, the writer is asked to pause, and goes on when there is room."""
    wire = Wire(line=Line(window=1000))
    wire.connect()
    wire.server.transport.pause_reading()
    wire.client.transport.set_write_buffer_limits(high=2000)
    wire.client.transport.write(b"x" * 10_000)
    wire.world.after(5, lambda: None)
    wire.world.run(lambda: wire.world.now >= 5, 10)
    assert wire.client.paused
    assert not wire.server.heard
    wire.server.transport.resume_reading()
    wire.world.run(lambda: len(wire.server.heard) == 10_000, 10)
    assert not wire.client.paused


def test_resets_refusals_and_silence():
    """Each end of a connection as the kernel would tell it."""
    wire = Wire()
    wire.connect()
    assert wire.network.reset(5, SERVER[0]) == 1
    wire.world.run(lambda: wire.server.lost and wire.client.lost, 5)
    assert isinstance(wire.client.error, ConnectionResetError)

    wire = Wire()
    wire.connect()
    wire.network.power_off(SERVER[0])
    wire.network.end_of(wire.there, silent=True)
    wire.client.transport.write(b"anybody?")
    wire.world.run(lambda: wire.client.lost, 60)
    assert isinstance(wire.client.error, TimeoutError)
    assert wire.world.now > 30

    wire = Wire()
    refused = wire.here.create_task(wire.here.create_connection(Peer, *SERVER))
    wire.world.run(refused.done, 5)
    assert isinstance(refused.exception(), ConnectionRefusedError)


def test_the_walls():
    """Clock, threads and sleep; the program is named, libraries get virtual answers."""
    world = World(1)
    with sealed(world):
        assert time.time() == 1_800_000_000.0
        with pytest.raises(Escape, match=r"test_world.*uses a thread"):
            threading.Thread(target=print).start()
        with pytest.raises(Escape, match=r"event\.log\.memory.*(uuid4|urandom)"):
            MemoryLog()
        with pytest.raises(Escape):
            time.sleep(1)
        import socket

        assert isinstance(socket.socket(), SimSocket)
    assert len(world.escapes) == 3
    assert time.time() != 1_800_000_000.0


@pytest.mark.timeout(240)
def test_the_command_line_replays_a_seed():
    """The same seed twice, by the line that a failing run prints."""
    command = [sys.executable, "-m", "tests.sim", "--seed", "4", "--readers", "2", "--faults", "0"]
    answers = [subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(2)]
    assert answers[0].returncode == 0, answers[0].stdout + answers[0].stderr
    assert answers[0].stdout == answers[1].stdout
    assert "virtual seconds" in answers[0].stdout
