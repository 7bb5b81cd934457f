"""The door of the running program: every route against foreign pages and names, and what strangers make it log."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp
import pytest

from hxp_enterprise_llm.security.model import Route
from tests.integration.daemon import Daemon, url
from tests.unit.security.serving import read_answer

FOREIGN_PAGES = ("http://evil.example", "http://127.0.0.1:8000", "https://127.0.0.1", "null", "file://", "http://[::1")

BODIES = {
    "/events": b'{"type": "door.opened", "data": {}}',
    "/notifications/send": b'{"message": "opened", "channel": "websocket"}',
}
"""What would be seen afterwards, if it were taken."""


def request_for(route: Route) -> tuple[str, dict[str, str], bytes]:
    """Path, headers and body that a route would take from a friend."""
    headers = {"Connection": "close"}
    body = BODIES.get(route.path, b"{}") if route.body else b""
    if route.body:
        headers |= {"Content-Type": route.body[0].replace("*/*", "text/plain"), "Content-Length": str(len(body))}
    if route.upgrade == "websocket":
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        headers |= {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": key}
        headers["Sec-WebSocket-Version"] = "13"
    return re.sub(r"\{[^}]*\}", "events", route.path), headers, body


async def refusal(address: tuple[str, int], first_line: str, headers: list[tuple[str, str]], body: bytes) -> int:
    """The status of the answer to exactly this request."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        lines = [first_line, *(f"{name}: {value}" for name, value in headers), "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        async with asyncio.timeout(30):
            return (await read_answer(reader)).status
    finally:
        writer.close()


def routes_of(program) -> Iterator[tuple[Route, tuple[str, int]]]:
    for server in program.servers.values():
        for route in server.routes():
            yield route, program.addresses[server.name]


async def state_of(program) -> object:
    """What a foreign request must not change."""
    async with aiohttp.ClientSession() as session:
        async with session.get(url(program, "streaming") + "/notifications/status") as answer:
            outbox = (await answer.json())["outbox"]
        async with session.get(url(program, "processing") + "/events?limit=10000") as answer:
            events = (await answer.json())["events"]
        async with session.get(url(program, "streaming") + "/websocket/status") as answer:
            connections = (await answer.json())["connections"]
    return outbox, [each for each in events if each["type"].startswith(("door.", "notification."))], connections


async def test_no_route_takes_a_request_of_a_foreign_page(program):
    """403 before anything else, whatever the method, and for streams too; nothing has changed afterwards."""
    before = await state_of(program)
    for route, address in routes_of(program):
        path, headers, body = request_for(route)
        for origin in FOREIGN_PAGES:
            sent = [("Host", f"127.0.0.1:{address[1]}"), ("Origin", origin), *headers.items()]
            status = await refusal(address, f"{route.method} {path} HTTP/1.1", sent, body)
            assert status == 403, (route.method, route.path, origin)
    assert await state_of(program) == before
    for route, address in routes_of(program):
        if route.path in BODIES and route.method == "POST":
            path, headers, body = request_for(route)
            sent = [("Host", f"127.0.0.1:{address[1]}"), *headers.items()]
            assert await refusal(address, f"POST {path} HTTP/1.1", sent, body) == 202, "our own would have been taken"
    assert await state_of(program) != before


async def test_no_route_answers_to_a_foreign_name(program):
    """Rebinding: 421 for a name that is not ours, 400 where it is not clear which one is meant."""
    for route, address in routes_of(program):
        path, headers, body = request_for(route)
        ours = f"127.0.0.1:{address[1]}"
        for hosts, target, expected in (
            (["evil.example"], path, 421),
            ([f"evil.example:{address[1]}"], path, 421),
            (["localhost."], path, 421),
            ([ours, "evil.example"], path, 400),
            ([ours], f"http://evil.example{path}", 400),
            ([], path, 400),
        ):
            sent = [*(("Host", host) for host in hosts), *headers.items()]
            status = await refusal(address, f"{route.method} {target} HTTP/1.1", sent, body)
            assert status == expected, (route.method, route.path, hosts, target)


