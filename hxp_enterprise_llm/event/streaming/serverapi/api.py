"""HTTP routes of the server API. What a command says no to is answered 200 with `error`, as Centrifugo does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from hxp_enterprise_llm.config.forms import form_fault
from hxp_enterprise_llm.event.log.model import EventLog, LogError
from hxp_enterprise_llm.event.streaming.centrifuge.codes import (
    BAD_REQUEST,
    INTERNAL,
    PERMISSION_DENIED,
    UNKNOWN_CHANNEL,
    Error,
    Refused,
)
from hxp_enterprise_llm.event.streaming.channel import Channel
from hxp_enterprise_llm.event.streaming.gateway import Gateway
from hxp_enterprise_llm.event.streaming.serverapi import described
from hxp_enterprise_llm.event.streaming.serverapi.commands import (
    PUBLISHING,
    Ask,
    Batch,
    Broadcast,
    Channels,
    History,
    OfChannel,
    Publish,
    ReadJson,
    parse,
    parse_entry,
)
from hxp_enterprise_llm.event.streaming.serverapi.history import read_history
from hxp_enterprise_llm.event.streaming.serverapi.publishing import Entry, Publisher, failed
from hxp_enterprise_llm.event.streaming.serverapi.who import Who
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.body import BodyBudget, read_body
from hxp_enterprise_llm.security.edge import PRINCIPAL
from hxp_enterprise_llm.security.model import JSON_BODY, Handler, Principal, Route, Scope
from hxp_enterprise_llm.security.problems import Problem, json_response
from hxp_enterprise_llm.telemetry.metrics import ApiMetrics
from hxp_enterprise_llm.telemetry.text import clean

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_COMMANDS = 10_000

_METHODS: tuple[tuple[str, Scope, str], ...] = (
    ("publish", "publish", "Publish to a channel"),
    ("broadcast", "publish", "Publish the same to several channels"),
    ("history", "read", "What a channel carried"),
    ("presence", "read", "Who is on a channel"),
    ("presence_stats", "read", "How many are on a channel"),
    ("channels", "read", "Channels that somebody is on"),
    ("info", "read", "The running gateway"),
)


def routes(
    gateway: Gateway,
    event_log: EventLog,
    who: Who,
    *,
    clock: Clock,
    metrics: ApiMetrics,
    budget: BodyBudget,
    read_json: ReadJson,
) -> list[Route]:
    """The routes under `/api`. `read_json` reads strictly, as the way in of events does."""
    api = ServerApi(gateway, event_log, who, clock, metrics, budget, read_json)
    single = [
        Route(
            "POST",
            f"/api/{method}",
            api.handler(method),
            scope,
            summary,
            body=JSON_BODY,
            described=described.METHODS[method],
        )
        for method, scope, summary in _METHODS
    ]
    batch = Route(
        "POST",
        "/api/batch",
        api.batch,
        "publish",
        "Several commands in one request",
        body=JSON_BODY,
        described=described.BATCH,
    )
    return [*single, batch]


class ServerApi:
    """Reads commands, does them, answers in their order."""

    def __init__(
        self,
        gateway: Gateway,
        event_log: EventLog,
        who: Who,
        clock: Clock,
        metrics: ApiMetrics,
        budget: BodyBudget,
        read_json: ReadJson,
    ) -> None:
        self._gateway, self._log, self._who, self._metrics = gateway, event_log, who, metrics
        self._budget, self._read_json = budget, read_json
        self._publisher = Publisher(event_log, clock)

    def handler(self, method: str) -> Handler:
        """The handler of a single command: `{"result": …}` or `{"error": …}`."""

        async def handle(request: web.Request) -> web.Response:
            value = self._json(await self._body(request))
            (reply,) = await self._do([parse(method, value)], request[PRINCIPAL])
            return json_response(reply)

        return handle

    async def batch(self, request: web.Request) -> web.Response:
        """`{"replies": […]}`, one for each command: the result under its method, or `error`."""
        body = await self._body(request)
        try:
            found = msgspec.json.decode(body, type=Batch)
        except msgspec.ValidationError as error:
            text = f"bad request: batch: {clean(str(form_fault(error, Batch)))}"
            return json_response(failed(BAD_REQUEST._replace(message=text)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _invalid_json(error) from None
        if len(found.commands) > MAX_COMMANDS:
            text = f"bad request: batch: {len(found.commands):,} commands, at most {MAX_COMMANDS:,} are taken"
            return json_response(failed(BAD_REQUEST._replace(message=text)))
        asks = [parse_entry(bytes(command), self._read_json) for command in found.commands]
        replies = await self._do(asks, request[PRINCIPAL])
        return json_response({"replies": [_in_batch(ask, reply) for ask, reply in zip(asks, replies, strict=True)]})

    async def _body(self, request: web.Request) -> bytes:
        return await read_body(request, limit=MAX_BODY_BYTES, budget=self._budget) or b"{}"

    def _json(self, body: bytes) -> Any:
        try:
            return self._read_json(body)[0]
        except ValueError as error:
            raise _invalid_json(error) from None

    # Doing

    async def _do(self, asks: Sequence[Ask | Error], principal: Principal) -> list[dict[str, Any]]:
        """Answers in the order of the commands. Publications that follow each other are stored together."""
        replies: list[dict[str, Any]] = []
        run: list[Ask] = []
        for ask in asks:
            if isinstance(ask, Ask) and ask.method in PUBLISHING:
                run.append(ask)
                continue
            replies += await self._publish(run, principal)
            run = []
            replies.append(failed(ask) if isinstance(ask, Error) else await self._ask(ask, principal))
        replies += await self._publish(run, principal)
        for ask, reply in zip(asks, replies, strict=True):
            method = ask.method if isinstance(ask, Ask) else "unread"
            self._metrics.commands.labels(method, reply["error"]["code"] if "error" in reply else 0).inc()
        return replies

    async def _publish(self, asks: Sequence[Ask], principal: Principal) -> list[dict[str, Any]]:
        if not asks:
            return []
        hub = self._gateway.hub
        if not hub.ready:
            return [failed(INTERNAL._replace(message=f"internal server error: {hub.problem}"))] * len(asks)
        described = {name: hub.describe(name) for name in hub.channels}
        orders: list[list[Entry]] = []
        for _, command in asks:
            assert isinstance(command, Publish | Broadcast)
            orders.append(self._publisher.entries(command, described, principal))
        answers = await self._publisher.store([entry for order in orders for entry in order], hub.position.epoch)
        replies, begin = [], 0
        for (method, _), order in zip(asks, orders, strict=True):
            mine = answers[begin : begin + len(order)]
            begin += len(order)
            replies.append(mine[0] if method == "publish" else {"result": {"responses": mine}})
        return replies

    async def _ask(self, ask: Ask, principal: Principal) -> dict[str, Any]:
        if "read" not in principal.scopes:
            text = f"permission denied: {ask.method} takes the scope 'read'"
            return failed(PERMISSION_DENIED._replace(message=text))
        try:
            return {"result": await self._answer(ask)}
        except Refused as refused:
            return failed(refused.error)
        except LogError as error:
            return failed(INTERNAL._replace(message=f"internal server error: {error}"))

    async def _answer(self, ask: Ask) -> Mapping[str, Any]:
        command = ask.command
        if isinstance(command, History):
            return await read_history(self._log, self._channel(command.channel), command)
        if isinstance(command, OfChannel):
            self._channel(command.channel)
            question = self._who.presence if ask.method == "presence" else self._who.stats
            return await question(command.channel)
        return await (self._who.channels(command.pattern) if isinstance(command, Channels) else self._who.info())

    def _channel(self, name: str) -> Channel:
        channel = self._gateway.hub.channels.get(name)
        if channel is None:
            text = f"unknown channel: {clean(name, 60)!r}; GET /streams lists all"
            raise Refused(UNKNOWN_CHANNEL._replace(message=text))
        return channel


def _in_batch(ask: Ask | Error, reply: dict[str, Any]) -> dict[str, Any]:
    return {ask.method: reply["result"]} if isinstance(ask, Ask) and "result" in reply else reply


def _invalid_json(error: Exception) -> Problem:
    return Problem(400, "invalid_json", clean(str(error)), "send one JSON object in UTF-8")
