"""Clients that hold WebSockets open, and knock again and again where they are refused. Standard library only.

python3 crowd.py WANTED [PATH]: until killed
"""

from __future__ import annotations

import asyncio
import sys

ASK = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:9102\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def hold(path: str) -> None:
    """One client, for ever: what it is sent is thrown away."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", 9102)
            writer.write(ASK.format(path=path).encode())
            while await reader.read(1 << 16):
                pass
            writer.close()
        except OSError:
            pass
        await asyncio.sleep(0.5)


async def main(wanted: str, path: str = "/ws/system_alerts") -> None:
    """All of them."""
    await asyncio.gather(*(hold(path) for _ in range(int(wanted))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
