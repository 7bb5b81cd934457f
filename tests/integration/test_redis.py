"""Streams of a real Redis server as a way in: entries become events; it goes away and comes back, lies, is reloaded."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
import trustme

from hxp_enterprise_llm.config.sources import RedisConfig, RedisStreamConfig
from hxp_enterprise_llm.event.sources.redis import consumer
from hxp_enterprise_llm.event.sources.redis.server import address_of
from hxp_enterprise_llm.orchestration.streaming_orchestrator import Settings
from tests.integration.daemon import embedded_settings, running, url
from tests.integration.test_nats import metric, stored
from tests.integration.test_pollers import settings, soon, status_of, until_state
from tests.redis import RedisServer, redis_server, relayed

STREAM = "agents:events"
TYPE = "agents.events"


def streams(*names: str) -> list[RedisStreamConfig]:
    return [RedisStreamConfig(stream=name) for name in names]


def config(server: RedisServer, *lines: RedisStreamConfig, **more) -> RedisConfig:
    return RedisConfig(endpoint=server.address, streams=list(lines) or streams(STREAM), **more)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path / "redis") as started:
        yield started


async def until_reason(session: aiohttp.ClientSession, base: str, words: str) -> dict:
    """The source, once it says so."""
    async with asyncio.timeout(30):
        while words not in (found := (await status_of(session, base))["redis"])["reason"]:
            await asyncio.sleep(0.05)
    return found


async def until_dropped(session: aiohttp.ClientSession, base: str, count: int) -> None:
    async with asyncio.timeout(30):
        while not await metric(session, base, f'citadel_source_dropped_events_total{{source="redis"}} {count}.0'):
            await asyncio.sleep(0.05)


async def until_acknowledged(client, stream: str = STREAM) -> None:
    async with asyncio.timeout(30):
        while (await client.xpending(stream, "citadel"))["pending"]:
            await asyncio.sleep(0.02)


async def test_entries_are_events_on_every_way_out(tmp_path, server, session):
    async with running(settings(tmp_path, redis=config(server))) as program, server.client() as client:
        base, gateway = url(program, "processing"), url(program, "streaming")
        await until_state(session, base, "redis", "ok")
        id = await client.xadd(STREAM, {"agent": "planner", "note": "begun"})
        (event,) = await stored(session, base, TYPE, 1)
        assert (event["id"], event["source"], event["subject"]) == (f"{STREAM}/{id}", "/sources/redis", STREAM)
        assert event["data"] == {"agent": "planner", "note": "begun"}
        async with session.ws_connect(f"{gateway}/ws/events?last=9&type={TYPE}") as socket:
            assert (await socket.receive_json())["id"] == event["id"]
        state = (await status_of(session, gateway))["redis"]
        assert [(each["stream"], each["entries"]) for each in state["data"]] == [(STREAM, 1)]
        await until_acknowledged(client)


async def test_what_is_no_event_is_dropped_said_and_acknowledged_and_costs_the_others_nothing(
    tmp_path, server, session
):
    calls = RedisStreamConfig(stream="calls", type="llm.request.completed", numbers=["latency_ms"])
    alarm = {"event": '{"specversion": "1.0", "id": "1", "source": "/x", "type": "alert.made", "data": {}}'}
    async with running(settings(tmp_path, redis=config(server, calls))) as program, server.client() as client:
        base = url(program, "processing")
        await until_state(session, base, "redis", "ok")
        async with client.pipeline() as pipe:
            pipe.xadd("calls", {"model": "m", "latency_ms": 5})
            pipe.xadd("calls", {"model": "m", "latency_ms": "slow"}, id="*")
            pipe.xadd("calls", alarm)
            pipe.xadd("calls", {"model": "m", "latency_ms": 7.5})
            ids = await pipe.execute()
        events = await stored(session, base, "llm.request.completed", 2)
        assert [event["data"]["latency_ms"] for event in events] == [5, 7.5]
        await until_dropped(session, base, 2)
        state = (await status_of(session, base))["redis"]
        assert state["state"] == "ok"
        own = f"the entry {ids[2]} of calls was dropped: 1 of 1 events is of a type that the services make themselves"
        assert state["reason"].startswith(own)
        await until_acknowledged(client, "calls")


async def test_an_entry_that_is_too_large_is_dropped_and_keeps_no_memory(tmp_path, server, session):
    plain = settings(tmp_path, redis=config(server))
    assert plain.processing is not None
    limits = msgspec.structs.replace(plain.processing.log.limits, max_event_bytes=100_000)
    log = msgspec.structs.replace(plain.processing.log, limits=limits)
    small = Settings(msgspec.structs.replace(plain.processing, log=log), plain.streaming)
    async with running(small) as program, server.client() as client:
        base = url(program, "processing")
        await until_state(session, base, "redis", "ok")
        await client.xadd(STREAM, {"n": "1"})
        large = await client.xadd(STREAM, {"text": "x" * 5_000_000})
        await client.xadd(STREAM, {"n": "2"})
        assert [each["data"] for each in await stored(session, base, TYPE, 2)] == [{"n": "1"}, {"n": "2"}]
        await until_dropped(session, base, 1)
        await until_reason(session, base, f"{large} of {STREAM} was dropped: it is larger than log.limits.max_event")
        # Each of these is small enough, and all of them have no room in one answer.
        async with client.pipeline() as pipe:
            for number in range(230):
                pipe.xadd("many", {"text": "y" * 90_000, "n": number})
            await pipe.execute()
        sources = msgspec.structs.replace(
            small.processing.sources, redis=config(server, *streams(STREAM, "many"), start="beginning")
        )
        program.reload(Settings(msgspec.structs.replace(small.processing, sources=sources), small.streaming))
        gateway = url(program, "streaming")
        async with session.ws_connect(f"{gateway}/ws/events?type=many&after=0", max_msg_size=0) as socket:
            async with asyncio.timeout(60):
                found = [int((await socket.receive_json())["data"]["n"]) for _ in range(230)]
        assert found == list(range(230))


async def test_a_flood_is_stored_whole_and_in_order(tmp_path, server, session):
    async with running(settings(tmp_path, redis=config(server))) as program, server.client() as client:
        base, gateway = url(program, "processing"), url(program, "streaming")
        await until_state(session, base, "redis", "ok")
        async with session.ws_connect(f"{gateway}/ws/events?type={TYPE}") as socket:
            async with client.pipeline(transaction=False) as pipe:
                for number in range(3000):
                    pipe.xadd(STREAM, {"payload": f'{{"n": {number}}}'})
                await pipe.execute()
            async with asyncio.timeout(30):
                assert [(await socket.receive_json())["data"]["n"] for _ in range(3000)] == list(range(3000))
        await until_acknowledged(client)


async def test_a_group_that_is_made_begins_where_it_is_told(tmp_path, server, session):
    async with server.client() as client:
        await client.xadd(STREAM, {"n": "old"})
        for start, expected in (("new", ["fresh"]), ("beginning", ["old", "fresh"])):
            here = settings(tmp_path / start, redis=config(server, group=start, start=start))
            async with running(here) as program:
                base = url(program, "processing")
                await until_state(session, base, "redis", "ok")
                if start == "new":
                    await client.xadd(STREAM, {"n": "fresh"})
                events = await stored(session, base, TYPE, len(expected))
                assert [event["data"]["n"] for event in events] == expected


async def test_entries_wait_while_nobody_is_there(tmp_path, server, session):
    here = settings(tmp_path, redis=config(server))
    async with server.client() as client:
        async with running(here) as program:
            await until_state(session, url(program, "processing"), "redis", "ok")
        await client.xadd(STREAM, {"n": "meanwhile"})
        async with running(here) as program:
            (event,) = await stored(session, url(program, "processing"), TYPE, 1)
            assert event["data"] == {"n": "meanwhile"}


async def test_what_a_consumer_has_left_is_taken_over(tmp_path, server, session):
    async with server.client() as client:
        await client.xgroup_create(STREAM, "citadel", mkstream=True)
        for number in range(3):
            await client.xadd(STREAM, {"n": str(number)})
        await client.xreadgroup("citadel", "gone", {STREAM: ">"})
        async with running(settings(tmp_path, redis=config(server, claim_after="100ms"))) as program:
            events = await stored(session, url(program, "processing"), TYPE, 3)
            assert [event["data"]["n"] for event in events] == ["0", "1", "2"]
            await until_acknowledged(client)


async def test_an_entry_that_was_deleted_before_it_was_stored_is_told(tmp_path, server, session):
    async with server.client() as client:
        await client.xgroup_create(STREAM, "citadel", mkstream=True)
        id = await client.xadd(STREAM, {"n": "1"})
        await client.xreadgroup("citadel", "us", {STREAM: ">"})
        await client.xdel(STREAM, id)
        async with running(settings(tmp_path, redis=config(server, consumer="us"))) as program:
            base = url(program, "processing")
            await until_reason(session, base, f"the entry {id} of {STREAM} was dropped: it was deleted before that")
            await until_acknowledged(client)


async def test_a_server_is_killed_and_comes_back(tmp_path, session):
    server = RedisServer(tmp_path / "redis")
    here = settings(tmp_path, redis=config(server, start="beginning"))
    try:
        async with running(here) as program, server.client() as client:
            base = url(program, "processing")
            away = await until_state(session, base, "redis", "away")
            assert away["reason"] == f"{server.address}/0 does not answer: Connection refused"
            assert soon(away)
            await server.start()
            await until_state(session, base, "redis", "ok")
            await client.xadd(STREAM, {"n": "1"})
            await stored(session, base, TYPE, 1)
            await until_acknowledged(client)
            await server.kill()
            lost = await until_state(session, base, "redis", "away")
            assert [each["state"] for each in lost["history"]][-3:] == ["ok", "failing", "away"]
            assert lost["stale"]
            assert await metric(session, base, 'citadel_source_up{source="redis"} 0.0')
            async with session.get(f"{base}/health") as answer:
                assert (await answer.json())["status"] == "healthy"
            await server.start()
            await until_state(session, base, "redis", "ok")
            await client.xadd(STREAM, {"n": "2"})
            assert [each["data"]["n"] for each in await stored(session, base, TYPE, 2)] == ["1", "2"]
    finally:
        await server.kill()


async def test_a_group_that_is_gone_is_made_again_where_it_was(tmp_path, server, session):
    async with running(settings(tmp_path, redis=config(server))) as program, server.client() as client:
        base = url(program, "processing")
        await until_state(session, base, "redis", "ok")
        await client.xadd(STREAM, {"n": "1"})
        await stored(session, base, TYPE, 1)
        await until_acknowledged(client)
        # Nothing is left, and what comes at once must not be passed over; its ids may even be smaller.
        async with client.pipeline() as pipe:
            pipe.flushall()
            pipe.xadd(STREAM, {"n": "2"}, id="1-1")
            await pipe.execute()
        assert [each["data"]["n"] for each in await stored(session, base, TYPE, 2)] == ["1", "2"]
        state = await until_state(session, base, "redis", "ok")
        failing = next(each for each in state["history"] if each["state"] == "failing")
        assert f"the group citadel is gone from {server.address}/0 and is made anew: NOGROUP" in failing["reason"]
        # The group alone: what is stored is not read again.
        await client.xgroup_destroy(STREAM, "citadel")
        await client.xadd(STREAM, {"n": "3"})
        assert [each["data"]["n"] for each in await stored(session, base, TYPE, 3)] == ["1", "2", "3"]


async def test_a_key_that_is_no_stream_is_told(tmp_path, server, session):
    async with running(settings(tmp_path, redis=config(server, *streams(STREAM, "other")))) as program:
        base = url(program, "processing")
        await until_state(session, base, "redis", "ok")
        async with server.client() as client:
            async with client.pipeline() as pipe:
                pipe.delete("other")
                pipe.set("other", "text")
                await pipe.execute()
            away = await until_state(session, base, "redis", "away")
            assert away["reason"] == f"other is no stream on {server.address}/0, but another kind of value"
            await client.xadd(STREAM, {"n": "1"})
            await client.delete("other")
            await until_state(session, base, "redis", "ok")
            await stored(session, base, TYPE, 1)


async def test_it_is_switched_off_and_on_again(tmp_path, server, session):
    async with running(settings(tmp_path, redis=config(server))) as program, server.client() as client:
        base = url(program, "processing")
        await until_state(session, base, "redis", "ok")
        for number in range(3):
            async with session.post(f"{base}/sources/redis/settings?live=false") as answer:
                assert (await answer.json())["state"] == "off"
            assert (await status_of(session, base))["redis"]["next_try"] is None
            await client.xadd(STREAM, {"n": str(number)})
            async with session.post(f"{base}/sources/redis/settings?live=true") as answer:
                assert answer.status == 202
            assert len(await stored(session, base, TYPE, number + 1)) == number + 1


async def test_it_leaves_at_once_when_nothing_is_under_way(tmp_path, server, session):
    loop = asyncio.get_running_loop()
    async with running(settings(tmp_path, redis=config(server))) as program, server.client() as client:
        base = url(program, "processing")
        await until_state(session, base, "redis", "ok")
        async with asyncio.timeout(30):
            while not (await client.info("clients"))["blocked_clients"]:
                await asyncio.sleep(0.02)
        begun = loop.time()
        async with session.post(f"{base}/sources/redis/settings?live=false") as answer:
            assert answer.status == 202
        async with asyncio.timeout(30):
            while (await client.info("clients"))["connected_clients"] > 1:
                await asyncio.sleep(0.02)
        # Nobody waits until the question that the server holds has run out.
        assert loop.time() - begun < consumer.PATIENCE


async def test_a_reload_reads_another_stream(tmp_path, server, session):
    here = settings(tmp_path, redis=config(server, *streams("one")))
    async with running(here) as program, server.client() as client:
        base = url(program, "processing")
        await until_state(session, base, "redis", "ok")
        assert here.processing is not None
        sources = msgspec.structs.replace(here.processing.sources, redis=config(server, *streams("one", "two")))
        report = program.reload(Settings(msgspec.structs.replace(here.processing, sources=sources), here.streaming))
        assert not report.restart
        await until_state(session, base, "redis", "ok")
        await client.xadd("one", {"n": "1"})
        await client.xadd("two", {"n": "1"})
        await stored(session, base, "two", 1)
        assert len(await stored(session, base, "one", 1)) == 1


def secret_file(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


async def test_a_password_lets_us_in_and_a_wrong_one_is_told_and_never_shown(tmp_path, session):
    secret = secret_file(tmp_path / "password", "wrong-one")
    users = (
        "--user",
        "citadel",
        "on",
        ">s3cret-word",
        "~*",
        "+xgroup",
        "+xreadgroup",
        "+xack",
        "+xautoclaim",
        "+xinfo",
    )
    async with redis_server(tmp_path / "redis", "--requirepass", "root", *users) as server:
        here = config(server, username="citadel", password_file=str(secret))
        async with running(settings(tmp_path, redis=here)) as program, server.client(password="root") as client:
            base = url(program, "processing")
            away = await until_state(session, base, "redis", "away")
            assert away["reason"].startswith(f"{server.address}/0 has denied us: invalid username-password pair")
            assert away["reason"].endswith("; look at the log-in under sources.redis")
            secret.write_text("s3cret-word")
            await until_state(session, base, "redis", "ok")
            await client.xadd(STREAM, {"n": "1"})
            await stored(session, base, TYPE, 1)
            await client.acl_setuser("citadel", commands=["-xreadgroup"])
            denied = await until_state(session, base, "redis", "failing")
            assert "has denied us" in denied["reason"]
            assert "xreadgroup" in denied["reason"]
            async with session.get(f"{base}/sources/status") as answer:
                assert "s3cret-word" not in await answer.text()


async def test_a_secret_that_everybody_may_read_is_not_used(tmp_path, server, session):
    secret = tmp_path / "password"
    secret.write_text("x")
    secret.chmod(0o644)
    async with running(settings(tmp_path, redis=config(server, password_file=str(secret)))) as program:
        away = await until_state(session, url(program, "processing"), "redis", "away")
        assert f"chmod o-rwx {secret}" in away["reason"]


async def test_tls_is_checked_and_never_done_without(tmp_path, server, session):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with relayed(server.port, context=context) as (_, port), server.client() as client:
        for name, scheme, words in (
            ("plain", "redis", "ended the connection at once (if it takes TLS alone, write rediss:// in sources.redis"),
            ("strange", "rediss", "TLS fails: "),
        ):
            wrong = RedisConfig(endpoint=f"{scheme}://127.0.0.1:{port}", streams=streams(STREAM))
            async with running(settings(tmp_path / name, redis=wrong)) as program:
                away = await until_state(session, url(program, "processing"), "redis", "away")
                assert words in away["reason"]
        trusted = RedisConfig(
            endpoint=f"rediss://127.0.0.1:{port}/0", streams=streams(STREAM), ca_file=str(tmp_path / "ca.pem")
        )
        async with running(settings(tmp_path / "good", redis=trusted)) as program:
            base = url(program, "processing")
            await until_state(session, base, "redis", "ok")
            await client.xadd(STREAM, {"n": "1"})
            await stored(session, base, TYPE, 1)


async def test_what_is_no_redis_server_is_told(tmp_path, session):
    async with running(embedded_settings(tmp_path / "other")) as other:
        http = RedisConfig(endpoint=url(other, "processing").replace("http", "redis"), streams=streams(STREAM))
        async with running(settings(tmp_path / "ours", redis=http)) as program:
            away = await until_state(session, url(program, "processing"), "redis", "away")
            assert away["reason"].startswith(f"{http.endpoint}/0 is no Redis server: b'HTTP/1.")


async def test_a_server_that_hangs_is_noticed(tmp_path, session, monkeypatch):
    monkeypatch.setattr(consumer, "PATIENCE", 0.3)
    async with redis_server(tmp_path / "redis") as server, relayed(server.port) as (relay, port):
        here = RedisConfig(endpoint=f"redis://127.0.0.1:{port}", streams=streams(STREAM))
        async with running(settings(tmp_path, redis=here)) as program:
            base = url(program, "processing")
            await until_state(session, base, "redis", "ok")
            relay.until = b"XREADGROUP"
            failing = await until_state(session, base, "redis", "failing")
            assert "nothing has come within 0.6 s" in failing["reason"]


@pytest.mark.parametrize(
    "endpoint", ["http://h", "redis://", "redis://u:p@h", "h:6379", "redis://h/x", "redis://h/0/1"]
)
def test_what_is_no_address(endpoint):
    with pytest.raises(ValueError):
        address_of(endpoint)


def test_an_address_in_full():
    assert address_of("redis://h").text == "redis://h:6379/0"
    assert address_of("rediss://[::1]:7/3") == ("::1", 7, 3, True, "rediss://[::1]:7/3")
