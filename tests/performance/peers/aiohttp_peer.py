"""The plain way with aiohttp: `await send_str` to each client, deflated for each when it asks. PORT FEED_PORT"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web


class Peer:
    """Each line that comes in over TCP goes to every WebSocket of `/`."""

    def __init__(self) -> None:
        self._sockets: set[web.WebSocketResponse] = set()

    async def publish(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            text = line[:-1].decode()
            for socket in list(self._sockets):
                await socket.send_str(text)

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
    app = web.Application()
    app.router.add_get("/", peer.subscribe)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.start_server(peer.publish, "127.0.0.1", feed)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:3])))
