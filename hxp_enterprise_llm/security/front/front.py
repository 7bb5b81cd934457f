"""What stands on a new connection: answers plain requests for lean routes, and steps aside for everything else.

It accepts or steps aside. Who steps aside gives the bytes to aiohttp as they came, and aiohttp has the connection for
the rest of its life; so every refusal is made in one place.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Protocol, cast

from hxp_enterprise_llm.security.asked import Peer
from hxp_enterprise_llm.security.body import Lease
from hxp_enterprise_llm.security.front.door import Door, Post
from hxp_enterprise_llm.security.plainhead import MOST_HEAD_BYTES, Likeness

MOST_BODY_BYTES = 256 * 1024
"""What is larger takes so long itself that the way to it does not count."""
MOST_WAITING_BYTES = 64 * 1024
"""Bytes of further requests on a connection whose last one is not answered yet; then it is not read."""
_NOBODY = Peer("", 0)
_END = b"\r\n\r\n"


class Fronts(Protocol):
    """The listener, as its fronts know it."""

    door: Door
    beginnings: tuple[bytes, ...]

    def entered(self, front: Front) -> None:
        """A connection has come."""
        ...

    def refuses(self, transport: asyncio.Transport, address: str) -> bool:
        """Whether there is no room for a connection; then it is taken care of."""
        ...

    def left(self, front: Front) -> None:
        """It is no front's any more."""
        ...

    def hand_over(self, transport: asyncio.Transport, held: bytes, looks: int) -> None:
        """Let aiohttp have a connection, and what it has sent. `looks`: how often it was found without a request."""
        ...


