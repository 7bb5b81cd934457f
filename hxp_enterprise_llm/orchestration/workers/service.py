"""What a worker runs of the gateway: connections, and nothing that must run once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import aiohttp
from aiohttp import web

from hxp_enterprise_llm.config.processing import AnalyticsConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.streaming.limits import Census
from hxp_enterprise_llm.event.streaming.service import StreamingService
from hxp_enterprise_llm.orchestration.workers.joined import WHO
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.problems import json_response
from hxp_enterprise_llm.telemetry.health import Part


class ConnectionsService(StreamingService):
    """Gateway only. `log_socket` is the Unix socket of the log; empty: the event processing of the configuration."""

    def __init__(
        self,
        config: StreamingConfig,
        context: Context,
        *,
        census: Census,
        log_socket: str,
    ) -> None:
        super().__init__(config, context, event_log=None, analytics=AnalyticsConfig(), census=census)
        self._log_socket = log_socket

    async def start(self) -> None:
        """Reach the log and serve streams."""
        connector = aiohttp.UnixConnector(path=self._log_socket, limit=0) if self._log_socket else None
        self._log = self._followed = await self._open_remote_log(connector)
        await self._start_gateway()

    def routes(self) -> list[Route]:
        known = Route("GET", WHO, self._known, "read", "What this process knows of its connections")
        return [*self.stream_routes(), known]

    async def _known(self, request: web.Request) -> web.StreamResponse:
        return json_response(self.who.known(request.query.get("channel", "")))

    def extra_ports(self) -> Mapping[str, int]:
        return {}

    async def health(self) -> Mapping[str, Part]:
        hub = self._gateway.hub
        return {"streaming": Part("ok" if hub.ready else "degraded", hub.problem)}

    def prepare(self, config: StreamingConfig, analytics: AnalyticsConfig) -> Callable[[], None]:
        commit_gateway = self._gateway.prepare(config)

        def commit() -> None:
            commit_gateway()
            self.config = config

        return commit
