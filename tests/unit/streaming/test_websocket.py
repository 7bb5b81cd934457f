"""Real WebSocket clients against a real gateway."""

from __future__ import annotations

import asyncio
import base64
import json
import os

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hxp_enterprise_llm.config.streaming import StreamingConfig, WebSocketConfig
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.event.streaming.websocket import command_fault
from tests.unit.streaming.gateways import Served, serving, until


async def receive(client: ClientConnection, count: int) -> list[dict[str, object]]:
    async with asyncio.timeout(10):
        return [json.loads(await client.recv()) for _ in range(count)]


async def refused(served: Served, path: str) -> tuple[int, dict[str, object]]:
    with pytest.raises(InvalidStatus) as raised:
        await connect(served.ws(path))
    return raised.value.response.status_code, json.loads(raised.value.response.body or b"{}")["error"]


async def test_a_client_gets_what_is_published_after_it_came() -> None:
    async with serving() as served:
        await served.publish("host.cpu")
        async with connect(served.ws("/ws/events")) as client:
            offsets = await served.publish("host.cpu", "llm.request.completed")
            first, second = await receive(client, 2)
        assert [first["offset"], second["offset"]] == offsets
        assert list(first)[:3] == ["offset", "epoch", "specversion"]
        assert first["epoch"] == served.gateway.hub.position.epoch
        assert second["type"] == "llm.request.completed"


async def test_resume_by_offset_by_cursor_and_from_the_earliest() -> None:
    async with serving() as served:
        offsets = await served.publish(*["host.cpu"] * 5)
        epoch = served.gateway.hub.position.epoch
        for after in (str(offsets[1]), f"{epoch}.{offsets[1]}"):
            async with connect(served.ws(f"/ws/events?after={after}")) as client:
                assert [event["offset"] for event in await receive(client, 3)] == offsets[2:]
        async with connect(served.ws("/ws/events?after=earliest")) as client:
            assert [event["offset"] for event in await receive(client, 5)] == offsets


async def test_last_narrowing_and_filter() -> None:
    async with serving() as served:
        offsets = await served.publish("host.cpu", "llm.request.failed", "host.memory", "llm.request.failed")
        await until(lambda: served.gateway.hub.position.offset == offsets[-1])
        async with connect(served.ws("/ws/events?last=2")) as client:
            assert [event["offset"] for event in await receive(client, 2)] == offsets[2:]
        async with connect(served.ws("/ws/events?last=9&type=llm.*,host.memory&filter=data.n%20>%202")) as client:
            assert [event["offset"] for event in await receive(client, 2)] == offsets[2:]
            assert served.gateway.hub.derived_count == 1
            new = await served.publish("host.cpu", "host.memory")
            assert [event["offset"] for event in await receive(client, 1)] == new[1:]
        await until(lambda: served.gateway.hub.derived_count == 0)


async def test_the_handshake_says_where_the_stream_stands() -> None:
    async with serving() as served:
        (offset,) = await served.publish("host.cpu")
        await until(lambda: served.gateway.hub.position.offset == offset)
        async with connect(served.ws("/ws/events")) as client:
            assert client.response is not None
            assert client.response.headers["Stream-Position"] == f"{served.gateway.hub.position.epoch}.{offset}"


async def test_unknown_channel_lists_all_and_suggests() -> None:
    async with serving() as served:
        status, error = await refused(served, "/ws/metric_updates")
        assert (status, error["code"]) == (404, "unknown_channel")
        assert error["message"] == "there is no channel 'metric_updates'"
        assert error["hint"] == "Did you mean metrics_updates?"
        assert "events" in error["channels"]  # type: ignore[operator]
        status, error = await refused(served, "/ws/zzz")
        assert error["hint"] == "GET /streams lists all channels."


async def test_faulty_queries_take_no_place() -> None:
    async with serving() as served:
        for query, message in {
            "after=-4": "after: '-4' is no cursor",
            "last=0": "last: '0' is not a number from 1 to 10,000",
            "filter=data.a.startWith('x')": "filter: Column 8: startWith is not known. Did you mean startsWith?",
        }.items():
            status, error = await refused(served, f"/ws/events?{query}")
            assert (status, error["message"]) == (400, message)
        assert served.open == 0
        assert served.gateway.hub.derived_count == 0


