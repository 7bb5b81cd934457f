"""The process that has the log, and keeps the one that follows it: hands questions on, and speaks for both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from yarl import URL

from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.reload import in_force
from hxp_enterprise_llm.event.processing.service import ProcessingService
from hxp_enterprise_llm.orchestration.activation import HandedSockets
from hxp_enterprise_llm.orchestration.aggregation.process import HEAD, LABEL
from hxp_enterprise_llm.orchestration.server import ServiceServer
from hxp_enterprise_llm.orchestration.workers.child import Child
from hxp_enterprise_llm.orchestration.workers.control import (
    LONGEST_SILENCE,
    Alive,
    Control,
    Message,
    ReloadAggregation,
    StartAggregation,
)
from hxp_enterprise_llm.orchestration.workers.forward import open_session, relay
from hxp_enterprise_llm.orchestration.workers.joined import ANSWER_SECONDS, Joined
from hxp_enterprise_llm.orchestration.workers.private import serve_ours
from hxp_enterprise_llm.orchestration.workers.sockets import LOG, SocketDirectory
from hxp_enterprise_llm.runtime.cleanup import CleanupStack, close_all
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.security.model import Handler, Route
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.telemetry.health import Part
from hxp_enterprise_llm.telemetry.metrics import WorkerMetrics

MODULE = "hxp_enterprise_llm.orchestration.aggregation"
_PRIVATE = "aggregation.sock"
METRICS_SECONDS = 5.0
"""How long a scrape waits for its metrics, half of what Prometheus waits: overloaded is when they are wanted most."""
_AWAY = "analytics, platform, history and forecast are away: their process is being started"


class Aggregation:
    """The other process as this one knows it. `start` pushes the ends of what it starts onto the stack it is given."""

    def __init__(self, config: ProcessingConfig, context: Context) -> None:
        self._config, self._context = config, context
        self.metrics = WorkerMetrics(context.registry)
        self._role = _Role(self._first_message, lambda: self.head())
        self._child = Child(
            LABEL,
            self._role,
            timeout=lambda: self._config.service.worker_timeout,
            supervisor=context.supervisor,
            on_fatal=context.on_fatal,
            clock=context.clock,
            metrics=self.metrics,
        )
        self.metrics.running.set_function(lambda: 1 + self._child.ready)
        self._session: aiohttp.ClientSession
        self._directory = ""
        self.head: Callable[[], int] = lambda: 0
        """The head of the log now."""

    def _first_message(self) -> Message:
        return StartAggregation(self._config, self._context.node, self._directory)

    async def start(self, log_routes: Sequence[Route], cleanup: CleanupStack) -> None:
        """Serve the log to the other process, and begin to keep it; it is ready a little later."""
        directory = SocketDirectory(Path(self._config.state.directory) / "workers")
        cleanup.push("socket directory", partial(close_all, directory))
        self._directory = str(directory.path)
        await serve_ours(LOG, log_routes, directory.listen(LOG), cleanup)
        private = directory.listen(_PRIVATE)
        cleanup.push(_PRIVATE, partial(close_all, private))
        self._role.handles = [private.fileno()]
        self._session = open_session(directory.address(_PRIVATE))
        cleanup.push("session", self._session.close)
        cleanup.push(LABEL, self._end)
        await self._child.start()

    async def _end(self) -> None:
        """Wait for its end, at most half of the time for a stop: the log needs some of it, too."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._config.service.timeout / 2):
                await self._child.stop()

    def ask_to_stop(self) -> None:
        """Tell it to end. Idempotent."""
        self._child.ask_to_stop()

    def reload(self, config: ProcessingConfig) -> None:
        """Tell it a configuration that was taken; a later life of it waits with the rest for the restart of both."""
        self._config = in_force(self._config, config)
        self._child.send(ReloadAggregation(config))

    def sessions(self) -> list[aiohttp.ClientSession]:
        """Connections to it, while it serves."""
        return [self._session] if self._child.ready else []

    @property
    def hand_over(self) -> Handler:
        """Its answer to a question, as it comes. Who asked has been let in here."""
        return self._hand_over

    async def _hand_over(self, request: web.Request) -> web.StreamResponse:
        if not self._child.ready:
            raise _away("its process is being started")
        url = URL("http://localhost" + request.rel_url.raw_path_qs, encoded=True)
        headers = {HEAD: str(self.head())}
        try:
            async with self._session.request(request.method, url, headers=headers, allow_redirects=False) as answer:
                return await relay(request, answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _away(str(error) or type(error).__name__) from error

    async def parts(self, names: Sequence[str]) -> Mapping[str, Part]:
        """How its followers are."""
        reason = _AWAY
        if self._child.ready:
            try:
                found = await self._ask_parts()
                return {name: found[name] for name in names}
            except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
                reason = f"their process gives no answer: {str(error) or type(error).__name__}"
        return {name: Part("degraded", reason, {"position": self._role.position, "lag": self.lag()}) for name in names}

    async def _ask_parts(self) -> Mapping[str, Part]:
        async with asyncio.timeout(ANSWER_SECONDS), self._session.get("http://localhost/health") as answer:
            parts: dict[str, dict[str, Any]] = msgspec.json.decode(await answer.read())["parts"]
        return {name: Part(facts.pop("status"), facts.pop("reason", ""), facts) for name, facts in parts.items()}

    def lag(self) -> int:
        """Offsets of the log that it had not taken in when it was last heard, and all that came since."""
        return max(0, self.head() - self._role.position)

    def lag_seen(self) -> int:
        """How far behind it is, whether it answers or not: as it was when it was heard, as long as it is heard."""
        heard = self._child.ready and self._child.silent_seconds() < 2 * LONGEST_SILENCE
        return self._role.lag if heard else self.lag()


class _Role:
    """What the child is for, and the last that was heard of it."""

    module = MODULE

    def __init__(self, first_message: Callable[[], Message], head: Callable[[], int]) -> None:
        self.handles: Sequence[int] = ()
        self.first_message = first_message
        self._head = head
        self.position = self.lag = 0
        """Of this moment both: a second later thousands of events may have come that it has long taken in."""

    def told(self, message: Message) -> None:
        if isinstance(message, Alive):
            self.position = message.position
            self.lag = max(0, self._head() - message.position)

    async def missing(self) -> None:
        """Nobody stands in for it: what was stored meanwhile it takes in once it is back."""

    async def serves(self, control: Control) -> None:
        """It goes on from its saved state by itself."""

    async def gone(self) -> None:
        """Nothing of it is left here."""


class FirstProcessingServer(ServiceServer):
    """As ServiceServer, with the other process behind it."""

    def __init__(
        self,
        config: ProcessingConfig,
        service: ProcessingService,
        context: Context,
        aggregation: Aggregation,
        handed: HandedSockets | None = None,
    ) -> None:
        super().__init__(config, service, context, handed=handed)
        self._processing, self._aggregation = service, aggregation
        self._joined = Joined(aggregation.sessions, 1, aggregation.metrics, within=METRICS_SECONDS)

    async def _start(self) -> None:
        await super()._start()
        self._aggregation.head = lambda: self._processing.head
        self._processing.lag_is(self._aggregation.lag_seen)
        await self._aggregation.start(self._processing.inner_log_routes(), self._cleanup)

    async def stop(self, within: float) -> None:
        """Both end at the same time; the log is closed when the other one has let go of it."""
        if self.ready:
            self._aggregation.ask_to_stop()
        await super().stop(within)

    async def _metrics(self, request: web.Request) -> web.Response:
        content_type, body = await self._joined.metrics(self.context.registry, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})


def _away(reason: str) -> Problem:
    return Problem(
        503,
        "aggregation_away",
        f"analytics gives no answer: {reason}",
        "events are taken in all the while, none is lost to it; ask again in a few seconds",
        headers={"Retry-After": "2"},
    )
