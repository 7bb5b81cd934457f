"""Clients that hold a stream open, and knock again and again where they are refused. Standard library only.

python3 crowd.py WANTED PORT PATH: until killed
"""

from __future__ import annotations

import asyncio
import sys

ASK = "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{upgrade}\r\n"
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"
FAREWELL = (1012).to_bytes(2, "big")


async def hold(port: str, path: str) -> None:
    """One client, for ever: what it is sent is thrown away."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
            upgrade = UPGRADE if path.startswith("/ws/") else ""
            writer.write(ASK.format(port=port, path=path, upgrade=upgrade).encode())
            while said := await reader.read(1 << 16):
                if said.startswith(b"HTTP/1.1 503") or FAREWELL in said or said.endswith(LAST_CHUNK):
                    break
            writer.close()
        except OSError:
            pass
        await asyncio.sleep(0.5)


async def main(wanted: str, port: str, path: str) -> None:
    """All of them."""
    await asyncio.gather(*(hold(port, path) for _ in range(int(wanted))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