async def test_one_more_than_the_limit_is_answered_503() -> None:
    async with serving(StreamingConfig(websocket=WebSocketConfig(max_connections=1))) as served:
        async with connect(served.ws("/ws/events")):
            status, error = await refused(served, "/ws/events?filter=data.n==1")
            assert (status, error["code"], error["limit"]) == (503, "too_many_connections", 1)
            assert error["message"] == "all 1 WebSocket connections are in use"
            assert served.gateway.hub.derived_count == 0
        await until(lambda: served.open == 0)
        async with connect(served.ws("/ws/events")):
            assert served.open == 1
        assert served.sample("citadel_streaming_connections_refused_total", transport="websocket", reason="limit") == 1


async def test_disabled() -> None:
    async with serving(StreamingConfig(websocket=WebSocketConfig(enabled=False))) as served:
        status, error = await refused(served, "/ws/events")
        assert (status, error["message"]) == (404, "WebSocket is switched off on this server")


async def test_commands_of_clients() -> None:
    async with serving() as served, connect(served.ws("/ws/events")) as client:
        await client.send('{"command":"ping"}')
        assert await receive(client, 1) == [{"control": "pong"}]
        await client.send(['{"comm', 'and":"p', 'ing"}'])
        assert await receive(client, 1) == [{"control": "pong"}]
        await client.send('{"command":"subscribe"}')
        await client.send(b"\x00")
        unknown, binary = await receive(client, 2)
        assert unknown["message"] == "the command 'subscribe' is not known; there is only ping"
        assert binary["message"] == "binary messages are not read here; send JSON text"
        await (await client.ping())


def test_what_is_no_command() -> None:
    assert command_fault('{"command":"ping"}') == ""
    assert "a message is JSON" in command_fault("hello")
    assert "a message is JSON" in command_fault('{"command":"ping","more":1}')


async def test_too_large_a_message_is_closed_with_1009() -> None:
    config = StreamingConfig(websocket=WebSocketConfig(message_size_limit=1000))
    async with serving(config) as served:
        async with connect(served.ws("/ws/events")) as client:
            await client.send("x" * 100_000)
            with pytest.raises(ConnectionClosed) as raised:
                await client.recv()
            assert raised.value.rcvd is not None
            assert raised.value.rcvd.code == 1009
        await until(lambda: served.open == 0)
        reason = {"transport": "websocket", "reason": "message_too_big"}
        assert served.sample("citadel_streaming_connections_closed_total", **reason) == 1


async def handshake(
    served: Served, path: str = "/ws/events", **headers: str
) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    lines = {
        "Host": f"127.0.0.1:{served.port}",
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    writer.write(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
    status = int((await reader.readuntil(b"\r\n\r\n")).split()[1])
    return status, reader, writer


def masked(opcode: int, payload: bytes) -> bytes:
    mask = b"\x01\x02\x03\x04"
    return (
        bytes((0x80 | opcode, 0x80 | len(payload)))
        + mask
        + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    )


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (masked(1, b"\xff\xfe"), 1007),
        (b"\x81\x02ab", 1002),
        (masked(1, b"ok") + masked(3, b""), 1002),
        (masked(8, (1000).to_bytes(2, "big")), 1000),
    ],
    ids=["not UTF-8", "not masked", "reserved opcode", "ordinary close"],
)
async def test_close_codes(sent: bytes, code: int) -> None:
    async with serving() as served:
        status, reader, writer = await handshake(served)
        assert status == 101
        writer.write(sent)
        answer = await reader.read()
        writer.close()
        frame = answer[answer.rindex(b"\x88") :]
        assert int.from_bytes(frame[2:4], "big") == code
        await until(lambda: served.open == 0)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upgrade": "", "Connection": "close"}, 426),
        ({"Sec_WebSocket_Version": "8"}, 426),
        ({"Sec_WebSocket_Key": "short"}, 400),
        ({"Sec_WebSocket_Key": "???"}, 400),
        ({"Content_Length": "5"}, 400),
        ({"Transfer_Encoding": "chunked"}, 400),
    ],
)
async def test_faulty_handshakes(headers: dict[str, str], status: int) -> None:
    async with serving() as served:
        answered, _, writer = await handshake(served, **headers)
        writer.close()
        assert answered == status
        assert served.open == 0


