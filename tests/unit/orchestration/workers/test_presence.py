"""Who is where, over several processes: against a model, with messages on their way and processes that die."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hxp_enterprise_llm.event.streaming.centrifuge.presence import Info, Move, Notice, Presence
from hxp_enterprise_llm.orchestration.workers.control import Moves, encode
from hxp_enterprise_llm.orchestration.workers.presence import MOST_TOGETHER, Gathering, Relay

CHANNELS = ("a", "b")
WORKERS = (1, 2)


class Member:
    """A client on a channel, and the news that it was told."""

    def __init__(self, client: str, channel: str) -> None:
        self.info = Info("u" + client[-1], client, msgspec.Raw(b'{"n":1}'))
        self.channel = channel
        self.told: list[tuple[str, str]] = []

    def notice(self, notice: Notice) -> None:
        said = msgspec.json.decode(notice.encoded(0, bare=True))
        self.told.append((notice.kind, said[notice.kind]["info"]["client"]))

    @property
    def seen(self) -> list[str]:
        """Whom it must take to be there after all that it was told; each change is told once."""
        there: list[str] = []
        for kind, client in self.told:
            if kind == "join":
                assert client not in there
                there.append(client)
            elif client in there:
                there.remove(client)
        return there


class Later:
    """Calls that wait for their time."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> None:
        self.due.append(call)

    def pass_by(self) -> None:
        due, self.due = self.due, []
        for call in due:
            call()


class Process:
    """A process with its clients, as the composition puts it together."""

    def __init__(self, send: Callable[[list[Move]], None]) -> None:
        self.presence, self.later = Presence(announces=True), Later()
        self.presence.moved = Gathering(send, self.later).add
        self.members: list[Member] = []

    def follow(self, message: bytes) -> None:
        moves = decoded(message)
        for move in moves.moves:
            self.presence.follow(move.kept(), news=moves.news)


def decoded(message: bytes) -> Moves:
    found = msgspec.json.decode(message[4:], type=Moves)
    assert 0 < len(found.moves) <= MOST_TOGETHER
    return found