class Front(asyncio.Protocol):
    """One connection. Requests are answered one after the other, in their order."""

    __slots__ = (
        "_body_at",
        "_ended",
        "_fronts",
        "_full",
        "_held",
        "_known",
        "_lease",
        "_like",
        "_local",
        "_peer",
        "_post",
        "_transport",
        "_wanted",
        "answered",
        "begun",
        "finished",
        "looks",
        "task",
    )

    def __init__(self, fronts: Fronts, local: tuple[str, int] | None = None) -> None:
        self._fronts, self._local = fronts, local
        self._transport: asyncio.Transport | None = None
        self._peer = _NOBODY
        self._held: bytes | bytearray = b""
        self._body_at = self._wanted = 0
        """Where the body of the request begins that is under way, and where it ends."""
        self._post: Post | None = None
        self._lease: Lease | None = None
        self._full = self._ended = False
        # The last request with a body: those of one client often have the same head, but for the length.
        self._like: Likeness | None = None
        self._known: Post | None = None
        self.task: asyncio.Task[bytes] | None = None
        """Answers a request now."""
        self.begun = False
        """Whether a request is being answered without a task."""
        self.finished: asyncio.Future[None] | None = None
        """Of that: done with the answer, for whoever waits for it."""
        self.answered = 0
        self.looks = 0
        """How often it was found waiting since it last said something."""

    @property
    def address(self) -> str:
        """Of the client."""
        return self._peer.address

    @property
    def waits_for_request(self) -> bool:
        """Whether no head has come together yet."""
        return not self.answered and not self.answering and self._post is None

    @property
    def waits_for_body(self) -> bool:
        """Whether the rest of a body is to come."""
        return self._post is not None and not self.answering

    @property
    def answering(self) -> bool:
        """Whether a request is being answered."""
        return self.begun or self.task is not None

    def answered_last(self) -> asyncio.Future[Any]:
        """Done when what is being answered is."""
        if self.task is not None:
            return self.task
        if self.finished is None:
            self.finished = asyncio.get_running_loop().create_future()
        return self.finished

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer, local = transport.get_extra_info("peername"), self._local or transport.get_extra_info("sockname")
        self._fronts.entered(self)
        if not (isinstance(peer, tuple) and isinstance(local, tuple)):
            self.step_aside()  # a Unix socket: who asks there is another question
            return
        self._peer = Peer(peer[0], local[1], local[0])
        if self._fronts.refuses(self._transport, peer[0]):
            self._transport = None
            self._fronts.left(self)

    def data_received(self, data: bytes) -> None:
        # The usual request comes alone, in one piece, and is like the one before it.
        if self._known is not None and self._begin_again(self._known, data):
            return
        gathering = self._lease is not None and not self.answering
        self._hold(data)
        if gathering and self._lease is not None and not self._lease.take(len(data)):
            self.step_aside()
        elif len(self._held) >= self._wanted or self.answering:
            self._proceed()

    def eof_received(self) -> bool:
        """Who has said everything still gets its answers."""
        self._ended = True
        return self.answering

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._proceed()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self.waits_for_body and self._post is not None:
            self._fronts.door.gone(self._post)
        self._held = b""
        if not self.answering:
            self._done()
        self._fronts.left(self)

    # One request after the other

    def _begin_again(self, known: Post, data: bytes) -> bool:
        """Begin with a whole request whose head is like one admitted before; False: it is to be read as any other."""
        transport, sizes = self._transport, self._sizes_again(known, data)
        if transport is None or sizes is None or sum(sizes) != len(data):
            return False
        if self._held or self._full or self._ended or self._post is not None or self.answering:
            return False
        if transport.is_closing() or not known.lease.take(len(data)):
            return False
        self._lease, self.looks = known.lease, 0
        self._have_answered(known, data[sizes[0] :])
        return True

    def _sizes_again(self, known: Post, data: bytes) -> tuple[int, int] | None:
        """Bytes of the head and the body of a request that may come in because one like it has; else None."""
        sizes = self._like.sizes(data) if self._like is not None else None
        if sizes is None or sizes[1] > _most(known) or not self._fronts.door.admits_again(known):
            return None
        return sizes

    def _hold(self, data: bytes) -> None:
        if not self._held:
            self._held = data
        elif isinstance(self._held, bytes):
            self._held = bytearray(self._held) + data
        else:
            self._held += data

    def _proceed(self) -> None:
        while self._transport is not None and not self.answering and not self._full:
            if self._transport.is_closing() or not self._step():
                break
        if self._transport is not None and not self._ended:
            self._read_or_wait(self._transport)

    def _read_or_wait(self, transport: asyncio.Transport) -> None:
        if (self.answering or self._full) and len(self._held) > MOST_WAITING_BYTES:
            transport.pause_reading()
        elif not transport.is_reading() and not transport.is_closing():
            transport.resume_reading()

    def _step(self) -> bool:
        """Go as far as what is held allows; whether there may be more to do."""
        if len(self._held) >= self._wanted > 0 and self._post is not None:
            self._begin(self._post)
            return False
        end = self._held.find(_END) if self._post is None else -1
        if end >= 0:
            return self._take(end + len(_END))
        if self._ended and self._transport is not None:
            self._transport.close()
        elif self._held and self._post is None and not self._may_become_plain():
            self.step_aside()
        return False

    def _may_become_plain(self) -> bool:
        held = self._held
        if len(held) > MOST_HEAD_BYTES or held.count(b"\n") != held.count(b"\r\n"):
            return False
        return any(begin.startswith(held[: len(begin)]) for begin in self._fronts.beginnings)

    def _take(self, size: int) -> bool:
        """A whole head is there: decide."""
        transport, door = self._transport, self._fronts.door
        if transport is None:
            return False
        text = bytes(self._held[:size])
        if self._known is not None and (again := self._sizes_again(self._known, text)) is not None:
            return self._expect(self._known, size, again[1])
        found = door.decide(text, self._peer, transport, alone=len(self._held) == size)
        if isinstance(found, Post):
            if found.asked.size <= _most(found):
                self._like, self._known = Likeness(text), found
                return self._expect(found, size, found.asked.size)
        elif found:
            self._transport = None
            self._fronts.left(self)
            return False
        self.step_aside()
        return False

    def _expect(self, post: Post, head: int, body: int) -> bool:
        """The body comes next, or is there."""
        self._lease = post.lease
        self._body_at, self._wanted = head, head + body
        if not self._lease.take(min(len(self._held), self._wanted)):
            self.step_aside()
            return False
        self._post, self.looks = post, 0
        return True

    def _begin(self, post: Post) -> None:
        """The body is there: have it answered."""
        with memoryview(self._held) as held:
            body = bytes(held[self._body_at : self._wanted])
        self._held = self._held[self._wanted :]
        self._post, self._wanted = None, 0
        self._have_answered(post, body)

    def _have_answered(self, post: Post, body: bytes) -> None:
        self.begun = self._fronts.door.begin(post, body, partial(self._told, post, body))
        if not self.begun:
            self._ask(post, body)

    def _ask(self, post: Post, body: bytes) -> None:
        self.task = asyncio.get_running_loop().create_task(self._fronts.door.answer(post, body))
        self.task.add_done_callback(self._finished)

    def _told(self, post: Post, body: bytes, answer: bytes | None) -> None:
        if not self.begun:
            return  # it was cut off meanwhile
        if answer is None:
            self.begun = False
            self._ask(post, body)
        else:
            self._answer(answer)

    def _finished(self, task: asyncio.Task[bytes]) -> None:
        self._answer(None if task.cancelled() else task.result())

    def _answer(self, data: bytes | None) -> None:
        """Send the answer; None: there is none, the connection ends."""
        self._done()
        self.answered += 1
        if self._transport is None:
            return
        if data is None:
            self._transport.abort()
            return
        self._transport.write(data)
        if self._held or self._full or self._ended:
            self._proceed()

    def _done(self) -> None:
        self.task = self._post = None
        self.begun = False
        if self.finished is not None and not self.finished.done():
            self.finished.set_result(None)
        self._wanted = self.looks = 0
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    # Ends

    def step_aside(self) -> None:
        """Let aiohttp have the connection, with everything that it has not answered yet."""
        transport, held = self._transport, bytes(self._held)
        if transport is None or transport.is_closing():
            return
        looks = self.looks if self.waits_for_request else 0
        self._transport = None
        self._done()
        self._held = b""
        self._fronts.left(self)
        if not transport.is_reading() and not self._ended:
            transport.resume_reading()
        self._fronts.hand_over(transport, held, looks)

    def close(self) -> None:
        """End the connection, after what is being answered."""
        self._ended = True
        self._held = b""
        if not self.answering and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection now."""
        if self.task is not None:
            self.task.cancel()
        elif self.begun:
            self._done()
        if self._transport is not None:
            self._transport.abort()


def _most(post: Post) -> int:
    """Bytes of a body up to which it is answered here."""
    return min(post.lean.limit(), MOST_BODY_BYTES)
