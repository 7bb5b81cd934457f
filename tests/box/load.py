"""New connections at a steady rate, each one request; what became of them is one line of JSON. Standard library only.

python3 load.py HOST PORT PATH RATE: until a line, or the end, comes on standard input
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

PATIENCE = 60.0
"""A service that starts on a busy machine takes its time: what counts is that nobody is refused."""


async def ask(host: str, port: int, path: str) -> str:
    """The status of the answer, or in a word why there is none."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                answer = await reader.read()
            finally:
                writer.close()
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "late"
    except OSError as error:
        return type(error).__name__
    return answer[9:12].decode() or "empty"


def say(line: str) -> None:
    """A line for whoever has started this."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(host: str, port: str, path: str, rate: str) -> None:
    """Begin a connection each 1/rate seconds, however long the others take."""
    loop = asyncio.get_running_loop()
    stop = loop.run_in_executor(None, sys.stdin.readline)
    begun, due, under_way = Counter[str](), loop.time(), []
    say("begun")
    while not stop.done():
        under_way.append(asyncio.create_task(ask(host, int(port), path)))
        due += 1 / float(rate)
        await asyncio.sleep(max(0.0, due - loop.time()))
    begun.update(await asyncio.gather(*under_way))
    say(json.dumps(begun))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
