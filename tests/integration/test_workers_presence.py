"""Presence, joins and the server API over several processes, with the published clients."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import msgspec
import psutil
from centrifuge import Client

from tests.clients.javascript import javascript
from tests.integration.daemon import Daemon
from tests.integration.test_centrifuge_clients import Seen, python_client
from tests.integration.test_workers import (
    PROCESSES,
    figure,
    gateway,
    get,
    json_of,
    post,
    publish,
    sockets_of,
    until_all_serve,
    workers_of,
)

QUIET = "system_alerts"
"""A channel on which nothing is published here."""
JOINS = "centrifuge: {join_leave: true}\n"
TICKS = "channels: {ticks: {types: ['bench.*']}}\ncentrifuge: {join_leave: true}\n"
DIFFERENCES = {"delta": "fossil"}


class Guest:
    """A client on a channel, and the process that it came to."""

    def __init__(self, client: Client, seen: Seen, process: psutil.Process) -> None:
        self.client, self.seen, self.process = client, seen, process

    @property
    def id(self) -> str:
        """As the last connection was called."""
        return [ctx for name, ctx in self.seen.events if name == "connected"][-1].client

    async def presence(self, channel: str) -> set[str]:
        return set((await self.client.get_subscription(channel).presence()).clients)


@asynccontextmanager
async def guests(daemon: Daemon, channel: str) -> AsyncIterator[list[Guest]]:
    """A client in each process, the first process' first; joined one after the other."""
    processes = [psutil.Process(daemon.pid), *workers_of(daemon)]
    there: dict[int, Guest] = {}
    try:
        async with asyncio.timeout(60):
            while len(there) < len(processes):
                guest = await enter(daemon, processes)
                if guest.process.pid in there:
                    await guest.client.disconnect()
                else:
                    there[guest.process.pid] = guest
        ordered = [there[process.pid] for process in processes]
        for guest in ordered:
            subscription = guest.client.new_subscription(channel, guest.seen, join_leave=True)
            await subscription.subscribe()
            await guest.seen.until("subscribed")
        yield ordered
    finally:
        for guest in there.values():
            with contextlib.suppress(Exception):  # the daemon may be gone; a client that fails then is no failure here
                await guest.client.disconnect()


async def enter(daemon: Daemon, processes: list[psutil.Process]) -> Guest:
    """Connect, and see which process has one socket more."""
    before = {process.pid: sockets_of(process) for process in processes}
    client, seen = python_client(daemon.gateway.replace("http", "ws"))
    await client.connect()
    await seen.until("connected")
    grown = {process.pid: len(sockets_of(process) - before[process.pid]) for process in processes}
    return Guest(client, seen, max(processes, key=lambda process: grown[process.pid]))


async def until(check: Callable[[], Any]) -> None:
    """Until it holds: what is asked of one process is known to all a moment later."""
    async with asyncio.timeout(30):
        while not await check():
            await asyncio.sleep(0.02)


async def result(daemon: Daemon, method: str, **members: Any) -> Any:
    status, text = await post(daemon.gateway, f"/api/{method}", members)
    assert status == 200, text
    return msgspec.json.decode(text)["result"]


async def test_presence_joins_and_leaves_are_those_of_one_server(tmp_path):
    """Whoever is asked, whichever process a client is in; and who dies with his process has left."""
    async with gateway(tmp_path, JOINS) as daemon, guests(daemon, QUIET) as there:
        ids = {guest.id for guest in there}
        for guest in there:
            await until(lambda guest=guest: is_equal(guest.presence(QUIET), ids))
            stats = await guest.client.get_subscription(QUIET).presence_stats()
            assert (stats.num_clients, stats.num_users) == (PROCESSES, 1)
        joins = await there[0].seen.until("join", PROCESSES)
        assert {join.client for join in joins} == ids
        *others, victim = there
        lost = victim.id
        for guest in others:
            await guest.seen.until("join", check=lambda info: info.client == lost)
        victim.process.kill()
        for guest in others:
            await guest.seen.until("leave", check=lambda info: info.client == lost)
            await guest.seen.until("join", check=lambda info: info.client not in ids)
        await victim.seen.until("subscribed", 2)
        ids = {guest.id for guest in there}
        await until_all_serve(daemon)
        for guest in there:
            await until(lambda guest=guest: is_equal(guest.presence(QUIET), ids))
        await others[0].client.get_subscription(QUIET).unsubscribe()
        await others[1].seen.until("leave", check=lambda info: info.client == others[0].id)


async def is_equal(asked: Any, wanted: Any) -> bool:
    return await asked == wanted


async def until_agreed(faults: Callable[[], Awaitable[list[str]]], times: int = 8) -> None:
    """So many answers in a row, of whichever process: who comes is told to the others a moment later."""
    agreed, found = 0, ["not asked"]
    try:
        async with asyncio.timeout(30):
            while agreed < times:
                agreed = 0 if (found := await faults()) else agreed + 1
    except TimeoutError:
        raise AssertionError(f"they do not come to agree: {found}") from None