class Gateway(RuleBasedStateMachine):
    """The first process and its workers. Messages arrive late but in their order; what a dead one sent last is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Process(lambda moves: self.relay.tell(moves))
        self.relay = Relay(self.first.presence)
        self.workers: dict[int, Process] = {}
        self.up: dict[int, deque[bytes]] = {}
        self.down: dict[int, deque[bytes]] = {}
        self.clients = 0
        for number in WORKERS:
            self.begin(number)

    def begin(self, number: int) -> None:
        up, down = self.up.setdefault(number, deque()), self.down.setdefault(number, deque())
        self.workers[number] = Process(lambda moves: up.append(encode(Moves(moves))))
        self.relay.begin(number, down.append)

    @property
    def processes(self) -> list[Process]:
        return [self.first, *self.workers.values()]

    @rule(where=st.integers(0, 2), channel=st.sampled_from(CHANNELS))
    def join(self, where: int, channel: str) -> None:
        process = self.processes[where % len(self.processes)]
        self.clients += 1
        member = Member(f"c{self.clients}", channel)
        process.members.append(member)
        process.presence.join(channel, member)

    @rule(where=st.integers(0, 2), which=st.integers(0, 50), back=st.booleans())
    def leave(self, where: int, which: int, back: bool) -> None:
        """One leaves, and perhaps is back at once."""
        process = self.processes[where % len(self.processes)]
        if process.members:
            member = process.members.pop(which % len(process.members))
            process.presence.leave(member.channel, member)
            process.presence.leave(member.channel, member)
            if back:
                again = Member(member.info.client, member.channel)
                process.members.append(again)
                process.presence.join(member.channel, again)

    @rule(where=st.integers(0, 2))
    def wait(self, where: int) -> None:
        self.processes[where % len(self.processes)].later.pass_by()

    @rule(number=st.sampled_from(WORKERS))
    def arrive_at_first(self, number: int) -> None:
        if self.up[number]:
            self.relay.told(number, decoded(self.up[number].popleft()).moves)

    @rule(number=st.sampled_from(WORKERS))
    def arrive_at_worker(self, number: int) -> None:
        if self.down[number] and number in self.workers:
            self.workers[number].follow(self.down[number].popleft())

    @rule(number=st.sampled_from(WORKERS))
    def die(self, number: int) -> None:
        if number in self.workers:
            del self.workers[number]
            del self.up[number], self.down[number]
            self.up[number], self.down[number] = deque(), deque()
            self.relay.gone(number)
            self.relay.gone(number)

    @precondition(lambda self: len(self.workers) < len(WORKERS))
    @rule(number=st.sampled_from(WORKERS))
    def replace(self, number: int) -> None:
        if number not in self.workers:
            self.begin(number)

    @rule()
    def settle(self) -> None:
        """Everything arrives: each process has the whole picture, and each client has been told of it."""
        while any(process.later.due for process in self.processes) or any(self.up.values()) or any(self.down.values()):
            for process in self.processes:
                process.later.pass_by()
            for number in WORKERS:
                self.arrive_at_first(number)
                self.arrive_at_worker(number)
        for channel in CHANNELS:
            there = {
                member.info.client: member.info
                for process in self.processes
                for member in process.members
                if member.channel == channel
            }
            for process in self.processes:
                assert comparable(process.presence.clients(channel)) == comparable(there)
                counts = {"num_clients": len(there), "num_users": len({info.user for info in there.values()})}
                assert process.presence.stats(channel) == {name: count for name, count in counts.items() if count}
            for process in self.processes:
                for member in process.members:
                    if member.channel == channel:
                        assert set(member.seen) <= set(there)
                        assert member.info.client in member.seen

    @invariant()
    def knows_its_own(self) -> None:
        """A client is never without itself."""
        for process in self.processes:
            for channel in CHANNELS:
                mine = {member.info.client for member in process.members if member.channel == channel}
                assert mine == set(process.presence.own(channel)) <= set(process.presence.clients(channel))

    def teardown(self) -> None:
        self.settle()


def comparable(infos: dict[str, Info]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(infos))


TestGateway = Gateway.TestCase
TestGateway.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_everybody_who_stays_is_told_of_everybody_once():
    """Three processes, a client in each, and one that dies: joins and leaves as one server would tell them."""
    gateway = Gateway()
    for where in range(3):
        gateway.join(where, "a")
        gateway.settle()
    members = [process.members[0] for process in gateway.processes]
    assert members[0].told == [("join", "c1"), ("join", "c2"), ("join", "c3")]
    assert members[1].told == [("join", "c2"), ("join", "c3")]
    gateway.die(2)
    gateway.settle()
    for member in members[:2]:
        assert member.told[-1] == ("leave", "c3")
    gateway.begin(2)
    gateway.settle()
    assert set(gateway.workers[2].presence.clients("a")) == {"c1", "c2"}
    gateway.join(2, "a")
    gateway.settle()
    assert gateway.workers[2].members[0].told == [("join", "c4")]
    assert members[0].told[-1] == ("join", "c4")


def test_ten_thousand_at_once_are_few_messages():
    """A worker tells of them in portions, and so does the first process, to a worker that begins later too."""
    sent: list[list[Move]] = []
    worker = Process(sent.append)
    worker.presence.announces = False
    for number in range(10_000):
        worker.presence.join("a", Member(f"c{number}", "b"))
    worker.later.pass_by()
    assert [len(moves) for moves in sent] == [MOST_TOGETHER] * 10
    relay = Relay(Presence(announces=False))
    down: list[bytes] = []
    relay.begin(2, down.append)
    for moves in sent:
        relay.told(1, moves)
    assert len(down) == 10
    relay.begin(3, down.append)
    assert len(down) == 20
    assert not decoded(down[-1]).news
    down.clear()
    relay.gone(1)
    assert len(down) == 2 * 10


def test_what_is_kept_does_not_keep_the_message():
    """A client's texts are copies: one of them would hold a message of a thousand others."""
    message = encode(Moves([Move("a", "c", Info("u", "c", msgspec.Raw(b'"x"'), msgspec.Raw(b"1")))]))
    (move,) = decoded(message).moves
    kept = move.kept()
    assert kept.info is not None
    assert comparable({"c": kept.info}) == {"c": {"user": "u", "client": "c", "conn_info": "x", "chan_info": 1}}
    assert kept.info.conn_info is not move.info.conn_info
    assert kept.kept().info.chan_info == kept.info.chan_info
    left = Move("a", "c")
    assert left.kept() is left
