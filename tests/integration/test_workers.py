"""Several gateway processes on one port: as one to whoever uses them, and none missed when one dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import psutil
import pytest

from tests.integration.daemon import Daemon

PROCESSES = 3
IDLE_SOCKETS = 10
"""More than a worker without clients has."""
CLIENTS = 60


@asynccontextmanager
async def gateway(
    directory: Path, text: str = "", processes: int = PROCESSES, worker_timeout: float = 60
) -> AsyncIterator[Daemon]:
    """`hxp up` with so many processes, all of them ready."""
    config = directory / "data-streaming-api.yaml"
    service = f"workers: {processes}, worker_timeout: {worker_timeout}, timeout: 10, drain_seconds: 0.5"
    config.write_text(f"service: {{{service}}}\n{text}")
    async with Daemon(directory / "data", "--config", str(config)) as daemon:
        await until_all_serve(daemon, processes)
        yield daemon
        if daemon.gateway:
            assert await daemon.end() == 0, "".join(daemon.output[-30:])


async def get(base: str, path: str) -> tuple[int, str]:
    """Status and body of a request on a connection of its own, so that the kernel chooses the process anew."""
    async with aiohttp.ClientSession() as session, session.get(base + path) as answer:
        return answer.status, await answer.text()


async def json_of(base: str, path: str) -> dict:
    status, text = await get(base, path)
    assert status == 200, text
    return msgspec.json.decode(text)


async def until_all_serve(daemon: Daemon, processes: int = PROCESSES) -> None:
    async with asyncio.timeout(30):
        while (await json_of(daemon.gateway, "/health"))["parts"]["workers"]["serving"] < processes:
            await asyncio.sleep(0.05)


async def figure(base: str, name: str) -> float:
    """The sum over all label sets, of which there is one at least."""
    _, page = await get(base, "/metrics")
    found = [line.rpartition(" ")[2] for line in page.splitlines() if line.startswith((name + " ", name + "{"))]
    assert found, name
    return sum(map(float, found))


def workers_of(daemon: Daemon) -> list[psutil.Process]:
    return psutil.Process(daemon.pid).children()


def sockets_of(process: psutil.Process) -> set[str]:
    """The sockets that a process has open."""
    found = set()
    for handle in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(handle.readlink()))
    return {name for name in found if name.startswith("socket:")}


async def publish(daemon: Daemon, numbers: range) -> None:
    batch = [{"type": "bench.tick", "data": {"seq": number}} for number in numbers]
    async with aiohttp.ClientSession() as session, session.post(f"{daemon.events}/events", json=batch) as answer:
        assert answer.status == 202, await answer.text()


class Client:
    """Reads `/ws/events`, remembers its cursor, and comes back to it when the connection is lost."""

    def __init__(self, base: str) -> None:
        self.base, self.cursor, self.connected = base, "", asyncio.Event()
        self.seen: list[int] = []
        self.lives = 0
        self.codes: list[int | None] = []

    async def run(self, session: aiohttp.ClientSession) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await self._live(session)
            self.connected.clear()
            await asyncio.sleep(0.05)

    async def _live(self, session: aiohttp.ClientSession) -> None:
        after = f"&after={self.cursor}" if self.cursor else ""
        async with session.ws_connect(f"{self.base}/ws/events?type=bench.tick{after}") as socket:
            self.lives += 1
            self.connected.set()
            async for message in socket:
                event = msgspec.json.decode(message.data)
                assert "control" not in event, event
                self.cursor = f"{event['epoch']}.{event['offset']}"
                self.seen.append(event["data"]["seq"])
            self.codes.append(socket.close_code)


@asynccontextmanager
async def clients(base: str, count: int = CLIENTS) -> AsyncIterator[list[Client]]:
    """So many clients, all connected, each on a connection of its own."""
    made = [Client(base) for _ in range(count)]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        tasks = [asyncio.create_task(client.run(session)) for client in made]
        try:
            async with asyncio.timeout(30):
                for client in made:
                    await client.connected.wait()
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def until_seen(made: list[Client], count: int) -> None:
    async with asyncio.timeout(30):
        while any(len(client.seen) < count for client in made):
            await asyncio.sleep(0.02)


async def test_clients_of_all_processes_get_every_event_once(tmp_path):
    """The kernel spreads them, the log is one, and metrics and states tell of all of them."""
    async with gateway(tmp_path) as daemon, clients(daemon.gateway) as made:
        shares = [len(sockets_of(process)) for process in workers_of(daemon)]
        assert len(shares) == PROCESSES - 1
        assert min(shares) > IDLE_SOCKETS
        await publish(daemon, range(100))
        await until_seen(made, 100)
        assert all(client.seen == list(range(100)) for client in made)
        assert await figure(daemon.gateway, "websocket_connections_total") == CLIENTS
        assert await figure(daemon.gateway, 'citadel_streaming_connections{transport="websocket"}') == CLIENTS
        assert await figure(daemon.gateway, 'citadel_streaming_connections_limit{transport="websocket"}') == 200
        assert await figure(daemon.gateway, "citadel_config_last_reload_successful") == 1
        assert await figure(daemon.gateway, "citadel_workers_unreachable") == 0
        assert await figure(daemon.gateway, "citadel_workers_running") == PROCESSES
        status = await json_of(daemon.gateway, "/streams/status")
        assert status["connections"]["websocket"] == status["channels"]["events"]["subscribers"] == CLIENTS
        status = await json_of(daemon.gateway, "/websocket/status")
        assert status["connections"] == status["channels"]["events"] == CLIENTS
        assert status["max_connections"] == 200


async def test_a_limit_holds_over_all_processes(tmp_path):
    """Never one too many, whichever processes they come to; the places of a killed process are free again."""
    limit = 20
    several = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    async with gateway(tmp_path, f"websocket: {{max_connections: {limit}}}\n") as daemon, several as session:
        idle = {process.pid: len(sockets_of(process)) for process in workers_of(daemon)}
        async with asyncio.timeout(60):
            # The one that is killed must not have all of them: on a busy machine another may not have had its turn.
            while True:
                first = await storm(session, daemon.gateway, 3 * limit)
                assert len(first) == limit
                shares = {process: len(sockets_of(process)) - idle[process.pid] for process in workers_of(daemon)}
                victim = max(shares, key=shares.__getitem__)
                if shares[victim] < limit:
                    break
                await asyncio.gather(*(socket.close() for socket in first))
                while await figure(daemon.gateway, "websocket_connections_total"):
                    await asyncio.sleep(0.05)
        victim.kill()
        fates = await asyncio.gather(*map(is_lost, first))
        lost = [socket for socket, is_gone in zip(first, fates, strict=True) if is_gone]
        assert 0 < len(lost) < limit
        await until_all_serve(daemon)
        assert len(await storm(session, daemon.gateway, 3 * limit)) == len(lost)


async def storm(session: aiohttp.ClientSession, base: str, count: int) -> list[aiohttp.ClientWebSocketResponse]:
    """So many at once; answers those who were let in. The others are told to come again."""
    tried = await asyncio.gather(
        *(session.ws_connect(f"{base}/ws/events?type=none") for _ in range(count)), return_exceptions=True
    )
    refused = [each for each in tried if isinstance(each, aiohttp.WSServerHandshakeError)]
    assert {each.status for each in refused} == {503}
    assert {each.headers["Retry-After"] for each in refused if each.headers} == {"5"}
    return [each for each in tried if isinstance(each, aiohttp.ClientWebSocketResponse)]


async def is_lost(socket: aiohttp.ClientWebSocketResponse) -> bool:
    """Whether the connection ends within a moment."""
    try:
        return (await socket.receive(timeout=2)).type is aiohttp.WSMsgType.CLOSED or socket.closed
    except TimeoutError:
        return False


async def test_a_killed_worker_is_replaced_and_its_clients_resume(tmp_path):
    """They see each event once; nobody else notices, and no connection is refused meanwhile."""
    async with gateway(tmp_path) as daemon, clients(daemon.gateway) as made:
        await publish(daemon, range(50))
        victim, bystander = workers_of(daemon)
        victim.kill()
        await publish(daemon, range(50, 100))
        for _ in range(20):
            assert (await get(daemon.gateway, "/health/live"))[0] == 200
        await until_seen(made, 100)
        await until_all_serve(daemon)
        await publish(daemon, range(100, 150))
        await until_seen(made, 150)
        assert all(client.seen == list(range(150)) for client in made)
        assert {client.lives for client in made} == {1, 2}
        assert bystander.is_running()
        assert victim.pid not in {process.pid for process in workers_of(daemon)}
        assert await figure(daemon.gateway, "citadel_workers_restarts_total") == 1
        assert await figure(daemon.gateway, "websocket_connections_total") == CLIENTS


async def test_a_worker_that_does_not_answer_is_left_out_and_counted(tmp_path):
    """A page without it, in time, rather than none."""
    async with gateway(tmp_path) as daemon:
        process = workers_of(daemon)[0]
        process.suspend()
        try:
            async with asyncio.timeout(30):
                page = ""
                while "citadel_workers_unreachable 1.0" not in page:
                    # A request may come to the one that stands still.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(3):
                            _, page = await get(daemon.gateway, "/metrics")
        finally:
            process.resume()
        await until_all_serve(daemon)
        assert await figure(daemon.gateway, "citadel_workers_unreachable") == 0


async def test_a_reload_reaches_all_processes(tmp_path):
    """SIGHUP to the first process; a limit that was lowered holds in each."""
    async with gateway(tmp_path) as daemon:
        (tmp_path / "data-streaming-api.yaml").write_text(
            f"service: {{workers: {PROCESSES}, timeout: 10, drain_seconds: 0.5}}\nwebsocket: {{max_connections: 4}}\n"
        )
        os.kill(daemon.pid, signal.SIGHUP)
        async with asyncio.timeout(30):
            while sum("config.reloaded" in line for line in daemon.output) < PROCESSES:
                await asyncio.sleep(0.02)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            assert len(await storm(session, daemon.gateway, 30)) == 4
        assert await figure(daemon.gateway, 'citadel_streaming_connections_limit{transport="websocket"}') == 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_says_goodbye_everywhere_and_leaves_nobody(tmp_path, number):
    """Status 0, 1012 for every client, no process left."""
    async with gateway(tmp_path) as daemon, clients(daemon.gateway) as made:
        workers = workers_of(daemon)
        assert await daemon.end(number) == 0
        assert psutil.wait_procs(workers, timeout=0)[1] == []
        async with asyncio.timeout(30):
            while not all(client.codes for client in made):
                await asyncio.sleep(0.02)
        assert {client.codes[0] for client in made} == {1012}


async def test_workers_end_with_their_first_process(tmp_path):
    """`kill -9` of the first process: the others take leave by themselves; the next start finds everything free."""
    async with gateway(tmp_path) as daemon:
        workers = workers_of(daemon)
        assert await daemon.end(signal.SIGKILL) == -signal.SIGKILL
        _, alive = await asyncio.to_thread(psutil.wait_procs, workers, timeout=30)
        assert alive == []
        await daemon.start()
        await until_all_serve(daemon)
        assert await daemon.end() == 0


async def raw(base: str, owner: psutil.Process, other: psutil.Process, request: bytes) -> bytes:
    """The answer of one of two processes to these bytes."""
    host, _, port = base.removeprefix("http://").rpartition(":")
    async with asyncio.timeout(30):
        while True:
            before = sockets_of(owner), sockets_of(other)
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                while not (mine := sockets_of(owner) - before[0]) and not sockets_of(other) - before[1]:
                    await asyncio.sleep(0.002)
                if mine:
                    writer.write(request)
                    return await reader.read()
            finally:
                writer.close()


OURS = b"Host: localhost\r\n"
SEND = b"POST /notifications/send HTTP/1.1\r\nContent-Length: 2\r\n" + OURS
REQUESTS = {
    "page": b"GET / HTTP/1.1\r\n" + OURS,
    "head": b"HEAD /streams HTTP/1.1\r\n" + OURS,
    "streams": b"GET /streams HTTP/1.1\r\n" + OURS,
    "no such stream": b"GET /streams/high_frequency/no_such HTTP/1.1\r\n" + OURS,
    "compressed page": b"GET / HTTP/1.1\r\nAccept-Encoding: gzip\r\n" + OURS,
    "unknown": b"GET /strems HTTP/1.1\r\n" + OURS,
    "wrong method": b"POST /ws/events HTTP/1.1\r\n" + OURS,
    "foreign host": b"GET /streams HTTP/1.1\r\nHost: evil.example\r\n",
    "two hosts": b"GET /streams HTTP/1.1\r\n" + OURS + OURS,
    "foreign target": b"GET http://evil.example/streams HTTP/1.1\r\n" + OURS,
    "foreign origin": b"GET /streams HTTP/1.1\r\nOrigin: http://evil.example\r\n" + OURS,
    "through a proxy": b"GET /streams HTTP/1.1\r\nX-Forwarded-For: 10.0.0.1\r\n" + OURS,
    "by an old proxy": b"GET /streams HTTP/1.0\r\n" + OURS,
    "claims to be another": b'GET /streams HTTP/1.1\r\nX-Citadel-Handed-On: ["9.9.9.9", 1, 1, 1, "/"]\r\n' + OURS,
    "unknown key": b"GET /streams HTTP/1.1\r\nAuthorization: Bearer hxk_x\r\n" + OURS,
    "wrong type": SEND + b"Content-Type: text/plain\r\n",
    "broken body": SEND + b"Content-Type: application/json\r\n",
}


def comparable(answer: bytes) -> tuple[bytes, set[bytes], bytes]:
    """Status line, headers and body, without what differs from time to time or in framing alone."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    framing = (b"date:", b"content-length:", b"transfer-encoding:", b"connection:")
    body = re.sub(rb"^[0-9a-fA-F]+\r\n|\r\n(?:[0-9a-fA-F]+\r\n|$)", b"", body) if b"chunked" in head.lower() else body
    return status, {line for line in headers if not line.lower().startswith(framing)}, body


