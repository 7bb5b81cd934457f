"""Who is on which channel, over all processes: each tells the first one of its clients, and that one all others.

Each process keeps the whole picture, so that a question is answered where it is asked. The decisions are here and
never wait; sending is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hxp_enterprise_llm.event.streaming.centrifuge.presence import Info, Move, Presence
from hxp_enterprise_llm.orchestration.workers.control import Moves, encode

MOST_TOGETHER = 1000
"""Changes that one message carries."""
TOGETHER_SECONDS = 0.01
"""How long changes wait for others, to be told with them."""

Schedule = Callable[[float, Callable[[], None]], object]
"""Call something so many seconds later."""


class Gathering:
    """Changes on their way out, joined into messages: thousands that come at once are few messages."""

    def __init__(self, send: Callable[[list[Move]], None], later: Schedule) -> None:
        self._send, self._later = send, later
        self._moves: list[Move] = []

    def add(self, move: Move) -> None:
        """Tell a change, with those that follow within a moment."""
        self._moves.append(move)
        if len(self._moves) == 1:
            self._later(TOGETHER_SECONDS, self.flush)
        elif len(self._moves) >= MOST_TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Tell now what waits."""
        if self._moves:
            moves, self._moves = self._moves, []
            self._send(moves)


class Relay:
    """The first process' part. It knows which worker each client is in, so that none outlives its worker."""

    def __init__(self, presence: Presence) -> None:
        """`presence` is that of the first process; workers are known by their numbers."""
        self._presence = presence
        self._clients: dict[int, dict[tuple[str, str], Info]] = {}
        self._workers: dict[int, Callable[[bytes], None]] = {}

    def begin(self, worker: int, send: Callable[[bytes], None]) -> None:
        """A worker serves: it is told who is there, and from now on who comes and goes."""
        for some in _portions(list(self._others_than(worker))):
            send(encode(Moves(some, news=False)))
        self._workers[worker] = send

    def _others_than(self, worker: int) -> Iterator[Move]:
        yield from self._presence.picture()
        for number, clients in self._clients.items():
            if number != worker:
                for (channel, client), info in clients.items():
                    yield Move(channel, client, info)

    def told(self, worker: int, moves: Sequence[Move]) -> None:
        """A worker tells of its clients; all others are told the same."""
        clients = self._clients.setdefault(worker, {})
        for move in map(Move.kept, moves):
            if move.info is None:
                clients.pop((move.channel, move.client), None)
            else:
                clients[move.channel, move.client] = move.info
            self._presence.follow(move)
        self._hand_on(moves, but=worker)

    def gone(self, worker: int) -> None:
        """A worker is gone, and its clients with it. Idempotent."""
        self._workers.pop(worker, None)
        moves = [Move(channel, client) for channel, client in self._clients.pop(worker, {})]
        for move in moves:
            self._presence.follow(move)
        self._hand_on(moves)

    def tell(self, moves: Sequence[Move]) -> None:
        """Clients of the first process came and went."""
        self._hand_on(moves)

    def _hand_on(self, moves: Sequence[Move], *, but: int = 0) -> None:
        sends = [send for worker, send in self._workers.items() if worker != but]
        for some in _portions(moves) if sends else ():
            encoded = encode(Moves(some))
            for send in sends:
                send(encoded)


def _portions(moves: Sequence[Move]) -> Iterator[Sequence[Move]]:
    """Changes, as many together as one message carries."""
    for begin in range(0, len(moves), MOST_TOGETHER):
        yield moves[begin : begin + MOST_TOGETHER]
