"""A real NATS server as a way in: messages become events; it goes away and comes back, is switched off and on."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import nats
import pytest
import trustme

from hxp_enterprise_llm.config.sources import NatsConfig, SubjectConfig
from hxp_enterprise_llm.event.sources.nats import connection
from hxp_enterprise_llm.event.sources.nats.connection import address_of
from hxp_enterprise_llm.orchestration.streaming_orchestrator import Settings
from tests.integration.daemon import embedded_settings, running, url
from tests.integration.test_pollers import settings, soon, status_of, until_state
from tests.ports import free_port

SERVER = Path(sys.executable).with_name("nats-server")
EGOS = [SubjectConfig(subject="egos.>")]


@asynccontextmanager
async def server(*arguments: str, port: int = 0) -> AsyncIterator[str]:
    """Its address, once it answers."""
    port = port or free_port()
    options = ("-a", "127.0.0.1", "-p", str(port), *arguments)
    process = await asyncio.create_subprocess_exec(str(SERVER), *options, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(30):
            while not await _listens(port):
                await asyncio.sleep(0.02)
        yield f"nats://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.fixture
async def address() -> AsyncIterator[str]:
    async with server() as found:
        yield found


async def publish(address: str, *messages: tuple[str, bytes], headers: dict[str, str] | None = None, **login) -> None:
    client = await nats.connect(address, **login)
    for subject, body in messages:
        await client.publish(subject, body, headers=headers)
    await client.flush()
    await client.close()


async def stored(session: aiohttp.ClientSession, base: str, type: str, count: int) -> list[dict]:
    """The events of a type, once there are so many; the newest last."""
    async with asyncio.timeout(30):
        while True:
            async with session.get(f"{base}/events", params={"after": "0", "type": type}) as answer:
                events = (await answer.json())["events"]
            if len(events) >= count:
                return events
            await asyncio.sleep(0.05)


async def metric(session: aiohttp.ClientSession, base: str, line: str) -> bool:
    async with session.get(f"{base}/metrics") as answer:
        return line in await answer.text()


async def test_messages_are_events_on_every_way_out(tmp_path, address, session):
    async with running(settings(tmp_path, nats=NatsConfig(endpoint=address))) as program:
        base, gateway = url(program, "processing"), url(program, "streaming")
        await until_state(session, base, "nats", "ok")
        await publish(
            address,
            ("egos.sparc.tasks", b'{"task": "plan", "trace_id": "t1"}'),
            ("egos.llm.logs", b'{"model": "hermes"}'),
            ("egos.propagation.log", b"Systemic Cartography"),
            ("egos.elsewhere", b"{}"),
        )
        events = await stored(session, base, "egos.*", 3)
        assert {event["type"]: event["data"] for event in events} == {
            "egos.sparc.tasks": {"task": "plan", "trace_id": "t1"},
            "egos.llm.logs": {"model": "hermes"},
            "egos.propagation.log": {"text": "Systemic Cartography"},
        }
        assert {event["source"] for event in events} == {"/sources/nats"}
        async with session.ws_connect(f"{gateway}/ws/events?last=9&type=egos.sparc.tasks") as socket:
            assert json.loads(await socket.receive_str())["subject"] == "egos.sparc.tasks"
        state = (await status_of(session, gateway))["nats"]
        assert {(each["subject"], each["messages"]) for each in state["data"]} == {
            ("egos.sparc.tasks", 1),
            ("egos.llm.logs", 1),
            ("egos.propagation.log", 1),
        }


async def test_what_is_no_event_is_dropped_and_said_and_costs_the_others_nothing(tmp_path, address, session):
    subjects = [SubjectConfig(subject="calls", type="llm.request.completed"), SubjectConfig(subject="whole")]
    config = NatsConfig(endpoint=address, subjects=subjects)
    async with running(settings(tmp_path, nats=config)) as program:
        base = url(program, "processing")
        await until_state(session, base, "nats", "ok")
        alarm = b'{"specversion": "1.0", "id": "1", "source": "/x", "type": "alert.firing", "data": {}}'
        good = b'{"model": "m", "latency_ms": 5}'
        bad = b'{"model": "m", "latency_ms": "slow"}'
        await publish(address, ("calls", good), ("calls", bad), ("whole", alarm), ("calls", good))
        assert len(await stored(session, base, "llm.request.completed", 2)) == 2
        async with asyncio.timeout(30):
            while not await metric(session, base, 'citadel_source_dropped_events_total{source="nats"} 2.0'):
                await asyncio.sleep(0.05)
        assert (await status_of(session, base))["nats"]["state"] == "ok"


async def test_repeats_of_a_publisher_are_stored_once(tmp_path, address, session):
    async with running(settings(tmp_path, nats=NatsConfig(endpoint=address, subjects=EGOS))) as program:
        base = url(program, "processing")
        await until_state(session, base, "nats", "ok")
        await publish(address, *[("egos.a", b"{}")] * 3, headers={"Nats-Msg-Id": "same"})
        await publish(address, ("egos.last", b"{}"))
        await stored(session, base, "egos.last", 1)
        assert len(await stored(session, base, "egos.a", 1)) == 1


async def test_a_flood_is_stored_whole_and_in_order(tmp_path, address, session):
    async with running(settings(tmp_path, nats=NatsConfig(endpoint=address, subjects=EGOS))) as program:
        base, gateway = url(program, "processing"), url(program, "streaming")
        await until_state(session, base, "nats", "ok")
        async with session.ws_connect(f"{gateway}/ws/events?type=egos.n") as socket:
            await publish(address, *[("egos.n", b'{"n": %d}' % number) for number in range(3000)])
            async with asyncio.timeout(30):
                found = [json.loads(await socket.receive_str())["data"]["n"] for _ in range(3000)]
        assert found == list(range(3000))


async def test_a_server_goes_away_and_comes_back(tmp_path):
    port = free_port()
    async with aiohttp.ClientSession() as session:
        config = NatsConfig(endpoint=f"nats://127.0.0.1:{port}", subjects=EGOS)
        async with running(settings(tmp_path, nats=config)) as program:
            base = url(program, "processing")
            away = await until_state(session, base, "nats", "away")
            assert away["reason"] == f"nats://127.0.0.1:{port} does not answer: Connection refused"
            assert soon(away)
            async with server(port=port) as address:
                await until_state(session, base, "nats", "ok")
                await publish(address, ("egos.a", b"{}"))
                await stored(session, base, "egos.a", 1)
            lost = await until_state(session, base, "nats", "away")
            assert [each["state"] for each in lost["history"]][-3:] == ["ok", "failing", "away"]
            assert lost["stale"]
            assert await metric(session, base, 'citadel_source_up{source="nats"} 0.0')
            async with session.get(f"{base}/health") as answer:
                assert (await answer.json())["status"] == "healthy"
            # The same subjects again, without a restart of ours.
            async with server(port=port) as address:
                await until_state(session, base, "nats", "ok")
                await publish(address, ("egos.a", b"{}"))
                assert len(await stored(session, base, "egos.a", 2)) == 2


async def test_it_is_switched_off_and_on_again_and_hears_once(tmp_path, address, session):
    async with running(settings(tmp_path, nats=NatsConfig(endpoint=address, subjects=EGOS))) as program:
        base = url(program, "processing")
        await until_state(session, base, "nats", "ok")
        for number in range(3):
            async with session.post(f"{base}/sources/nats/settings?live=false") as answer:
                assert (await answer.json())["state"] == "off"
            off = (await status_of(session, base))["nats"]
            assert (off["reason"], off["next_try"]) == ("switched off", None)
            async with session.post(f"{base}/sources/nats/settings?live=true") as answer:
                assert answer.status == 202
            await until_state(session, base, "nats", "ok")
            await publish(address, ("egos.a", b"{}"))
            assert len(await stored(session, base, "egos.a", number + 1)) == number + 1
            assert (await status_of(session, base))["nats"]["next_try"] is None


async def test_a_reload_listens_to_other_subjects(tmp_path, address, session):
    here = settings(tmp_path, nats=NatsConfig(endpoint=address, subjects=[SubjectConfig(subject="one")]))
    async with running(here) as program:
        base = url(program, "processing")
        await until_state(session, base, "nats", "ok")
        assert here.processing is not None
        sources = msgspec.structs.replace(
            here.processing.sources,
            nats=NatsConfig(endpoint=address, subjects=[SubjectConfig(subject="one"), SubjectConfig(subject="two")]),
        )
        report = program.reload(Settings(msgspec.structs.replace(here.processing, sources=sources), here.streaming))
        assert not report.restart
        await until_state(session, base, "nats", "ok")
        await publish(address, ("one", b"{}"), ("two", b"{}"))
        await stored(session, base, "two", 1)
        assert len(await stored(session, base, "one", 1)) == 1


async def test_a_token_lets_us_in_and_a_wrong_one_is_told(tmp_path):
    secret = tmp_path / "token"
    secret.touch(mode=0o600)
    secret.write_text("wrong")
    async with server("--auth", "s3cret-token") as address, aiohttp.ClientSession() as session:
        config = NatsConfig(endpoint=address, subjects=EGOS, token_file=str(secret))
        async with running(settings(tmp_path, nats=config)) as program:
            base = url(program, "processing")
            away = await until_state(session, base, "nats", "away")
            assert "has denied us: Authorization Violation; look at the log-in under sources.nats" in away["reason"]
            secret.write_text("s3cret-token")
            await until_state(session, base, "nats", "ok")
            await publish(address, ("egos.a", b"{}"), token="s3cret-token")
            await stored(session, base, "egos.a", 1)


async def test_a_secret_that_everybody_may_read_is_not_used(tmp_path):
    secret = tmp_path / "password"
    secret.write_text("x")
    secret.chmod(0o644)
    async with server() as address, aiohttp.ClientSession() as session:
        config = NatsConfig(endpoint=address, username="ann", password_file=str(secret))
        async with running(settings(tmp_path, nats=config)) as program:
            away = await until_state(session, url(program, "processing"), "nats", "away")
            assert f"chmod o-rwx {secret}" in away["reason"]


async def test_tls_is_checked_and_never_done_without(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    files = ("--tls", "--tlscert", str(tmp_path / "cert.pem"), "--tlskey", str(tmp_path / "key.pem"))
    async with server(*files) as address, aiohttp.ClientSession() as session:
        secure = address.replace("nats://", "tls://")
        for name, config, words in (
            ("plain", NatsConfig(endpoint=address), "takes TLS alone: write tls://"),
            ("strange", NatsConfig(endpoint=secure), "TLS fails: "),
        ):
            async with running(settings(tmp_path / name, nats=config)) as program:
                away = await until_state(session, url(program, "processing"), "nats", "away")
                assert words in away["reason"]
        trusted = NatsConfig(endpoint=secure, subjects=EGOS, ca_file=str(tmp_path / "ca.pem"))
        async with running(settings(tmp_path / "good", nats=trusted)) as program:
            base = url(program, "processing")
            await until_state(session, base, "nats", "ok")
            context = ssl.create_default_context()
            authority.configure_trust(context)
            await publish(secure, ("egos.a", b"{}"), tls=context)
            await stored(session, base, "egos.a", 1)


async def test_a_server_that_hangs_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "PATIENCE", 0.3)

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"version": "0"}\r\n')
        await reader.readuntil(b"PING\r\n")
        writer.write(b"PONG\r\n")
        while await reader.read(1024):
            pass
        writer.close()

    peer = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = peer.sockets[0].getsockname()[1]
    async with peer, aiohttp.ClientSession() as session:
        config = NatsConfig(endpoint=f"nats://127.0.0.1:{port}")
        async with running(settings(tmp_path, nats=config)) as program:
            base = url(program, "processing")
            await until_state(session, base, "nats", "ok")
            failing = await until_state(session, base, "nats", "failing")
            assert "nothing has come within 0.6 s" in failing["reason"]


async def test_what_is_no_nats_server_is_told(tmp_path, session):
    async with running(embedded_settings(tmp_path / "other")) as other:
        config = NatsConfig(endpoint=url(other, "processing").replace("http", "nats"), timeout=0.3)
        async with running(settings(tmp_path / "ours", nats=config)) as program:
            away = await until_state(session, url(program, "processing"), "nats", "away")
            assert away["reason"] == f"{config.endpoint} has not answered within 0.3 s"


@pytest.mark.parametrize("endpoint", ["http://h", "nats://", "nats://u:p@h", "h:4222", "nats://h/x"])
def test_what_is_no_address(endpoint):
    with pytest.raises(ValueError):
        address_of(endpoint)


async def test_an_address_that_is_not_allowed_is_told(tmp_path, session):
    config = NatsConfig(endpoint="nats://169.254.169.254")
    async with running(settings(tmp_path, nats=config)) as program:
        away = await until_state(session, url(program, "processing"), "nats", "away")
        assert "no connection to 169.254.169.254 is made: it is link-local" in away["reason"]
