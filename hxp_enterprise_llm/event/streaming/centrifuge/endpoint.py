"""All sessions of a process: how they are opened, how their questions are answered, and their clock."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import msgspec
import structlog

from hxp_enterprise_llm.config.streaming import CentrifugeConfig
from hxp_enterprise_llm.event.log.model import EventLog, LogError
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.streaming.centrifuge.codes import INTERNAL, UNKNOWN_CHANNEL, Refused
from hxp_enterprise_llm.event.streaming.centrifuge.connection import Connection
from hxp_enterprise_llm.event.streaming.centrifuge.history import History
from hxp_enterprise_llm.event.streaming.centrifuge.links import AnyLink, SessionLink
from hxp_enterprise_llm.event.streaming.centrifuge.model import (
    AskBounds,
    AskNewest,
    AskPublish,
    Question,
    ReadJson,
    Shared,
)
from hxp_enterprise_llm.event.streaming.centrifuge.newest import Newest
from hxp_enterprise_llm.event.streaming.centrifuge.presence import Presence
from hxp_enterprise_llm.event.streaming.centrifuge.session import Session
from hxp_enterprise_llm.event.streaming.centrifuge.tokens import Verifier
from hxp_enterprise_llm.event.streaming.centrifuge.wire import Framing
from hxp_enterprise_llm.event.streaming.heartbeat import Heartbeat, Wheel
from hxp_enterprise_llm.event.streaming.hub import Hub
from hxp_enterprise_llm.event.streaming.link import Link
from hxp_enterprise_llm.event.streaming.publication import Publication, encode_publication
from hxp_enterprise_llm.runtime.clock import Clock

log = structlog.get_logger("streaming")

SOURCE = "/centrifuge"
LOOKS = 10
"""How often a session is looked at in the shorter of its times."""


class Endpoint:
    """Makes sessions and keeps them. Must be made inside a running loop."""

    def __init__(
        self,
        config: CentrifugeConfig,
        event_log: EventLog,
        hub: Hub,
        *,
        clock: Clock,
        spawn: Callable[..., asyncio.Task[Any]],
        random: Random,
        version: str,
        read_json: ReadJson,
        verifier: Verifier | None = None,
        presence: Presence | None = None,
    ) -> None:
        """`presence`: who is where; without it a new one."""
        self.config, self._log, self.hub = config, event_log, hub
        self._clock, self._spawn, self._random = clock, spawn, random
        presence = presence or Presence(announces=config.join_leave)
        self.shared = Shared(config, clock, version, verifier, presence, read_json=read_json)
        self.node = clock.new_id()
        self._newest = Newest(event_log)
        self.elsewhere: Callable[[bytes], Awaitable[bool]] | None = None
        """Gives an emulation request to the process that has its session; None: there is only this one."""
        self._sessions: dict[str, Session] = {}
        interval = min(config.ping_interval, config.pong_timeout, config.connect_timeout) / LOOKS * 2
        self._wheel = Wheel(interval, asyncio.get_running_loop().time())
        self._heartbeat = Heartbeat(self._wheel)

    def start(self) -> None:
        """Begin to look at clocks."""
        self._heartbeat.start()

    async def stop(self) -> None:
        """Look no more. The connections are ended by the gateway, in whose places they are."""
        self._heartbeat.stop()

    # Sessions

    def connect(
        self,
        link: AnyLink,
        framing: Framing,
        *,
        packs: Callable[[str], bool],
        bare: bool,
        emulated: bool,
        native_ping: bool,
    ) -> None:
        """Give a link its connection and session; it has a transport only later.

        `packs`: whether a channel may be compressed, where the framing does.
        """
        limit = self.config.queue_size_limit
        link.connection = Connection(framing, self.hub, self._find, queue_limit=limit, packs=packs)
        link.connection.wire = link
        echo = {"session": secrets.token_urlsafe(24), "node": self.node} if emulated else None
        chance = self._random.random()
        link.connection.session = session = Session(
            self.shared,
            link.connection,
            self._clock.new_id(),
            bare=bare,
            native_ping=native_ping,
            echo=echo,
            chance=chance,
        )
        if echo is not None:
            self._sessions[echo["session"]] = session

    def opened(self, link: SessionLink) -> None:
        """The link has its transport: look after it."""
        link.place = self._wheel.add(link, self._random.random())

    def left(self, link: Link) -> None:
        """The connection is over."""
        self._wheel.remove(link, link.place)
        if isinstance(link, SessionLink):
            self.forget(link)
            log.debug("session.closed", transport=link.transport, reason=link.reason)

    def forget(self, link: SessionLink) -> None:
        """No more commands for it by another way."""
        self._sessions.pop(link.connection.session.echo.get("session", ""), None)

    def emulate(self, session: str, text: str) -> None:
        """Commands that came by another way. A session that is gone is no error."""
        found = self._sessions.get(session)
        if found is not None:
            found.receive(text.encode())

    # Questions

    def _find(self, session: Session, question: Question) -> None:
        self._spawn("centrifuge.answer", self._answer(session, question), ends=True)

    async def _answer(self, session: Session, question: Question) -> None:
        try:
            answer = await self._look(question)
        except Refused as refusal:
            session.fail(refusal.error)
        except LogError as error:
            log.warning("session.unanswered", question=type(question).__name__, error=str(error))
            session.fail(INTERNAL)
        else:
            session.answer(answer)

    async def _look(self, question: Question) -> Any:
        if isinstance(question, AskBounds):
            return await self._log.bounds()
        if isinstance(question, AskPublish):
            return await self._publish(question)
        channel = self.hub.channels.get(question.channel)
        if channel is None:
            raise Refused(UNKNOWN_CHANNEL)
        if isinstance(question, AskNewest):
            return await self._newest.find(channel, question.filter)
        return await History(self._log, channel, question).read()

    async def _publish(self, ask: AskPublish) -> None:
        source = f"{SOURCE}/{ask.info.user}" if ask.info.user else SOURCE
        publication = Publication(channel=ask.channel, data=msgspec.Raw(ask.data), info=ask.info)
        time = rfc3339(self._clock.time())
        await self._log.append([encode_publication(publication, source=source, id=self._clock.new_id(), time=time)])
