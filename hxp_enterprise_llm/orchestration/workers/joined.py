"""What only all processes together can answer: metrics and the state of the streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec
from aiohttp import web
from prometheus_client.metrics_core import Metric

from hxp_enterprise_llm.event.streaming.serverapi.who import Known
from hxp_enterprise_llm.security.model import JSON_BODY, Handler
from hxp_enterprise_llm.security.problems import json_response
from hxp_enterprise_llm.telemetry.exposition import Given, page, render
from hxp_enterprise_llm.telemetry.joining import join, parse
from hxp_enterprise_llm.telemetry.metrics import WorkerMetrics

ANSWER_SECONDS = 1.0
WHO = "/who"
"""Where a worker tells on its own socket what it knows of its connections."""
_KNOWN = msgspec.json.Decoder(Known)
_OF_EACH = frozenset({"connections", "subscribers", "behind", "filtered_channels"})
"""Members of a state that each process counts of its own."""
_LARGEST = frozenset({"lag", "behind_head", "messages_per_second"})
"""Members of which the largest tells most: of the slowest, of the busiest."""

Answer = TypeVar("Answer")


class Joined:
    """Asks the workers when it is asked. One that does not answer in time is left out and counted."""

    def __init__(
        self,
        sessions: Callable[[], Sequence[aiohttp.ClientSession]],
        workers: int,
        metrics: WorkerMetrics,
        *,
        within: float = ANSWER_SECONDS,
    ) -> None:
        """`sessions`: to the Unix sockets of those workers that serve now, out of so many. `within`: seconds."""
        self._sessions, self._workers, self._metrics, self._within = sessions, workers, metrics, within

    async def metrics(self, registry: Any, accept: str) -> tuple[str, bytes]:
        """Content type and page of all processes."""
        texts = await self._ask("/metrics", bytes.decode)
        pages = await asyncio.to_thread(_readable, texts)
        self._metrics.unreachable.set(self._workers - len(pages))
        _, own = await page(registry)
        # Many rules make long pages: the loop goes on meanwhile.
        return await asyncio.to_thread(_join, own.decode(), pages, accept)

    def state(self, own: Handler) -> Handler:
        """A handler that adds to the state of this process what the others count."""

        async def handler(request: web.Request) -> web.StreamResponse:
            response = await own(request)
            if not isinstance(response, web.Response) or response.status != 200:
                return response
            states = await self._ask(request.path, msgspec.json.decode)
            state = msgspec.json.decode(_bytes_of(response))
            for other in states:
                state = add_up(state, other)
            return json_response({**state, "processes": 1 + len(states)})

        return handler

    async def hand_out(self, emulation: bytes) -> bool:
        """Give commands of a Centrifuge client to the worker that has its stream; answers whether one took them."""
        return any(await asyncio.gather(*(_post(session, emulation) for session in self._sessions())))

    async def known(self, channel: str) -> list[Known]:
        """What each worker knows of the connections on a channel; of none: of all."""
        return await self._ask(f"{WHO}?{urlencode({'channel': channel})}", _KNOWN.decode)

    async def _ask(self, path: str, read: Callable[[bytes], Answer]) -> list[Answer]:
        found = await asyncio.gather(*(_get(session, path, read, self._within) for session in self._sessions()))
        return [answer for answer in found if answer is not None]


def _readable(texts: Sequence[str]) -> list[list[Metric]]:
    found = []
    for text in texts:
        with suppress(ValueError):
            found.append(parse(text))
    return found


def _join(own: str, pages: Sequence[list[Metric]], accept: str) -> tuple[str, bytes]:
    return render(Given(join([parse(own), *pages])), accept)


async def _get(
    session: aiohttp.ClientSession, path: str, read: Callable[[bytes], Answer], within: float
) -> Answer | None:
    try:
        async with asyncio.timeout(within), session.get(f"http://localhost{path}") as response:
            response.raise_for_status()
            return read(await response.read())
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None


async def _post(session: aiohttp.ClientSession, body: bytes) -> bool:
    try:
        async with (
            asyncio.timeout(ANSWER_SECONDS),
            session.post("http://localhost/emulation", data=body, headers={"Content-Type": JSON_BODY[0]}) as response,
        ):
            return response.status == 204
    except (aiohttp.ClientError, TimeoutError):
        return False


def _bytes_of(response: web.Response) -> bytes:
    body = response.body
    return body if isinstance(body, bytes) else b"{}"


def add_up(state: Mapping[str, Any], other: Mapping[str, Any], *, counts: bool = False) -> dict[str, Any]:
    """The state of two processes: what each counts of its own is added, of the rest the first one's word holds.

    `counts`: all numbers of this map are counts.
    """
    joined = dict(state)
    for key, value in other.items():
        mine = joined.get(key)
        counted = counts or key in _OF_EACH
        if isinstance(value, Mapping):
            named = key in ("connections", "channels") and all(isinstance(each, int) for each in value.values())
            joined[key] = add_up(mine or {}, value, counts=named)
        elif counted and isinstance(value, int | float):
            joined[key] = (mine or 0) + value
        elif key in _LARGEST and isinstance(mine, int | float):
            joined[key] = max(mine, value)
        elif mine is None:
            joined[key] = value
    return joined
