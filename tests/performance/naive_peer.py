"""The plain way to do it, to compare with: `await send_str` per client and message, no log. Its own process."""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop
from aiohttp import web


class Peer:
    """`POST /events` takes a JSON array; each item goes to every WebSocket of `/ws/events`."""

    def __init__(self) -> None:
        self._sockets: set[web.WebSocketResponse] = set()

    async def publish(self, request: web.Request) -> web.Response:
        for event in await request.json():
            text = json.dumps(event)
            for socket in list(self._sockets):
                await socket.send_str(text)
        return web.Response(status=202)

    async def subscribe(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            async for _ in socket:
                pass
        finally:
            self._sockets.discard(socket)
        return socket


async def main() -> None:
    peer = Peer()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/events", peer.publish)
    app.router.add_get("/ws/events", peer.subscribe)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
