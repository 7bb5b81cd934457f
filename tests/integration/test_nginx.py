"""The shipped nginx configuration before `hxp up`: TLS, WebSocket, SSE at once, and nobody is loopback by it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import trustme

from hxp_enterprise_llm.security.keys import new_key
from tests.attacks.nginx import nginx
from tests.attacks.victim import victim
from tests.integration.daemon import Daemon
from tests.integration.test_api_keys import write_keys
from tests.ports import free_port

SHIPPED = Path(__file__).parents[2] / "deploy/nginx/citadel.conf"
NAME = "citadel.example.org"
TRUSTING = (
    "security: {{trusted_proxies: [127.0.0.1/32], allowed_hosts: [citadel.example.org], api_keys_file: {keys}}}\n"
)


def adapted(root: Path, daemon: Daemon, plain: int, secure: int) -> str:
    """The shipped text with the ports and files of this test; each must be there to be replaced."""
    text = SHIPPED.read_text()
    changes = {
        "127.0.0.1:9102": daemon.gateway.partition("//")[2],
        "127.0.0.1:9100": daemon.events.partition("//")[2],
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl;": f"listen 127.0.0.1:{secure} ssl;",
        "/etc/nginx/tls/": f"{root}/",
    }
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@asynccontextmanager
async def shipped(root: Path, daemon: Daemon) -> AsyncIterator[tuple[str, str, ssl.SSLContext]]:
    """A real one with the shipped configuration; its plain and its secure address, and a context that believes it."""
    root.mkdir()
    plain, secure = free_port(), free_port()
    authority = trustme.CA()
    certificate = authority.issue_cert(NAME)
    certificate.private_key_pem.write_to_path(root / "citadel.key")
    for part in certificate.cert_chain_pems:
        part.write_to_path(root / "citadel.pem", append=True)
    (root / "citadel.conf").write_text(adapted(root, daemon, plain, secure))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with nginx(root, f"include {root}/citadel.conf;", secure):
        yield f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{secure}", context


def from_address(address: str) -> aiohttp.TCPConnector:
    """Connections from an address of this host that is not the proxy's own."""
    return aiohttp.TCPConnector(local_addr=(address, 0))


async def test_streams_and_events_through_the_shipped_configuration(tmp_path: Path) -> None:
    """What is published reaches a WebSocket and an SSE client at once, through TLS, while both go on."""
    key = new_key("browser")
    write_keys(tmp_path / "keys.yaml", {key: ("read", "publish")})
    trusting = TRUSTING.format(keys=tmp_path / "keys.yaml")
    async with (
        asyncio.timeout(150),
        victim(tmp_path, gateway=trusting, processing=trusting) as daemon,
        shipped(tmp_path / "nginx", daemon) as (plain, secure, context),
        aiohttp.ClientSession(headers={"Host": NAME}, connector=from_address("127.0.0.2")) as session,
    ):
        https = {"ssl": context, "server_hostname": NAME}
        async with session.get(f"{plain}/health", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (301, f"https://{NAME}/health")
        async with session.get(f"{secure}/metrics", **https) as answer:
            assert answer.status == 404
        # Who the client is, is known: the address is its own, not nginx's.
        async with session.get(f"{secure}/streams/status", headers={"X-Forwarded-For": "127.0.0.1"}, **https) as answer:
            assert answer.status == 401
            assert "127.0.0.2 is neither this host nor in a trusted network" in await answer.text()
        session.headers["X-API-Key"] = key
        async with session.get(f"{secure}/health", **https) as answer:
            assert answer.status == 200, await answer.text()
        async with (
            session.ws_connect(f"{secure}/ws/events?type=proxy.tick", **https) as web_socket,
            session.get(f"{secure}/sse/events?type=proxy.tick", **https) as stream,
        ):
            assert stream.status == 200
            for number in range(3):
                event = {"type": "proxy.tick", "data": {"seq": number}}
                async with session.post(f"{secure}/events", json=event, **https) as answer:
                    assert answer.status == 202, await answer.text()
                # Held back by a buffer, neither would come before the next one is sent.
                while (message := await web_socket.receive_json()).get("type") != "proxy.tick":
                    pass
                assert message["data"]["seq"] == number
                wanted = b'"seq":%d' % number
                while wanted not in await stream.content.readline():
                    pass


async def test_who_comes_through_it_is_who_he_is(tmp_path: Path) -> None:
    """A client whose address is not trusted has no rights, whatever forwarding headers it writes itself."""
    async with (
        asyncio.timeout(150),
        victim(tmp_path, gateway="", processing="") as unbelieving,
        shipped(tmp_path / "nginx", unbelieving) as (_, secure, context),
        aiohttp.ClientSession(headers={"Host": NAME}) as session,
    ):
        # As installed without `trusted_proxies`: nobody becomes loopback through it.
        headers = {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"}
        for path in ("/streams/status", "/events/bounds", "/ws/events", "/sse/events"):
            for sent in ({}, headers):
                async with session.get(f"{secure}{path}", headers=sent, ssl=context, server_hostname=NAME) as answer:
                    assert answer.status in {401, 403, 421}, (path, answer.status)
