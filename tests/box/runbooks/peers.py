"""What the gateway talks to: a mail server, or a receiver of webhooks and heartbeats. Standard library only.

python3 peers.py smtp PORT          takes every mail
python3 peers.py http PORT ANSWERS  answers /NAME with the status in the file ANSWERS/NAME; without one, 200
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

REPLIES = {"QUIT": "221 bye", "DATA": "354 go on"}


async def take_mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A session of SMTP in which everything is accepted."""
    writer.write(b"220 mail.test\r\n")
    while line := (await reader.readline()).decode().strip():
        verb = line[:4].upper()
        writer.write(f"{REPLIES.get(verb, '250 mail.test')}\r\n".encode())
        if verb == "DATA":
            await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 taken\r\n")
        if verb == "QUIT":
            break
    writer.close()


async def take_call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: Path) -> None:
    """One request of HTTP; the connection is closed after it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    sizes = [line.partition(":")[2] for line in head.lower().splitlines() if line.startswith("content-length:")]
    await reader.readexactly(int(sizes[0]) if sizes else 0)
    file = answers / head.split(" ", 2)[1].strip("/")
    status = file.read_text().strip() if file.is_file() else "200"
    writer.write(f"HTTP/1.1 {status} Told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    writer.close()


async def main(kind: str, port: str, answers: str = "") -> None:
    """Serve until killed."""

    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (take_mail(reader, writer) if kind == "smtp" else take_call(reader, writer, Path(answers)))

    async with await asyncio.start_server(taken, "127.0.0.1", int(port)) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
