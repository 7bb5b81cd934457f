"""A client of the Centrifuge protocol as it should be: it remembers its position, and checks all that it hears.

Its transport holds back what is written while it does not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from centrifuge.fossil import apply_delta

from hxp_enterprise_llm.config.streaming import ChannelConfig
from hxp_enterprise_llm.event.streaming.centrifuge.codes import End
from hxp_enterprise_llm.event.streaming.centrifuge.connection import Connection
from hxp_enterprise_llm.event.streaming.centrifuge.wire import LINES

if TYPE_CHECKING:
    from tests.unit.streaming.centrifuge.test_resume_property import World

CHANNELS = {
    "all": ChannelConfig(types=["*"]),
    "a": ChannelConfig(types=["a.*"]),
    "last": ChannelConfig(types=["a.*"], recovery_mode="cache"),
}
FILTER = {"key": "odd", "cmp": "eq", "val": "true"}


class Line:
    """A transport that holds back what is written while its client does not read."""

    connection: Connection

    def __init__(self, client: Client, high_water: int | None) -> None:
        self._client, self._high_water = client, high_water
        self._held: list[bytes] = []
        self.paused = self.closed = False

    @property
    def writable(self) -> bool:
        return not self.paused and not self.closed

    @property
    def held(self) -> int:
        return sum(map(len, self._held))

    def write(self, data: bytes) -> None:
        self._held.append(data)
        if self._high_water is None and not self.paused:
            self._deliver()
        elif self._high_water is not None and self.held > self._high_water:
            self.pause()

    def pause(self) -> None:
        if not self.paused and not self.closed:
            self.paused = True
            self.connection.fall_behind()

    def drain(self) -> None:
        self._deliver()
        if self.paused:
            self.paused = False
            self.connection.advance()

    def _deliver(self) -> None:
        held, self._held = self._held, []
        for data in held:
            for line in data.splitlines():
                self._client.hear(msgspec.json.decode(line))

    def native_ping(self) -> None:
        raise AssertionError("nobody asked for it")

    def part(self, end: End) -> None:
        raise AssertionError(f"ended with {end}")

    def abort(self, reason: str) -> None:
        raise AssertionError(f"cut off: {reason}")


@dataclass
class Client:
    """What a client of the protocol remembers. `offset`, `epoch`: its position, none before the first reply."""

    world: World
    wish: dict[str, Any]
    line: Line | None = None
    subscribed: bool = False
    asking: bool = False
    known: bool = False
    epoch: str = ""
    offset: int = 0
    base: bytes = b""
    id: int = 0
    replies: int = 0

    # What it does

    def connect(self) -> None:
        self.line = Line(self, self.wish["high_water"])
        options = {"bare": False, "emulated": False, "native_ping": False, "packs": lambda channel: False}
        self.world.endpoint.connect(self.line, LINES, **options)
        self.say({"connect": {}})
        self.subscribe()

    def subscribe(self) -> None:
        self.asking = True
        wish: dict[str, Any] = {"channel": self.wish["channel"], "flag": int(self.wish["compact"])}
        if self.known or self.wish["begin"] == "recover":
            wish |= {"recover": True, "offset": self.offset, "epoch": self.epoch}
        wish |= {"plain": {}, "delta": {"delta": "fossil"}, "filter": {"tf": FILTER}}[self.wish["how"]]
        self.say({"subscribe": wish})

    def say(self, command: dict[str, Any]) -> None:
        assert self.line is not None
        self.line.connection.session.receive(msgspec.json.encode({"id": 1} | command))

    def unsubscribe(self) -> None:
        """Only what was granted: a client waits for its reply first. What is on its way is read before."""
        if self.line is not None and self.subscribed:
            self.line.drain()
        if self.line is not None and self.subscribed:
            self.subscribed = False
            self.say({"unsubscribe": {"channel": self.wish["channel"]}})

    def break_off(self) -> None:
        """The connection is lost with all that is on its way."""
        if self.line is not None:
            self.line.closed = True
            self.line.connection.session.gone()
            self.line, self.subscribed, self.asking = None, False, False

    def come_back(self) -> None:
        if self.line is None:
            self.connect()
        elif not self.subscribed and not self.asking:
            self.subscribe()

    # What it hears

    def hear(self, reply: dict[str, Any]) -> None:
        if "subscribe" in reply:
            self.asking, self.subscribed = False, True
            self.begin(reply["subscribe"])
        elif "push" in reply:
            self.push(reply["push"])
        else:
            assert "error" not in reply, reply

    def begin(self, result: dict[str, Any]) -> None:
        self.id, asked = result.get("id", 0), self.known or self.wish["begin"] == "recover"
        assert result.get("was_recovering", False) is asked
        publications, offset = result.get("publications", []), result.get("offset", 0)
        if CHANNELS[self.wish["channel"]].recovery_mode == "cache" and asked:
            self.cached(result, publications)
        elif result.get("recovered"):
            assert self.epoch in ("", result["epoch"])
            self.epoch = result["epoch"]
            self.recovered(publications, offset)
        else:
            assert publications == []
            assert not asked or self.world.is_lost(self.epoch, self.offset, result["epoch"])
            self.epoch, self.offset = result["epoch"], offset
        self.known = True

    def recovered(self, publications: list[dict[str, Any]], offset: int) -> None:
        """Without publications the offset may be further on: what lies between is of other channels, or filtered."""
        for publication in publications:
            self.publication(publication)
        if publications:
            assert offset < publications[0]["offset"]
        else:
            following = self.world.next(self, self.epoch, self.offset)
            assert self.offset <= offset < (following[0] if following else offset + 1)
            self.offset = offset

    def cached(self, result: dict[str, Any], publications: list[dict[str, Any]]) -> None:
        """The newest of its channel up to the offset of the reply, unless the client has it."""
        newest = self.world.newest(self, result["epoch"], result.get("offset", 0))
        assert result.get("recovered", False) is (newest is not None)
        before, self.epoch, self.offset = (self.epoch, self.offset), result["epoch"], result.get("offset", 0)
        if newest is None or (before[0] == self.epoch and before[1] >= newest[0]):
            assert publications == []
        else:
            (publication,) = publications
            assert (publication["offset"], self.data(publication)) == (newest[0], newest[1]["data"])

    def push(self, push: dict[str, Any]) -> None:
        assert push.get("id", 0) == (self.id if "pub" in push else 0)
        if "pub" in push:
            assert self.subscribed
            self.publication(push["pub"])
        else:
            assert push["unsubscribe"]["code"] == 2500
            self.subscribed = False

    def publication(self, publication: dict[str, Any]) -> None:
        expected = self.world.next(self, self.epoch, self.offset)
        assert expected is not None
        assert (publication["offset"], self.data(publication)) == (expected[0], expected[1]["data"])
        self.offset = publication["offset"]

    def data(self, publication: dict[str, Any]) -> Any:
        """The data of the event, out of a difference where it came as one."""
        if self.wish["how"] != "delta":
            return publication["data"]["data"]
        text = publication["data"].encode()
        self.base = apply_delta(self.base, text) if publication.get("delta") else text
        return msgspec.json.decode(self.base)["data"]