async def told_by_one(daemon: Daemon, guests: set[str]) -> list[str]:
    """What is not as it should be when three clients and twelve raw ones are there; each is asked of any process."""
    everybody = PROCESSES + 12
    stats, channels = await result(daemon, "presence_stats", channel=QUIET), await result(daemon, "channels")
    present = set((await result(daemon, "presence", channel=QUIET))["presence"])
    nodes = (await result(daemon, "info"))["nodes"]
    names = {node["uid"] for node in nodes}, {node["name"] for node in nodes}
    clients = [node["num_clients"] for node in nodes]
    holds = {
        "stats": stats == {"num_clients": everybody, "num_users": 1},
        "guests": guests <= present,
        "raw ones": len([id for id in present if id.startswith("websocket:")]) == 12,
        "channels": channels["channels"] == {QUIET: {"num_clients": everybody}},
        "a node for each": [*map(len, names)] == [PROCESSES, PROCESSES],
        "clients": sum(clients) == everybody and min(clients) > 0,
        "subscriptions": sum(node["num_subs"] for node in nodes) == everybody,
    }
    return [name for name, held in holds.items() if not held]


async def test_the_server_api_tells_of_all_processes(tmp_path):
    """Centrifuge clients and raw ones; a node for each process; counts are sums."""
    raw = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    async with gateway(tmp_path) as daemon, raw as session, guests(daemon, QUIET) as there:
        sockets = [await session.ws_connect(f"{daemon.gateway}/ws/{QUIET}") for _ in range(12)]
        await until_agreed(partial(told_by_one, daemon, {guest.id for guest in there}))
        assert (await get(daemon.gateway, "/who"))[0] == 404
        for socket in sockets:
            await socket.close()


async def test_the_javascript_client_sees_those_of_other_processes(tmp_path):
    """Join, presence and leave, whichever process it came to."""
    async with gateway(tmp_path, JOINS) as daemon, javascript() as client:
        client.do("connect", transport="http_stream", url=daemon.gateway)
        await client.until("connected")
        client.do("subscribe", channel=QUIET, options={"joinLeave": True})
        await client.until("subscribed")
        async with guests(daemon, QUIET) as there:
            ids = [guest.id for guest in there]
            for id in ids:
                await client.until("join", check=lambda each, id=id: each["info"]["client"] == id)
            stats = await client.ask("presenceStats", channel=QUIET)
            assert stats == {"numClients": PROCESSES + 1, "numUsers": 1}
        for id in ids:
            await client.until("leave", check=lambda each, id=id: each["info"]["client"] == id)


async def test_the_published_clients_recover_when_their_processes_die(tmp_path):
    """All workers are killed at once; by every transport, whole or by differences, each event comes once."""
    async with gateway(tmp_path, TICKS) as daemon, guests(daemon, "ticks") as there, AsyncExitStack() as stack:
        made = []
        for transport, options in (("websocket", DIFFERENCES), ("http_stream", {}), ("sse", DIFFERENCES)):
            client = await stack.enter_async_context(javascript())
            client.do("connect", transport=transport, url=daemon.gateway)
            client.do("subscribe", channel="ticks", options=options)
            await client.until("subscribed")
            made.append(client)
        await publish(daemon, range(20))
        for client in made:
            await client.until("publication", 20)
        for worker in workers_of(daemon):
            worker.kill()
        await publish(daemon, range(20, 40))
        await until_all_serve(daemon)
        await publish(daemon, range(40, 60))
        for client in made:
            found = await client.until("publication", 60)
            assert [each["data"]["data"]["seq"] for each in found] == list(range(60))
        for guest in there:
            got = await guest.seen.until("publication", 60)
            assert [each.data["data"]["seq"] for each in got] == list(range(60))
        recovered = [ctx.recovered for guest in there for name, ctx in guest.seen.events if name == "subscribed"]
        assert recovered.count(True) == PROCESSES - 1


async def test_a_worker_that_stands_still_is_replaced(tmp_path):
    """Stopped, not dead: after the configured time it is killed and replaced, and its clients go elsewhere."""
    async with gateway(tmp_path, JOINS, worker_timeout=5) as daemon, guests(daemon, QUIET) as there:
        *others, victim = there
        lost, pid = victim.id, victim.process.pid
        for guest in others:
            await guest.seen.until("join", check=lambda info: info.client == lost)
        victim.process.suspend()
        for guest in others:
            await guest.seen.until("leave", check=lambda info: info.client == lost)
        await until_all_serve(daemon)
        assert pid not in {process.pid for process in workers_of(daemon)}
        assert any("worker.hung" in line for line in daemon.output)
        assert await figure(daemon.gateway, "citadel_workers_restarts_total") == 1
        await victim.seen.until("subscribed", 2)
        ids = {guest.id for guest in there}
        await until(lambda: is_equal(others[0].presence(QUIET), ids))


async def test_a_request_counts_once_wherever_it_arrives(tmp_path):
    """One that is handed on counts with the route that answered it; what processes ask each other does not count."""
    async with gateway(tmp_path) as daemon:
        before = await requests(daemon)
        asked = 30
        for _ in range(asked):
            await json_of(daemon.gateway, "/streams/status")
        after = await requests(daemon)
        changed = {labels: count - before.get(labels, 0) for labels, count in after.items()}
        changed = {labels: count for labels, count in changed.items() if count}
        assert changed.pop(("/streams/status", "200")) == asked
        assert changed == {("/metrics", "200"): 1}


async def requests(daemon: Daemon) -> dict[tuple[str, str], float]:
    """Requests so far by route and status, without those by which the workers follow the log."""
    _, page = await get(daemon.gateway, "/metrics")
    found = {}
    for line in page.splitlines():
        if line.startswith("citadel_http_requests_total{"):
            labels, count = line.partition("{")[2].split("} ")
            parts = dict(each.split("=", 1) for each in labels.split(","))
            found[parts["route"].strip('"'), parts["status"].strip('"')] = float(count)
    return {labels: count for labels, count in found.items() if not labels[0].startswith("/events")}