async def test_a_worker_answers_as_the_first_process_does(tmp_path):
    """Whatever is asked, whoever is refused: status, headers and body are the same."""
    async with gateway(tmp_path, processes=2) as daemon:
        first, (worker,) = psutil.Process(daemon.pid), workers_of(daemon)
        for name, head in REQUESTS.items():
            request = head + b"Connection: close\r\n\r\n" + (b"[]" if b"Content-Length" in head else b"")
            expected = comparable(await raw(daemon.gateway, first, worker, request))
            answer = comparable(await raw(daemon.gateway, worker, first, request))
            # A worker refuses bodies of no known type by itself; it does not know which one each path takes.
            parts = 1 if name == "wrong type" else 3
            assert answer[:parts] == expected[:parts], name


async def test_commands_reach_a_centrifuge_session_wherever_they_arrive(tmp_path):
    """A stream is held by one process; the POSTs of its client come to any."""
    async with gateway(tmp_path) as daemon, aiohttp.ClientSession() as session:
        for _ in range(6):
            connect = session.post(f"{daemon.gateway}/connection/http_stream", json={"id": 1, "connect": {}})
            async with connect as stream, asyncio.timeout(30):
                hello = msgspec.json.decode(await stream.content.readline())["connect"]
                for number in range(2, 8):
                    command = (
                        {"id": number, "ping": {}} if number > 2 else {"id": 2, "subscribe": {"channel": "events"}}
                    )
                    body = {
                        "session": hello["session"],
                        "node": hello["node"],
                        "data": msgspec.json.encode(command).decode(),
                    }
                    status, text = await post(daemon.gateway, "/emulation", body)
                    assert status == 204, text
                while msgspec.json.decode(await stream.content.readline()).get("id") != 2:
                    pass
        lost = {"session": "none", "node": "none", "data": "{}"}
        assert (await post(daemon.gateway, "/emulation", lost))[0] == 404


async def post(base: str, path: str, body: dict) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.post(base + path, json=body) as answer:
        return answer.status, await answer.text()
