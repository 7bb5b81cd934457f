"""To which addresses the service connects on its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from hxp_enterprise_llm.security.egress import Egress, EgressRefused, RedirectRefused
from tests.ports import free_port

NAME = "hook.example.org"


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.1.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "100.100.100.200",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "64:ff9b::",
        "no address",
    ],
)
def test_excluded_addresses_however_they_are_wrapped(address: str) -> None:
    with pytest.raises(EgressRefused) as caught:
        Egress().check(address)
    assert address in str(caught.value)


PRIVATE = ["127.0.0.1", "::1", "10.1.2.3", "192.168.10.29", "172.16.0.1", "fd12::1", "::ffff:10.0.0.1", "100.64.0.1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_normal_unless_they_are_denied(address: str) -> None:
    Egress().check(address)
    with pytest.raises(EgressRefused, match=r"security\.egress\.deny_private"):
        Egress(deny_private=True).check(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_the_rest_of_the_world_can_be_reached(address: str) -> None:
    Egress(deny_private=True).check(address)


@pytest.fixture
async def hook() -> AsyncIterator[int]:
    """A server that answers at /, and redirects at /away."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="here")

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/")

    app = web.Application()
    app.add_routes([web.get("/", answer), web.get("/away", away)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """`NAME` has these addresses, whoever asks."""
    real = socket.getaddrinfo

    def fake(host: Any, port: Any, *more: Any, **kinds: Any) -> list[Any]:
        if host != NAME:
            return real(host, port, *more, **kinds)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", fake)


async def get(port: int, host: str = NAME, path: str = "/", **policy: bool) -> str:
    async with Egress(**policy).session(5) as session, session.get(f"http://{host}:{port}{path}") as answer:
        return await answer.text()


async def test_a_session_connects_to_what_is_allowed(hook: int, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, "127.0.0.1")
    assert await get(hook) == "here"
    assert await get(hook, "127.0.0.1") == "here"


async def test_the_resolved_address_decides_not_the_name(hook: int, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, "169.254.169.254")
    with pytest.raises(aiohttp.ClientConnectorError, match="link-local"):
        await get(hook)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"])
async def test_no_spelling_of_an_address_goes_round_it(hook: int, host: str) -> None:
    with pytest.raises(aiohttp.ClientError, match=r"private|not a canonical"):
        await get(hook, host, deny_private=True)


async def test_of_several_addresses_the_allowed_one_is_used(hook: int, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, "169.254.169.254", "127.0.0.1")
    assert await get(hook) == "here"


async def test_no_redirect_is_followed(hook: int) -> None:
    with pytest.raises(RedirectRefused, match="none is followed"):
        await get(hook, "127.0.0.1", "/away")


async def test_a_socket_is_connected_to_what_is_allowed(hook: int, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, "0.0.0.0", "127.0.0.1")
    with await Egress().connect(NAME, hook) as sock:
        assert sock.getpeername() == ("127.0.0.1", hook)


async def test_a_socket_is_not_even_made_for_an_excluded_address(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, "169.254.169.254", "0.0.0.0")
    with pytest.raises(EgressRefused, match=r"0\.0\.0\.0"):
        await Egress().connect(NAME, 25)


async def test_why_nobody_answers_is_told() -> None:
    with pytest.raises(ConnectionRefusedError):
        await Egress().connect("127.0.0.1", free_port())


async def test_a_connection_that_is_given_up_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, made = asyncio.get_running_loop(), []

    async def never(sock: socket.socket, address: Any) -> None:
        made.append(sock)
        await asyncio.Event().wait()

    monkeypatch.setattr(loop, "sock_connect", never)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await Egress().connect("127.0.0.1", 9)
    assert made[0].fileno() == -1
