from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.listener import Listener, ListenError, open_socket
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.security.problems import json_response
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics
from tests.unit.security.serving import read_answer


async def live(request: web.Request) -> web.Response:
    return json_response({"status": "ok"})


def make_app(*more: Route) -> web.Application:
    policy = Policy.of(SecurityConfig())
    routes = [Route("GET", "/health/live", live, "open", ""), *more]
    return build_app(routes, policy=lambda: policy, metrics=ServiceMetrics(CollectorRegistry()))


async def status_at(host: str, port: int, path: str = "/health/live") -> int:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    try:
        return (await read_answer(reader)).status
    finally:
        writer.close()


async def test_one_application_answers_on_several_addresses() -> None:
    listener = Listener(make_app(), "127.0.0.1", 0, name="test")
    await listener.start()
    second = await listener.add_site("127.0.0.2", 0)
    assert listener.addresses == (listener.address, second)
    assert listener.address[1] != 0
    for host, port in listener.addresses:
        assert await status_at(host, port) == 200
    await listener.stop()
    await listener.stop()
    with pytest.raises(ConnectionRefusedError):
        await status_at(*listener.address)


async def test_several_listeners_share_an_application() -> None:
    app = make_app()
    one, two = (Listener(app, "127.0.0.1", 0, name=name) for name in ("one", "two"))
    await one.start()
    await two.start()
    assert await status_at(*one.address) == await status_at(*two.address) == 200
    await one.stop()
    assert await status_at(*two.address) == 200
    await two.stop()


async def test_a_port_in_use_is_named_with_the_way_to_find_out_who_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            await Listener(make_app(), "127.0.0.1", port, name="test").start()
    assert (caught.value.host, caught.value.port) == ("127.0.0.1", port)
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: the port is in use; see who has it with: ss -ltnp 'sport = :{port}'; "
        "or take another (hxp up --free-ports)"
    )


def test_an_address_of_another_host_is_refused() -> None:
    with pytest.raises(ListenError) as caught:
        open_socket("192.0.2.1", 0)
    assert str(caught.value) == (
        "cannot listen on 192.0.2.1:0: this host has no such address; see its addresses with: ip address"
    )


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(ListenError, match=r"set service\.host to an address of this host"):
        open_socket("no such host", 80)


def test_other_failures_to_bind_are_told_in_the_system_s_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int) -> None:
        def bind(self: socket.socket, address: object) -> None:
            raise OSError(number, "words of the system")

        monkeypatch.setattr(socket.socket, "bind", bind)
        open_socket("127.0.0.1", 80)

    with pytest.raises(ListenError, match="no right to use this port; take a port above 1023"):
        refuse(13)
    with pytest.raises(ListenError, match="words of the system; see the addresses"):
        refuse(105)


async def test_ipv6() -> None:
    listener = Listener(make_app(), "::1", 0, name="test")
    await listener.start()
    assert await status_at(*listener.address) == 200
    with pytest.raises(ListenError, match=r"cannot listen on \[::1\]"):
        open_socket(*listener.address)
    await listener.stop()


async def test_what_is_no_http_is_refused_without_noise(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener(make_app(), "127.0.0.1", 0, name="test")
    await listener.start()
    with capture_logs() as lines:
        for sent in (
            b"\x16\x03\x01\x02\x00\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET /\x1b[2J HTTP/9\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection(*listener.address)
            writer.write(sent)
            assert (await read_answer(reader)).status == 400
            writer.close()
    await listener.stop()
    assert caplog.records == []
    assert {line["log_level"] for line in lines if line["event"] == "request.malformed"} == {"debug"}
    assert "\x1b" not in str([line.get("reason", "") for line in lines])


async def test_a_request_under_way_gets_its_time_and_not_more() -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        begun.set()
        await release.wait()
        return json_response({})

    listener = Listener(make_app(Route("GET", "/slow", slow, "read", "")), "127.0.0.1", 0, name="test", drain=5.0)
    await listener.start()
    asking = asyncio.create_task(status_at(*listener.address, "/slow"))
    await begun.wait()
    stopping = asyncio.create_task(listener.stop(5.0))
    await asyncio.sleep(0)
    release.set()
    assert await asking == 200
    await stopping


async def test_a_request_that_is_on_its_way_when_the_service_stops_is_answered() -> None:
    """The connection was taken before the stop: nobody else would answer it."""
    listener = Listener(make_app(), "127.0.0.1", 0, name="test")
    await listener.start()
    reader, writer = await asyncio.open_connection(*listener.address)
    while not len(listener._reception):
        await asyncio.sleep(0)
    stopping = asyncio.create_task(listener.stop(90.0))
    while not listener._reception._stopping:
        await asyncio.sleep(0)
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await read_answer(reader)).status == 200
    assert await reader.read() == b""
    writer.close()
    async with asyncio.timeout(30):
        await stopping


@pytest.mark.parametrize(("drain", "within"), [(0.05, 1.0), (60.0, 0.2)])
async def test_the_stop_is_bounded(drain: float, within: float) -> None:
    """By the time of the requests, or by its own: whoever is still there is cut off, and no connection is left open."""
    begun = asyncio.Event()

    async def stubborn(request: web.Request) -> web.Response:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    listener = Listener(
        make_app(Route("GET", "/stubborn", stubborn, "read", "")), "127.0.0.1", 0, name="t", drain=drain
    )
    await listener.start()
    asking = asyncio.create_task(status_at(*listener.address, "/stubborn"))
    await begun.wait()
    async with asyncio.timeout(30):
        await listener.stop(within)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await asking


async def test_a_client_that_goes_away_while_it_is_answered_leaves_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gone = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        finally:
            gone.set()

    listener = Listener(make_app(Route("GET", "/endless", endless, "open", "")), "127.0.0.1", 0, name="test")
    await listener.start()
    reader, writer = await asyncio.open_connection(*listener.address)
    writer.write(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readexactly(1000)
    # The writes are waiting for room when the connection is reset.
    writer.transport.abort()
    await asyncio.wait_for(gone.wait(), 30)
    await listener.stop()
    assert [record.message for record in caplog.records] == []
