"""Redis servers of other kinds, and what is none: a replica, a node of a cluster, one that loads, an old one, liars."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from hxp_enterprise_llm.config.secrets import Secret
from hxp_enterprise_llm.config.sources import RedisConfig, RedisStreamConfig
from hxp_enterprise_llm.event.sources.redis import client as client_module
from hxp_enterprise_llm.event.sources.redis.consumer import Consumer
from hxp_enterprise_llm.event.sources.redis.server import RedisServer as Server
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.security.fetch import FetchError
from tests.ports import free_port
from tests.redis import RedisServer, redis_server

MOST = 100_000


def server_at(address: str, *streams: str, password: str = "", deny_private: bool = False, **more) -> Server:
    config = RedisConfig(
        endpoint=address, streams=[RedisStreamConfig(stream=name) for name in streams or ("s",)], **more
    )
    secret = Secret(password) if password else None
    return Server(config, Egress(deny_private=deny_private), lambda *_: secret, MOST, "host", SystemClock())


@asynccontextmanager
async def consuming(address: str, *streams: str, **more) -> AsyncIterator[Consumer]:
    consumer = await server_at(address, *streams, **more).connect()
    try:
        yield consumer
    finally:
        await consumer.close()


async def refused(address: str, *streams: str, **more) -> str:
    """Why there is no connection."""
    with pytest.raises(FetchError) as caught:
        await server_at(address, *streams, **more).connect()
    return str(caught.value)


@asynccontextmanager
async def liar(*answers: bytes) -> AsyncIterator[str]:
    """A server that gives these answers, one to each thing that it hears, and then hears no more."""

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.read(65536)
            writer.write(answer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()
    listener = await asyncio.start_server(lie, "127.0.0.1", 0)
    async with listener:
        yield f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        await ended.wait()


async def test_a_replica(tmp_path):
    of = ("--replicaof", "127.0.0.1", str(free_port()))
    async with redis_server(tmp_path, *of, "--replica-serve-stale-data", "yes") as replica:
        assert await refused(replica.address) == (
            f"{replica.address}/0 is a replica, and a group is kept by writing: name its primary in"
            " sources.redis.endpoint"
        )


async def test_a_node_of_a_cluster(tmp_path):
    async with redis_server(tmp_path, "--cluster-enabled", "yes") as node:
        assert "is a node of a cluster, which is not supported: " in await refused(node.address)


async def test_one_that_still_loads(tmp_path):
    server = RedisServer(tmp_path)
    await server.start()
    try:
        async with server.client() as client, client.pipeline(transaction=False) as pipe:
            for number in range(10_000):
                pipe.set(str(number), number)
            await pipe.execute()
        await server.kill()
        # A millisecond for each key; after each thousand of them it hears who asks.
        await server.start("--key-load-delay", "1000")
        assert await refused(server.address) == f"{server.address}/0 is still loading its data"
    finally:
        await server.kill()


async def test_one_that_cannot_take_over(tmp_path):
    async with (
        redis_server(tmp_path, "--rename-command", "XAUTOCLAIM", "") as server,
        server.client() as client,
        consuming(server.address) as consumer,
    ):
        await client.xadd("s", {"n": "1"})
        assert await consumer.receive()
        assert consumer.problem == (
            f"{server.address}/0 is older than Redis 6.2: what other consumers leave is not taken over"
        )


async def test_one_without_streams(tmp_path):
    async with redis_server(tmp_path, "--rename-command", "XGROUP", "") as server:
        reason = await refused(server.address)
        assert reason.startswith(f"{server.address}/0 does not do what it is asked: unknown command ")


async def test_a_database_that_is_not_there(tmp_path):
    async with redis_server(tmp_path) as server:
        reason = await refused(f"{server.address}/99")
        assert reason == f"{server.address}/99 does not let us in: DB index is out of range"


async def test_a_password_that_is_missing_or_not_wanted(tmp_path):
    async with redis_server(tmp_path, "--requirepass", "s3cret") as server:
        assert "has denied us: Authentication required." in await refused(server.address)
        async with consuming(server.address, password="s3cret"):
            pass
    async with redis_server(tmp_path) as server:
        assert "has denied us: AUTH <password> called without any" in await refused(server.address, password="s3cret")


async def test_a_password_that_a_server_repeats_is_not_shown(tmp_path):
    async with redis_server(tmp_path, "--rename-command", "AUTH", "") as server:
        reason = await refused(server.address, password="s3cret-word")
        assert "unknown command " in reason
        assert "s3cret-word" not in reason


async def test_addresses_are_looked_at(tmp_path):
    async with redis_server(tmp_path) as server:
        assert "it is private, and security.egress.deny_private is set" in await refused(
            server.address, deny_private=True
        )
    assert "clouds hand out credentials" in await refused("redis://169.254.169.254")


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "is no Redis server: b'HTTP/1.1 400 Bad Request'"),
        ([b"\x00\x01\xff" * 40_000], "is no Redis server: "),
        ([b"*many\r\n"], "is no Redis server: "),
        ([b"*1\r\n" * 5000], "is no Redis server: "),
        ([b":1\r\n" * 2, b"+OK\r\n"], "is no Redis server: its answer to XINFO has no last-delivered-id"),
        ([b""], "ended the connection at once (if it takes TLS alone, write rediss:// in sources.redis.endpoint)"),
        ([b"-BUSYGROUP x\r\n", b"*1\r\n*4\r\n$4\r\nname\r\n$7\r\ncitadel\r\n$17\r\nlast-delivered-id\r\n$1\r\nx\r\n"],
         "is no Redis server: its answer has no id"),
    ],
)  # fmt: skip
async def test_what_is_no_redis_server(answers, words):
    async with liar(*answers) as address:
        assert words in await refused(address)


JOINED = (
    b"-BUSYGROUP x\r\n",
    b"*1\r\n*4\r\n$4\r\nname\r\n$7\r\ncitadel\r\n$17\r\nlast-delivered-id\r\n$3\r\n0-0\r\n",
)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"*1\r\n*2\r\n$5\r\nother\r\n*0\r\n", "its answer to XREADGROUP is none: KeyError"),
        (b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$1\r\nx\r\n*0\r\n", "its answer to XREADGROUP is none: ValueError"),
        (b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*1\r\n$1\r\na\r\n", "its answer to XREADGROUP is none: "),
        (b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n:7\r\n", "its answer to XREADGROUP is none: TypeError"),
        (b":7\r\n", "its answer to XREADGROUP is none: TypeError"),
        (b"-ERR no such thing\r\n", "does not do what it is asked: no such thing"),
        (b"", "is lost: "),
    ],
)
async def test_one_that_lies_later(answer, words):
    async with liar(*JOINED, answer) as address, consuming(address) as consumer:
        with pytest.raises(FetchError) as caught:
            await consumer.receive()
        assert words in str(caught.value)


async def test_an_answer_without_end_takes_no_memory(monkeypatch):
    monkeypatch.setattr(client_module, "_ANSWER_BYTES", 1 << 20)
    whole = b"*1\r\n*2\r\n$1\r\ns\r\n*99999999\r\n" + b"*2\r\n$3\r\n1-1\r\n*0\r\n" * 100_000
    async with liar(*JOINED, whole) as address, consuming(address) as consumer:
        with pytest.raises(FetchError, match="is no Redis server: an answer has more than 1,048,576 bytes of lines"):
            await consumer.receive()


async def test_a_value_that_is_too_large_is_passed_over_as_it_comes(tmp_path):
    async with (
        redis_server(tmp_path) as server,
        server.client() as client,
        consuming(server.address, claim_after="0s") as consumer,
    ):
        await client.xadd("s", {"n": "1", "text": "x" * (MOST + 1)})
        await client.xadd("s", {"n": "2", "text": "x" * MOST})
        found: list = []
        while len(found) < 2:
            entries = await consumer.receive()
            await consumer.taken(entries)
            found += entries
        assert (found[0].fields, found[0].too_large) == (None, True)
        assert dict(found[1].fields)[b"text"] == b"x" * MOST
        assert (await client.xpending("s", "citadel"))["pending"] == 0


async def test_it_leaves_in_the_middle_of_a_question(tmp_path):
    async with redis_server(tmp_path) as server, server.client() as client, consuming(server.address) as consumer:
        reading = asyncio.create_task(consumer.receive())
        async with asyncio.timeout(30):
            while not (await client.info("clients"))["blocked_clients"]:
                await asyncio.sleep(0.02)
        consumer.leave()
        consumer.leave()
        assert await reading is None
        assert await consumer.receive() is None


async def test_two_consumers_share_a_group(tmp_path):
    async with (
        redis_server(tmp_path) as server,
        server.client() as client,
        consuming(server.address, consumer="a") as one,
        consuming(server.address, consumer="b") as other,
    ):
        reading = [asyncio.create_task(each.receive()) for each in (one, other)]
        async with asyncio.timeout(30):
            while (await client.info("clients"))["blocked_clients"] < 2:
                await asyncio.sleep(0.02)
            ids = [await client.xadd("s", {"n": str(number)}) for number in range(2)]
            found = [entry.id for entries in await asyncio.gather(*reading) for entry in entries or ()]
        assert sorted(found) == ids
