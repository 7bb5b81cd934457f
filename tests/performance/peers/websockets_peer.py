"""`websockets.broadcast`: each line that comes in over TCP goes to every client. PORT FEED_PORT"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve


async def main(port: int, feed: int) -> None:
    clients: set[ServerConnection] = set()

    async def stay(connection: ServerConnection) -> None:
        clients.add(connection)
        try:
            await connection.wait_closed()
        finally:
            clients.discard(connection)

    async def publish(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            broadcast(clients, line[:-1].decode())

    await asyncio.start_server(publish, "127.0.0.1", feed)
    async with serve(stay, "127.0.0.1", port, compression=None, backlog=4096):
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:3])))
