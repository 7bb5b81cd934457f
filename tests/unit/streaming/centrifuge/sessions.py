"""A session without a loop: a port that notes what it is asked for, and a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from hxp_enterprise_llm.config.streaming import CentrifugeConfig
from hxp_enterprise_llm.event.sources.strict_json import read
from hxp_enterprise_llm.event.streaming.centrifuge.codes import UNKNOWN_CHANNEL, End, Refused
from hxp_enterprise_llm.event.streaming.centrifuge.model import Attachment, Question, Shared, Standing
from hxp_enterprise_llm.event.streaming.centrifuge.presence import Presence
from hxp_enterprise_llm.event.streaming.centrifuge.session import Session
from hxp_enterprise_llm.event.streaming.centrifuge.tags import TagsFilter
from hxp_enterprise_llm.event.streaming.centrifuge.tokens import Verifier
from hxp_enterprise_llm.event.streaming.encode import Message


class HandClock:
    def __init__(self) -> None:
        self.now = 1_000_000.0
        self._ids = 0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def new_id(self) -> str:
        self._ids += 1
        return f"c{self._ids}"


class FakePort:
    """Channels `a`, `b` and `c`, all of epoch `e`, at offset 10, at hand from 5 on."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.pieces = 0
        self.pings = 0
        self.ended: list[End] = []
        self.asked: list[Question] = []
        self.attached: list[Attachment] = []
        self.standings = {name: Standing("e", 10, 5) for name in "abc"}
        self.kept: Message | None = None
        self.lost = 0

    def send(self, replies: Sequence[bytes]) -> None:
        self.pieces += 1
        self.sent += map(msgspec.json.decode, replies)

    def ping(self) -> None:
        self.pings += 1

    def end(self, end: End) -> None:
        self.ended.append(end)

    def ask(self, question: Question) -> None:
        self.asked.append(question)

    def standing(self, channel: str, filter: TagsFilter | None) -> Standing:
        if channel not in self.standings:
            raise Refused(UNKNOWN_CHANNEL)
        return self.standings[channel]

    def recover(self, attachment: Attachment) -> list[msgspec.Raw]:
        if not 5 <= attachment.cursor <= 10:
            return []
        raws = [msgspec.Raw(b'{"data":0,"offset":%d}' % offset) for offset in range(attachment.cursor + 1, 11)]
        attachment.cursor = 10
        return raws

    def newest(self, attachment: Attachment) -> Message | None:
        return self.kept

    def give(self, attachment: Attachment, message: Message) -> list[msgspec.Raw]:
        return [msgspec.Raw(b'{"data":0,"offset":%d}' % message.offset)]

    def unrecovered(self) -> None:
        self.lost += 1

    def attach(self, attachment: Attachment) -> None:
        self.attached.append(attachment)

    def detach(self, attachment: Attachment) -> None:
        if attachment in self.attached:
            self.attached.remove(attachment)


class Table:
    """A session and what it did."""

    def __init__(
        self,
        config: CentrifugeConfig | None = None,
        *,
        verifier: Verifier | None = None,
        beside: Table | None = None,
        connected: bool = True,
        **options: Any,
    ) -> None:
        self.port = FakePort()
        if beside is None:
            config = config or CentrifugeConfig()
            self.clock = HandClock()
            presence = Presence(announces=config.join_leave)
            self.shared = Shared(config, self.clock, "v", verifier, presence, read_json=read)
        else:
            self.clock, self.shared = beside.clock, beside.shared
        self.session = Session(self.shared, self.port, self.clock.new_id(), **options)
        if connected:
            self.tell({"id": 1, "connect": {}})
            self.port.sent.clear()

    def tell(self, *commands: dict[str, Any]) -> list[dict[str, Any]]:
        """Commands in one message; answers what was sent upon it."""
        start = len(self.port.sent)
        self.session.receive(b"\n".join(map(msgspec.json.encode, commands)))
        return self.port.sent[start:]

    def ask(self, method: str, /, **members: Any) -> dict[str, Any]:
        """One command; answers its result, or its error."""
        (reply,) = [each for each in self.tell({"id": 7, method: members}) if each.get("id") == 7]
        return reply[method] if method in reply else reply["error"]

    @property
    def code(self) -> int:
        """With which code the connection was ended; 0: it was not."""
        assert len(self.port.ended) <= 1
        return self.port.ended[0].code if self.port.ended else 0
