"""Those who read a channel and resume where they were: the package's WebSocket client, raw SSE, Centrifuge in JSON."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from hxp_enterprise_llm.client.answers import ClientError
from hxp_enterprise_llm.client.subscribe import Control, Lost, Received, Subscription
from tests.sim.history import Got, History, Reader
from tests.sim.loop import World
from tests.sim.node import CHANNEL, GATEWAY, SILENCE_SECONDS

PORT = 9102
AGAIN_SECONDS = 1.5


class _Event(msgspec.Struct):
    id: str
    type: str
    offset: int = 0
    epoch: str = ""


_event = msgspec.json.Decoder(_Event)


class SimReader:
    """What all readers have: a record, a pause when they are slow, and no end."""

    def __init__(self, world: World, name: str, history: History, *, from_beginning: bool) -> None:
        self._world, self._history = world, history
        self.seen = Reader(name, from_beginning)
        history.readers.append(self.seen)
        self._random: Random = world.stream(name)

    async def run(self) -> None:
        """Read for ever."""
        await asyncio.sleep(self._random.random() * 2)
        while True:
            try:
                await self._connection()
            except (OSError, EOFError, ClientError, WebSocketException) as error:
                self._note("lost", type(error).__name__)
            self.seen.connected = False
            await asyncio.sleep(AGAIN_SECONDS * (0.5 + self._random.random()))

    async def _connection(self) -> None:
        raise NotImplementedError

    def _got(self, event: _Event, epoch: str, offset: int) -> None:
        self.seen.joined = min(self.seen.joined, self._world.now)
        self.seen.items.append(Got(epoch, offset, event.id, event.type))
        self.seen.arrivals.setdefault(event.id, self._world.now)
        self.seen.position = (epoch, offset)
        self._note("got", epoch[:6], offset, event.id[:24])

    def _reset(self, epoch: str, after: int, reason: str) -> None:
        self.seen.items.append(None)
        self.seen.position = (epoch, after)
        self._note("reset", epoch[:6], after, reason)

    def _open(self) -> None:
        self.seen.connected = True
        self.seen.joined = min(self.seen.joined, self._world.now)
        self._note("open", *(self.seen.position or ()))

    async def _stall(self) -> None:
        while self._world.now < self.seen.stalled:
            await asyncio.sleep(self.seen.stalled - self._world.now)

    def _note(self, what: str, *facts: object) -> None:
        self._history.add(self._world.now, self.seen.name, what, *facts)

    @property
    def _after(self) -> str:
        if self.seen.position is not None:
            return f"{self.seen.position[0]}.{self.seen.position[1]}"
        return "earliest" if self.seen.from_beginning else ""


class WebSocketReader(SimReader):
    """The client of the package, which resumes by itself."""

    async def _connection(self) -> None:
        subscription = Subscription(f"ws://{GATEWAY}:{PORT}", CHANNEL, after=self._after, jitter=self._random.random)
        async for item in subscription:
            match item:
                case Received(position, _, text):
                    self.seen.connected = True
                    self._got(_event.decode(text), position.epoch, position.offset)
                case Control("reset", fields):
                    self._reset(fields["epoch"], fields["after"], fields["reason"])
                case Lost(reason, _, _):
                    self.seen.connected = False
                    self._note("lost", reason)
            await self._stall()


class SseReader(SimReader):
    """A client of its own, which reads the stream as the standard says, and takes all that comes for true."""

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection(GATEWAY, PORT)
        try:
            after = f"?after={self._after}" if self._after else ""
            writer.write(f"GET /sse/{CHANNEL}{after} HTTP/1.1\r\nHost: {GATEWAY}:{PORT}\r\n\r\n".encode())
            async with asyncio.timeout(SILENCE_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise EOFError(head.split(b"\r\n")[0].decode())
            self._open()
            while True:
                async with asyncio.timeout(SILENCE_SECONDS):
                    block = await reader.readuntil(b"\n\n")
                self._take(block)
                await self._stall()
        finally:
            writer.transport.abort()

    def _take(self, block: bytes) -> None:
        fields = dict(line.partition(": ")[::2] for line in block.decode().splitlines() if line[:1] != ":")
        epoch, _, offset = fields.get("id", "").partition(".")
        if fields.get("event") == "reset":
            self._reset(epoch, int(offset), fields["data"])
        elif "data" in fields and "event" not in fields:
            self._got(_event.decode(fields["data"]), epoch, int(offset))
        elif epoch:
            self.seen.position = (epoch, int(offset))


class CentrifugeReader(SimReader):
    """The JSON protocol, with recovery by epoch and offset."""

    async def _connection(self) -> None:
        address = f"ws://{GATEWAY}:{PORT}/connection/websocket"
        async with connect(address, proxy=None, close_timeout=0.5, ping_interval=None) as socket:
            subscribe: dict[str, object] = {"channel": CHANNEL}
            if self.seen.position is not None:
                epoch, offset = self.seen.position
                subscribe |= {"recover": True, "epoch": epoch, "offset": offset}
            await socket.send(msgspec.json.encode({"id": 1, "connect": {}}).decode())
            await socket.send(msgspec.json.encode({"id": 2, "subscribe": subscribe}).decode())
            while True:
                async with asyncio.timeout(SILENCE_SECONDS):
                    text = await socket.recv()
                for line in text.splitlines():
                    if line == "{}":
                        await socket.send("{}")
                    else:
                        self._reply(msgspec.json.decode(line))
                await self._stall()

    def _reply(self, reply: dict[str, object]) -> None:
        match reply:
            case {"error": error}:
                raise EOFError(str(error))
            case {"id": 2, "subscribe": dict(answer)}:
                self._subscribed(answer)
            case {"push": {"pub": dict(publication)}}:
                self._publication(publication)
            case {"push": {"disconnect": end} | {"unsubscribe": end}}:
                # Insufficient state: the next connection asks for recovery and is told that there is none.
                raise EOFError(str(end))

    def _subscribed(self, answer: dict[str, object]) -> None:
        epoch, offset = str(answer.get("epoch", "")), int(str(answer.get("offset", 0)))
        if self.seen.position is not None and not answer.get("recovered"):
            self._reset(epoch, offset, "not recovered")
        recovered = answer.get("publications", [])
        if self.seen.position is None:
            self.seen.position = (epoch, offset)
        self.seen.position = (epoch, self.seen.position[1])
        self._open()
        for publication in recovered if isinstance(recovered, list) else []:
            self._publication(publication)

    def _publication(self, publication: dict[str, object]) -> None:
        event = msgspec.convert(publication["data"], _Event)
        assert self.seen.position is not None
        self._got(event, self.seen.position[0], int(str(publication["offset"])))


def make(world: World, number: int, history: History) -> SimReader:
    """The kinds in turn; every second one begins with all that there is."""
    from_beginning = number % 2 == 0
    if number % 10 == 9:
        return CentrifugeReader(world, f"cf{number}", history, from_beginning=False)
    if number % 2 == number // 2 % 2:
        return SseReader(world, f"sse{number}", history, from_beginning=from_beginning)
    return WebSocketReader(world, f"ws{number}", history, from_beginning=from_beginning)


async def ask_health(world: World, history: History, name: str, address: str, pause: float) -> None:
    """Ask a service how it is, over and over, with a plain connection each time."""
    host, _, port = address.partition(":")
    while True:
        answer = ""
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(3):
                answer = await _status(host, int(port))
        history.healths.append((world.now, name, answer))
        history.add(world.now, "health", name, answer)
        await asyncio.sleep(pause)


async def _status(host: str, port: int) -> str:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET /health HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        body = (await reader.read(-1)).partition(b"\r\n\r\n")[2]
        return str(msgspec.json.decode(body).get("status", ""))
    except msgspec.DecodeError:
        return ""
    finally:
        writer.transport.abort()