async def test_a_head_is_bounded_in_lines_and_in_number(program):
    """Long lines and many of them are refused before anything is done with them."""
    address = program.addresses[program.servers["processing"].name]
    many = [("Host", "localhost"), *((f"X-{n}", "x") for n in range(200))]
    assert await refusal(address, "GET /health HTTP/1.1", many, b"") in (400, 431)
    long = [("Host", "localhost"), ("X", "x" * 9000)]
    assert await refusal(address, "GET /health HTTP/1.1", long, b"") in (400, 431)
    target = "/health?" + "x" * 9000
    assert await refusal(address, f"GET {target} HTTP/1.1", [("Host", "localhost")], b"") in (400, 414)


async def test_cookies_open_nothing(program):
    """No route knows a cookie, one or two of a name: whoever sends one has the rights that it has without."""
    address = program.addresses[program.servers["processing"].name]
    via = ("X-Forwarded-For", "10.1.2.3")
    for cookies in (["session=a"], ["session=a; session=b"], ["session=a", "session=b"]):
        sent = [("Host", "localhost"), via, *(("Cookie", cookie) for cookie in cookies)]
        assert await refusal(address, "GET /health HTTP/1.1", sent, b"") == 401


FORGERIES = (
    "a\n<0>ERROR forged: yes",
    "\r\x1b[2J\x1b]0;owned\x07",
    "\u202egnp.exe",
    "\u2028\u2029\x85",
    "\x00\x9b31m",
    "\x7f",
)
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LINE = {
    "json": re.compile(r'\{"time":"[^"]+Z","level":"[A-Z]+","component":"[^"]*","event":".*\}'),
    "journal": re.compile(r"<[2-7]>((DEBUG|INFO|WARNING|ERROR|CRITICAL) [a-z]|    )"),
}


async def forge(session: aiohttp.ClientSession, text: str, events: str, gateway: str) -> None:
    """Put a text wherever a request has room for one."""
    coded = quote(text, safe="")
    for base in (events, gateway):
        for path in (
            f"/{coded}",
            f"/ws/{coded}",
            f"/sse/{coded}",
            f"/events?{coded}={coded}",
            f"/sse/events?filter={coded}",
        ):
            with suppress(aiohttp.ClientError, TimeoutError):
                async with asyncio.timeout(2), session.get(base + path) as answer:
                    await answer.content.read(1)
        bad = {"specversion": "1.0", "id": text, "source": text, "type": text, "subject": text, "data": {text: text}}
        for body in (bad, {"type": "demo.hello", "id": text, "source": text, "data": {text: text}}):
            async with session.post(f"{base}/events", json=body):
                pass
    message = {"message": text, "title": text, "channel": text, "priority": text}
    for body in (message, {"message": text, "channel": "websocket"}):
        async with session.post(f"{gateway}/notifications/send", json=body):
            pass
    address = urlsplit(gateway)
    for name in ("Host", "Origin", "X-API-Key", "Content-Type", "X-Forwarded-For", "Last-Event-ID", "User-Agent"):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        host = "" if name == "Host" else "Host: localhost\r\n"
        writer.write(f"GET /sse/{coded} HTTP/1.1\r\n{host}{name}: {text}\r\n\r\n".encode())
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(2):
                await reader.read(64)
        writer.close()


@pytest.mark.parametrize("form", LINE)
async def test_nobody_forges_a_line_of_the_log(tmp_path: Path, form: str):
    """Every line begins as ours do and holds no control character, whatever strangers send at DEBUG."""
    config = tmp_path / "data-streaming-api.yaml"
    rule = r'{name: r1, condition: "error_rate > 0.2", summary: "x\n<0>ERROR forged: yes\e[2J"}'
    config.write_text(
        f"logging: {{format: {form}}}\nperformance: {{log_level: DEBUG}}\n"
        f"real_time_notifications: {{notification_rules: [{rule}]}}\n",
        encoding="utf-8",
    )
    async with Daemon(tmp_path / "data", "--config", str(config)) as daemon:
        begun = len(daemon.output)
        async with aiohttp.ClientSession() as session:
            for text in FORGERIES:
                await forge(session, text, daemon.events, daemon.gateway)
        assert await daemon.end() == 0
        lines = [line.removesuffix("\n") for line in daemon.output[begun:]]
    assert len(lines) > 20 * len(FORGERIES)
    for line in lines:
        assert LINE[form].match(line), line
        assert not CONTROLS.search(line), repr(line)
