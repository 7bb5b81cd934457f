"""A page from elsewhere, open in Chromium on this host, tries every way in: nothing is stored, opened or read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.attacks.victim import figures, place, stored, victim
from tests.browser import chromium
from tests.integration.daemon import Daemon

pytestmark = pytest.mark.browser

EVENT = '{"id":"%s","source":"/page","type":"attack.page"}'
PAGE = """<!doctype html><title>elsewhere</title><iframe name="answer"></iframe>
<form id="form" method="post" enctype="text/plain" target="answer"><input name='{"id":"f","source":"/page","x":"'
 value='","type":"attack.page"}'></form>"""
TRIES = """async ({events, gateway, event}) => {
  const said = {};
  const get = async (name, address, options) => {
    try {
      const answer = await fetch(address, options);
      said[name] = `${answer.type} ${(await answer.text()).length}`;
    } catch (error) { said[name] = error.name; }
  };
  const post = {method: "POST", body: event};
  await get("no-cors", events + "/events", {...post, mode: "no-cors"});
  await get("cors", events + "/events", post);
  await get("json", events + "/events", {...post, headers: {"Content-Type": "application/json"}});
  await get("send", gateway + "/notifications/send", {...post, mode: "no-cors"});
  await get("read", events + "/events?after=0");
  await get("read no-cors", events + "/events?after=0", {mode: "no-cors"});
  const form = document.getElementById("form");
  form.action = events + "/events";
  const loaded = new Promise((done) => document.querySelector("iframe").addEventListener("load", done));
  form.submit();
  await loaded;
  said["event source"] = await new Promise((done) => {
    const source = new EventSource(gateway + "/sse/events");
    source.onopen = () => done("open");
    source.onmessage = () => done("message");
    source.onerror = () => { source.close(); done("error"); };
  });
  for (const path of ["/ws/events", "/connection/websocket"])
    said["socket " + path] = await new Promise((done) => {
      const socket = new WebSocket(gateway.replace("http", "ws") + path);
      socket.onopen = () => done("open");
      socket.onerror = () => done("error");
    });
  return said;
}"""
NOTHING = {"no-cors": "opaque 0", "send": "opaque 0", "read no-cors": "opaque 0"}
NOTHING |= dict.fromkeys(["cors", "json", "read"], "TypeError")
NOTHING |= dict.fromkeys(["event source", "socket /ws/events", "socket /connection/websocket"], "error")
"""What a page learns: of an opaque answer it may not even know the status."""


@asynccontextmanager
async def elsewhere() -> AsyncIterator[int]:
    """A server with the page on another port of this host; answers the port."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def refused(session: aiohttp.ClientSession, daemon: Daemon, code: str) -> float:
    """How often both services have refused somebody so."""
    name = f'citadel_http_refused_total{{code="{code}"}}'
    return sum([(await figures(session, base)).get(name, 0.0) for base in (daemon.events, daemon.gateway)])


async def require_untouched(session: aiohttp.ClientSession, daemon: Daemon) -> None:
    """No event came in, no connection was ever opened, no notification went out."""
    assert await stored(session, daemon.events, "attack.*") == []
    found = await figures(session, daemon.gateway)
    opened = {name: value for name, value in found.items() if "connections_opened_total" in name}
    assert opened
    assert not any(opened.values()), opened
    assert not any(value for name, value in found.items() if name.startswith("notification_delivery_total"))


@pytest.mark.parametrize("host", ["127.0.0.1", "elsewhere.example"])
async def test_a_page_of_another_origin(tmp_path: Path, host: str) -> None:
    """From another port of the same host, and from another name: each way in is refused for its Origin."""
    rules = "--host-resolver-rules=MAP elsewhere.example 127.0.0.1"
    async with (
        victim(tmp_path) as daemon,
        elsewhere() as port,
        chromium(rules) as browser,
        aiohttp.ClientSession() as session,
    ):
        page = await browser.new_page()
        await page.goto(f"http://{host}:{port}/")
        addresses = {"events": daemon.events, "gateway": daemon.gateway, "event": EVENT % "a"}
        assert await page.evaluate(TRIES, addresses) == NOTHING
        # All but the read without CORS, which sends no Origin and of which the page learns nothing.
        assert await refused(session, daemon, "foreign_origin") >= len(NOTHING) - 1
        await require_untouched(session, daemon)


async def test_a_name_that_was_rebound(tmp_path: Path) -> None:
    """A name of the attacker's that leads here now: the browser thinks it is our own page, and every answer is 421."""
    async with victim(tmp_path) as daemon, aiohttp.ClientSession() as session:
        rules = "--host-resolver-rules=MAP rebound.example 127.0.0.1"
        # Newer browsers ask the user first; the daemon is not to depend on that.
        asked = "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"
        async with chromium(rules, asked) as browser:
            page = await browser.new_page()
            for base, path in ((daemon.events, "/events"), (daemon.gateway, "/"), (daemon.gateway, "/streams")):
                answer = await page.goto(f"http://rebound.example:{place(base)[1]}{path}")
                assert answer is not None
                assert answer.status == 421
            # The page itself came while the name still led to the attacker.
            there = f"http://rebound.example:{place(daemon.gateway)[1]}"
            await page.route(f"{there}/lure", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
            await page.goto(f"{there}/lure")
            said = await page.evaluate(
                """async (path) => {
                    const answer = await fetch(path);
                    const socket = await new Promise((done) => {
                        const socket = new WebSocket(location.origin.replace("http", "ws") + "/ws/events");
                        socket.onopen = () => done("open");
                        socket.onerror = () => done("error");
                    });
                    return [answer.status, socket];
                }""",
                there + "/streams/status",
            )
        assert said == [421, "error"]
        await require_untouched(session, daemon)
