"""The product and its peers: each on free loopback ports with a configuration of its own, and stopped by pid."""

from __future__ import annotations

import hmac
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from tests.performance.harness import (
    CACHE,
    HERE,
    ROOT,
    SERVER_CORE,
    START_SECONDS,
    Missing,
    child,
    family,
    free_port,
    reachable,
)
from tests.performance.publishers import Centrifugo, Delivered, Events, Nats, Nchan, Publisher, Singles, Stream

MOST_CONNECTIONS = 20_000
NCHAN_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")


@dataclass
class Server:
    """Something that gives events to subscribers."""

    name: str
    port: int
    paths: dict[str, str]
    """Address by what a load generator speaks: `ws`, `deflate`, `sse` or `nats`; `quiet`: WebSocket without events."""
    gateway: int
    """Process that the subscribers are connected to; its children count with it."""
    publisher: Callable[[], Publisher]
    singles: Callable[[], Publisher]
    """A publisher that sends each event alone, where that is another way in."""
    ingest: int = 0
    """Process that takes the events in, when it is another one."""
    events: int = 0
    """Port of `POST /events`."""

    def pids(self) -> list[int]:
        return family(self.gateway) + (family(self.ingest) if self.ingest else [])


PROCESSING = """
service: {{host: 127.0.0.1, port: 0}}
state: {{directory: {directory}/processing}}
"""
STREAMING = """
service: {{host: 127.0.0.1, port: 0}}
state: {{directory: {directory}/streaming}}
live_dashboard: {{ports: {{}}}}
websocket: {{max_connections: {most}}}
sse: {{max_connections: {most}}}
monitoring: {{real_time_event_processing_endpoint: "http://127.0.0.1:{processing}"}}
"""


@contextmanager
def product(directory: Path) -> Iterator[Server]:
    """`hxp serve processing` beside the load and `hxp serve streaming` on a core of its own, with their usual log."""
    with ExitStack() as stack:
        ingest, events = stack.enter_context(_service("processing", directory, PROCESSING, None))
        text = STREAMING.replace("{processing}", str(events))
        gateway, port = stack.enter_context(_service("streaming", directory, text, SERVER_CORE))
        paths = {"ws": "/ws/events?type=bench.tick", "sse": "/sse/events?type=bench.tick"}
        paths |= {"deflate": paths["ws"], "quiet": "/ws/system_alerts"}
        ways = partial(Events, events), partial(Singles, events, "/events")
        yield Server("hxp", port, paths, gateway, *ways, ingest, events)


@contextmanager
def _service(name: str, directory: Path, text: str, core: int | None) -> Iterator[tuple[int, int]]:
    """One service of the product: its pid and its port. Not on a terminal, its lines are plain text."""
    config, output = directory / f"{name}.yaml", directory / f"{name}.log"
    config.write_text(text.format(directory=directory, most=MOST_CONNECTIONS))
    words = [sys.executable, "-m", "hxp_enterprise_llm.cli.main", "serve", name, "--config", str(config)]
    with output.open("w") as log, child(words, core, cwd=ROOT, stderr=log, stdout=log) as process:
        end = time.monotonic() + START_SECONDS
        while not (found := re.search(r"listener: opened .*port=(\d+)", output.read_text())):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"hxp serve {name} did not start:\n{output.read_text()}")
            time.sleep(0.05)
        yield process.pid, int(found[1])


NGINX = """
load_module {module};
user root;
daemon off;
worker_processes 1;
worker_rlimit_nofile 30000;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log warn;
events {{ worker_connections 25000; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    nchan_shared_memory_size 256M;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        nchan_channel_id bench;
        nchan_message_buffer_length 1000;
        nchan_subscriber_first_message newest;
        location = /websocket {{ nchan_subscriber websocket; }}
        location = /quiet {{ nchan_channel_id quiet; nchan_subscriber websocket; }}
        location = /eventsource {{ nchan_subscriber eventsource; }}
        location = /publish {{ nchan_publisher http; }}
    }}
}}
"""


@contextmanager
def nchan(directory: Path) -> Iterator[Server]:
    """nginx with nchan, one worker, 1,000 messages kept in memory. Raises Missing."""
    if shutil.which("nginx", path=_path()) is None or not NCHAN_MODULE.exists():
        raise Missing("nchan")
    port = free_port()
    config = directory / "nginx.conf"
    config.write_text(NGINX.format(module=NCHAN_MODULE, directory=directory, port=port))
    words = [shutil.which("nginx", path=_path()) or "", "-e", str(directory / "nginx.log"), "-c", str(config)]
    with child(words, SERVER_CORE) as process:
        reachable(port, process)
        paths = {"ws": "/websocket", "sse": "/eventsource", "quiet": "/quiet"}
        yield Server("nchan", port, paths, process.pid, lambda: Nchan(port), lambda: Singles(port, "/publish"))


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


