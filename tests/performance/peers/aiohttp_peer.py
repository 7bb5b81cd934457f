"""The plain way with aiohttp: `await send_str` to each client, deflated for each that asks; no log. PORT FEED_PORT"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop
from aiohttp import web


class Peer:
    """What comes in goes to every WebSocket of `/`: lines over TCP, and the items of an array by `POST /events`."""

    def __init__(self) -> None:
        self._sockets: set[web.WebSocketResponse] = set()

    async def _send(self, text: str) -> None:
        for socket in list(self._sockets):
            await socket.send_str(text)

    async def feed(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await self._send(line[:-1].decode())

    async def publish(self, request: web.Request) -> web.Response:
        for event in await request.json():
            await self._send(json.dumps(event))
        return web.Response(status=202)

    async def subscribe(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            async for _ in socket:
                pass
        finally:
            self._sockets.discard(socket)
        return socket


async def main(port: int, feed: int) -> None:
    peer = Peer()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_get("/", peer.subscribe)
    app.router.add_post("/events", peer.publish)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.start_server(peer.feed, "127.0.0.1", feed)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:3])))