async def test_a_plain_get_is_told_how_to_connect() -> None:
    async with serving() as served:
        status, headers, body = await served.get("/ws/metrics_updates")
        assert (status, headers["Upgrade"]) == (426, "websocket")
        assert body["error"]["hint"] == f"wscat -c ws://127.0.0.1:{served.port}/ws/metrics_updates"


async def test_bytes_sent_before_the_answer_are_refused() -> None:
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(
            f"GET /ws/events HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            + masked(1, b"early")
        )
        assert (await reader.readline()).split()[1] == b"400"
        writer.close()


async def test_a_client_without_pong_is_cut_off_and_one_with_stays() -> None:
    config = StreamingConfig(websocket=WebSocketConfig(heartbeat_interval=0.6))
    async with serving(config) as served, connect(served.ws("/ws/events")) as client:
        status, reader, writer = await handshake(served)
        assert (status, served.open) == (101, 2)
        pings = await reader.read()  # until the server ends it
        assert pings.startswith(b"\x89\x00")
        writer.close()
        await until(lambda: served.open == 1)
        reason = {"transport": "websocket", "reason": "ping_timeout"}
        assert served.sample("citadel_streaming_connections_closed_total", **reason) == 1
        await served.publish("host.cpu")
        assert len(await receive(client, 1)) == 1


async def test_a_cursor_that_the_log_no_longer_has_is_reset_and_goes_on_from_the_first() -> None:
    async with serving() as served:
        served.gateway.hub.options.ring_events = 2
        gone = await served.publish("host.cpu")
        offsets = await served.publish("host.cpu", "host.cpu", "host.cpu")
        await served.log.trim(Offset(gone[0]))
        async with connect(served.ws("/ws/events?after=0")) as client:
            reset, *events = await receive(client, 4)
        assert reset == {
            "control": "reset",
            "reason": "gone",
            "epoch": served.gateway.hub.position.epoch,
            "first": offsets[0],
            "head": offsets[-1],
            "after": offsets[0] - 1,
        }
        assert [event["offset"] for event in events] == offsets
        assert served.sample("citadel_streaming_resets_total") == 1


async def test_a_cursor_beyond_the_head_and_one_of_another_epoch() -> None:
    async with serving() as served:
        (offset,) = await served.publish("host.cpu")
        async with connect(served.ws("/ws/events?after=900")) as client:
            assert [(it["reason"], it["after"]) for it in await receive(client, 1)] == [("ahead", offset)]
            (new,) = await served.publish("host.cpu")
            assert [it["offset"] for it in await receive(client, 1)] == [new]
        async with connect(served.ws("/ws/events?after=other.900")) as client:
            reset, *events = await receive(client, 3)
            assert reset["reason"] == "epoch_changed"
            assert [it["offset"] for it in events] == [offset, new]


async def test_a_log_that_is_made_anew_resets_the_live_ones() -> None:
    async with serving() as served:
        async with connect(served.ws("/ws/events")) as client:
            await served.publish("host.cpu")
            (before,) = await receive(client, 1)
            served.log.recreate()
            offsets = await served.publish("host.memory")
            reset, event = await receive(client, 2)
        assert (reset["control"], reset["reason"]) == ("reset", "epoch_changed")
        assert reset["epoch"] == event["epoch"] != before["epoch"]
        assert event["offset"] == offsets[0]


async def test_farewell_says_restart() -> None:
    async with serving() as served:
        client = await connect(served.ws("/ws/events"))
        (offset,) = await served.publish("host.cpu")
        await until(lambda: served.gateway.hub.position.offset == offset)
        await served.gateway.stop(5.0)
        await receive(client, 1)  # what waited was written first
        with pytest.raises(ConnectionClosed) as raised:
            await client.recv()
        assert raised.value.rcvd is not None
        assert (raised.value.rcvd.code, raised.value.rcvd.reason) == (1012, "the server restarts")
        assert served.open == 0
        status, error = await refused(served, "/ws/events")
        assert (status, error["code"]) == (503, "stopping")


async def test_farewell_does_not_wait_for_a_client_that_does_not_answer() -> None:
    async with serving() as served:
        _, _, writer = await handshake(served)
        await served.gateway.stop(0.1)
        await until(lambda: served.open == 0)
        writer.close()
