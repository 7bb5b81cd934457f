"""A real nginx with a configuration of a test, for as long as a block runs."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_AROUND = """
daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {root}; proxy_temp_path {root}; fastcgi_temp_path {root}; uwsgi_temp_path {root};
    scgi_temp_path {root};
    {http}
}}
"""


@asynccontextmanager
async def nginx(root: Path, http: str, port: int) -> AsyncIterator[None]:
    """`http` is what stands in its section `http`; it runs once it listens on `port`. Its files are below `root`."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert program is not None, "nginx is missing: scripts/system-packages installs it"
    root.mkdir(exist_ok=True)
    config, early = root / "nginx.conf", root / "early.log"
    config.write_text(_AROUND.format(root=root, http=http))
    process = await asyncio.create_subprocess_exec(program, "-e", str(early), "-c", str(config))
    try:
        async with asyncio.timeout(30):
            while not await _listens(port):
                assert process.returncode is None, early.read_text() + (root / "error.log").read_text()
                await asyncio.sleep(0.02)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    return True