NATS = """
host: 127.0.0.1
port: {port}
max_connections: 30000
websocket {{ host: 127.0.0.1, port: {websocket}, no_tls: true }}
"""


@contextmanager
def nats(directory: Path) -> Iterator[Server]:
    """nats-server with WebSocket. Its threads may use all cores. Raises Missing."""
    binary = shutil.which("nats-server") or shutil.which(str(CACHE / "python" / "bin" / "nats-server"))
    if binary is None:
        raise Missing("nats-server")
    port, websocket = free_port(), free_port()
    config = directory / "nats.conf"
    config.write_text(NATS.format(port=port, websocket=websocket))
    with child([binary, "-c", str(config)], None, stderr=subprocess.DEVNULL) as process:
        reachable(websocket, process)
        reachable(port, process)
        yield Server("NATS", websocket, {"nats": "/"}, process.pid, lambda: Nats(port), lambda: Nats(port))


SECRET = "of the bench"


def _token(claims: dict[str, object]) -> str:
    """A JWT (HS256)."""
    parts = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "HS256"}, claims)]
    signature = hmac.digest(SECRET.encode(), b".".join(parts), "sha256")
    return b".".join([*parts, urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@contextmanager
def centrifugo(directory: Path) -> Iterator[Server]:
    """Centrifugo 6 from the PATH, its unidirectional WebSocket. Its threads may use all cores. Raises Missing."""
    binary = shutil.which("centrifugo")
    if binary is None:
        raise Missing("centrifugo")
    port, config = free_port(), directory / "centrifugo.json"
    sections: dict[str, object] = {
        "http_server": {"address": "127.0.0.1", "port": port},
        "http_api": {"insecure": True},
        "client": {"token": {"hmac_secret_key": SECRET}},
        "uni_websocket": {"enabled": True},
        "log": {"level": "error"},
    }
    config.write_text(json.dumps(sections))
    # Who may see the channel is said by the token; nobody has to ask for it.
    connect = json.dumps({"token": _token({"sub": "bench", "channels": ["bench"]})})
    with child([binary, "-c", str(config)], None, stderr=subprocess.DEVNULL) as process:
        reachable(port, process)
        paths = {"ws": f"/connection/uni_websocket?cf_connect={quote(connect)}"}
        yield Server("Centrifugo", port, paths, process.pid, lambda: Centrifugo(port), lambda: Centrifugo(port))


@contextmanager
def _fed(
    name: str, words: list[str], environ: dict[str, str], feeder: Callable[[int], Stream] = Stream
) -> Iterator[Server]:
    """A server that gets its ports as arguments and its events as lines."""
    port, feed = free_port(), free_port()
    with child([*words, str(port), str(feed)], SERVER_CORE, cwd=ROOT, env=os.environ | environ) as process:
        reachable(feed, process)
        reachable(port, process)
        paths = dict.fromkeys(("ws", "deflate"), "/")
        yield Server(name, port, paths, process.pid, lambda: feeder(feed), lambda: feeder(feed))


@contextmanager
def node(_: Path) -> Iterator[Server]:
    """`ws` of npm. Raises Missing."""
    modules = CACHE / "node" / "node_modules"
    binary = shutil.which("node")
    if binary is None or not (modules / "ws").is_dir():
        raise Missing("ws (npm)")
    with _fed("node ws", [binary, str(HERE / "peers" / "ws_peer.js")], {"NODE_PATH": str(modules)}) as server:
        yield server


@contextmanager
def websockets(_: Path) -> Iterator[Server]:
    """`websockets.broadcast` of Python."""
    with _fed("websockets", [sys.executable, "-m", "tests.performance.peers.websockets_peer"], {}) as server:
        yield server


@contextmanager
def aiohttp(_: Path) -> Iterator[Server]:
    """aiohttp, `send_str` to each, of events as we deliver them."""
    with _fed("aiohttp", [sys.executable, "-m", "tests.performance.peers.aiohttp_peer"], {}, Delivered) as server:
        yield server


@contextmanager
def running(makers: list[Callable[..., object]], directory: Path) -> Iterator[list[Server]]:
    """Start servers beside each other; one that is missing is named and left out."""
    with ExitStack() as stack:
        servers: list[Server] = []
        for maker in makers:
            place = directory / maker.__name__
            place.mkdir(parents=True, exist_ok=True)
            try:
                servers.append(stack.enter_context(maker(place)))  # type: ignore[arg-type]
            except Missing as missing:
                print(f"left out: {missing}", file=sys.stderr)
        yield servers


def raise_file_limit() -> None:
    """As many files as the system lets us open; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
