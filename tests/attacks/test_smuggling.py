"""Ambiguous requests, to us alone and through nginx: nobody sees a request that the other did not see."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.attacks.nginx import nginx
from tests.attacks.smuggling import CASES, Case, body, sized, stepping_aside
from tests.attacks.victim import place, statuses, stored, talk, victim
from tests.integration.daemon import Daemon
from tests.ports import free_port

AT_ONCE = 12
LOGGED = "logging: {format: json}\nperformance: {log_level: DEBUG}\n"
HTTP = """
    log_format seen '$request_method $uri $upstream_status';
    upstream events {{ server {events}; keepalive 4; }}
    upstream gateway {{ server {gateway}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{reused}; access_log {root}/access.log seen; proxy_next_upstream off;
        proxy_http_version 1.1; proxy_set_header Host $host; proxy_set_header Connection "";
        proxy_request_buffering off;
        location / {{ proxy_pass http://events; }}
        location /ws/ {{
            proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_pass http://gateway;
        }}
    }}
    server {{ listen 127.0.0.1:{bare}; location / {{ proxy_pass http://{events}; }} }}
    server {{
        listen 127.0.0.1:{forwarding};
        proxy_http_version 1.1; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        location / {{ proxy_pass http://{events}; }}
    }}
"""


async def answers(daemon: Daemon, case: Case, raw: bytes) -> list[int]:
    """What we say to it: as many answers as are expected take what they take, one more comes at once."""
    where = place(daemon.gateway if case.gateway else daemon.events)
    return statuses(await talk(*where, raw, expected=len(case.statuses)))


async def test_alone_by_both_readers(tmp_path: Path) -> None:
    """The front and aiohttp answer alike and as the table says; no hidden request is ever carried out."""
    places = asyncio.Semaphore(AT_ONCE)

    async with victim(tmp_path) as daemon, aiohttp.ClientSession() as session:

        async def compare(case: Case) -> str:
            async with places:
                plain = await answers(daemon, case, case.raw)
                aside = await answers(daemon, case, stepping_aside(case.raw))
            ours = list(case.statuses)
            return "" if plain == aside == ours else f"{case.name}: {plain}, stepping aside {aside}, expected {ours}"

        faults = await asyncio.gather(*(compare(case) for case in CASES))
        assert [fault for fault in faults if fault] == []
        assert len(CASES) >= 40
        kept = await stored(session, daemon.events, "attack.*")
    # Repeats of the same ids are stored once: those of the plain events.
    assert kept == ["attack.plain"] * 2


class Nginx:
    """Three ways to put nginx in front: connections used again and upgrades; bare; with forwarding headers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.reused, self.bare, self.forwarding = free_port(), free_port(), free_port()

    def passed_on(self, *, answered: bool = True) -> list[str]:
        """Method and path of each request that went to us, in order of their ends.

        Not `answered`: those whose answer nginx did not get, as when a connection ends at the moment of its next use;
        whether we saw them nobody knows.
        """
        lines = (self.root / "access.log").read_text().splitlines()
        found = [line.rpartition(" ") for line in lines if re.search(r" \d{3}$", line)]
        return [request for request, _, status in found if (status != "502") is answered]


@asynccontextmanager
async def proxied(root: Path, daemon: Daemon) -> AsyncIterator[Nginx]:
    """A real nginx in front of the daemon."""
    found = Nginx(root)
    names = {"events": daemon.events.partition("//")[2], "gateway": daemon.gateway.partition("//")[2]}
    ports = {"reused": found.reused, "bare": found.bare, "forwarding": found.forwarding}
    async with nginx(root, HTTP.format(root=root, **names, **ports), found.reused):
        yield found


def seen(daemon: Daemon) -> list[str]:
    """Method and path of each request that we have seen, from our whole log; what was no HTTP is `malformed`.

    Of requests whose lines are the same, to the microsecond, the log has the first, and how many more there were.
    """
    found: list[str] = []
    for line in daemon.output:
        entry = json.loads(line) if line.startswith("{") else {}
        event, _, more = entry.get("event", "").partition(" … ")
        times = int(more.partition(" ")[0]) if more else 1
        if event == "request.answered":
            found += [f"{entry['method']} {entry['path']}"] * times
        elif event == "request.malformed":
            found += ["malformed"] * times
    return found


async def test_through_nginx(tmp_path: Path) -> None:
    """Over connections that nginx uses again, we see the requests that it passed on, each once, and no other."""
    places = asyncio.Semaphore(AT_ONCE)
    async with (
        victim(tmp_path, gateway=LOGGED, processing=LOGGED) as daemon,
        proxied(tmp_path / "nginx", daemon) as proxy,
    ):

        async def send(case: Case) -> None:
            async with places:
                await talk("127.0.0.1", proxy.reused, case.raw)

        await asyncio.gather(*(send(case) for case in CASES))
        await talk("127.0.0.1", proxy.reused, sized(body(b"last", b"z")), expected=1)
        async with aiohttp.ClientSession() as session:
            kept = await stored(session, daemon.events, "attack.*")
        assert await daemon.end() == 0  # with which lines that were held back are told
        async with asyncio.timeout(60):
            while difference(proxy, requests(daemon)):
                await asyncio.sleep(0.1)
        assert len(requests(daemon)) >= 15, requests(daemon)
    # What nginx itself takes for two requests, as with line feeds between chunks, is two requests to us.
    assert kept[-1] == "attack.last"


def difference(proxy: Nginx, found: list[str]) -> str:
    """What one side has and the other has not; we may call malformed what nginx has made of something."""
    ours, passed, perhaps = Counter(found), Counter(proxy.passed_on()), Counter(proxy.passed_on(answered=False))
    malformed = ours.pop("malformed", 0)
    unseen, unsent = passed - ours, ours - passed - perhaps
    return "" if not unsent and unseen.total() == malformed else f"unseen {unseen}, unsent {unsent}, {malformed=}"


def requests(daemon: Daemon) -> list[str]:
    """Those seen, without our own question for what is stored."""
    return [each for each in seen(daemon) if each != "GET /events"]


async def test_a_proxy_does_not_make_the_world_loopback(tmp_path: Path) -> None:
    """Behind nginx as people write it, bare or with forwarding headers, nobody is let in for coming from this host."""
    raw = sized(body())
    async with victim(tmp_path) as daemon, proxied(tmp_path / "nginx", daemon) as proxy:
        for port in (proxy.bare, proxy.forwarding):
            received = await talk("127.0.0.1", port, raw, expected=1)
            assert statuses(received) == [401]
            assert b"came_through_proxy" in received
        assert statuses(await talk(*place(daemon.events), raw, expected=1)) == [202]
