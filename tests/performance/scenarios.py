"""What is measured: each scenario starts the product and its peers beside each other and takes turns between them."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.performance import pace
from tests.performance.harness import ROOT, SERVER_CORE, Load, cpu_seconds, family, pinned, resident_bytes
from tests.performance.ladder import MOST_P99_MS, Runs, Window, climb, climb_patiently
from tests.performance.publishers import Publisher
from tests.performance.report import Floor, Table, number, ratio
from tests.performance.servers import Server, aiohttp, centrifugo, nats, nchan, node, product, running, websockets

ROUNDS = 3
OURS = "hxp"
ALONE = 1.05
"""Deliveries a read up to which they went out one by one."""
SINGLE_RATES = (100, 75, 50, 35, 25, 10)
"""Single messages a second, tried from the highest on."""
Kinds = dict[str, str]
WEBSOCKET: Kinds = {"NATS": "nats"}
"""What a load generator speaks to each; `ws` where nothing is said."""


def _publisher(server: Server, single: bool) -> Publisher:
    return server.singles() if single else server.publisher()


def ladders(
    servers: list[Server], connections: int, kind: str, start: float, *, single: bool = False
) -> dict[str, Runs]:
    """Each server's best step, in turn, three times. Later rounds begin just below the first one's result.

    A peer that is late whatever the rate is allowed more time, so that there is a ratio: one that favours the peer.
    """
    found = {server.name: Runs() for server in servers}
    for _ in range(ROUNDS):
        for server in servers:
            runs, spoken = found[server.name].steps, WEBSOCKET.get(server.name, kind)
            begin = runs[0].rate / 2.25 if runs and runs[0].rate else start
            best = climb if server.name == OURS else climb_patiently
            with Load(server.port, server.paths[spoken], connections, spoken) as load:
                load.opened()
                with closing(_publisher(server, single)) as publisher:
                    runs.append(best(Window(server, load, publisher), connections, begin))
    return found


def ladder_table(title: str, found: dict[str, Runs]) -> Table:
    rows, notes = [], []
    mine = found[OURS].median("rate")
    for name, runs in found.items():
        figures = [number(runs.median("rate")), runs.spread("rate"), number(runs.median("p99_ms"))]
        if not runs.median("rate"):
            notes.append(f"{name} passed no step in most runs: there is no ratio.")
        elif (allowed := runs.median("within_ms")) > MOST_P99_MS:
            notes.append(f"{name} passed no step within {MOST_P99_MS:.0f} ms and was allowed {allowed:.0f}.")
        rest = [f"{runs.median('all_us'):.2f}", number(runs.median("wire")), ratio(mine, runs.median("rate"))]
        rows.append([name, *figures, *rest])
    columns = ["server", "delivered/s", "runs", "p99 ms", "µs CPU each", "bytes each", "hxp ÷ it"]
    return Table(title, columns, rows, notes, foreign=neighbours(found))


def neighbours(found: dict[str, Runs]) -> float:
    """Cores that other programs used meanwhile."""
    return statistics.median(runs.median("foreign") for runs in found.values())


def against(table: Table, found: dict[str, Runs], peer: str, wanted: float) -> None:
    """A floor on our rate as a multiple of a peer's."""
    if peer in found and found[peer].median("rate"):
        times = found[OURS].median("rate") / found[peer].median("rate")
        table.floors.append(Floor(f"{table.title}: times {peer}", times, wanted))


def fanout_ws(directory: Path) -> Table:
    """1,000 WebSocket clients, events in batches."""
    with running([product, nchan, nats, centrifugo, node, websockets], directory) as servers:
        found = ladders(servers, 1000, "ws", 150_000)
    table = ladder_table("Delivered, 1,000 WebSocket clients, frames may be joined", found)
    against(table, found, "nchan", 8)
    against(table, found, "NATS", 2)
    return table


def fanout_sse(directory: Path) -> Table:
    """1,000 SSE clients, events in batches."""
    with running([product, nchan], directory) as servers:
        found = ladders(servers, 1000, "sse", 150_000)
    table = ladder_table("Delivered, 1,000 SSE clients, blocks may be joined", found)
    against(table, found, "nchan", 8)
    return table


def fanout_5000(directory: Path) -> Table:
    """5,000 WebSocket clients, events in batches."""
    with running([product, nchan, centrifugo], directory) as servers:
        found = ladders(servers, 5000, "ws", 100_000)
    table = ladder_table("Delivered, 5,000 WebSocket clients, frames may be joined", found)
    against(table, found, "nchan", 15)
    return table


def fanout_singles(directory: Path) -> Table:
    """1,000 WebSocket clients, each event its own `POST` on one of 16 connections, beside batches."""
    with running([product], directory) as servers:
        batches = ladders(servers, 1000, "ws", 150_000)[OURS]
        singles = ladders(servers, 1000, "ws", 150_000, single=True)[OURS]
    found = {OURS: singles, f"{OURS}, in batches": batches}
    table = ladder_table("Delivered, 1,000 WebSocket clients, each event its own POST", found)
    share = singles.median("rate") / (batches.median("rate") or 1)
    table.floors.append(Floor("each event its own POST: share of the rate in batches", share, 0.5))
    return table


def _steady(servers: list[Server], connections: int, events: float, seconds: float = 2.0) -> dict[str, Runs]:
    found = {server.name: Runs() for server in servers}
    for _ in range(ROUNDS):
        for server in servers:
            with Load(server.port, server.paths["ws"], connections, "ws") as load:
                load.opened()
                with closing(server.singles()) as publisher:
                    window = Window(server, load, publisher)
                    window.measure(events, 0.5)
                    step = window.measure(events, seconds)
                    assert not step.faults, step.faults
                    found[server.name].steps.append(step)
    return found


def singles_cpu(directory: Path) -> Table:
    """1,000 clients, at most 100 single messages a second: the highest rate at which nobody joins any."""
    with running([product, nchan, websockets], directory) as servers:
        for rate in SINGLE_RATES:
            found = _steady(servers, 1000, rate)
            if alone(found):
                break
    return singles_table(found, rate)


def alone(found: dict[str, Runs]) -> bool:
    """Whether every server wrote its messages one by one."""
    return all(runs.median("joined") <= ALONE for runs in found.values())


def singles_table(found: dict[str, Runs], rate: float) -> Table:
    """CPU a delivery of each server at a rate; a floor only when nothing was joined."""
    rows = [
        [
            name,
            *(f"{runs.median(each):.2f}" for each in ("gateway_us", "all_us", "joined", "p99_ms")),
            runs.spread("gateway_us"),
        ]
        for name, runs in found.items()
    ]
    columns = ["server", "µs CPU a delivery, gateway", "with its log", "deliveries a read", "p99 ms", "gateway's runs"]
    title = f"CPU where nothing can be joined: 1,000 clients, {rate:g} single messages a second"
    table = Table(title, columns, rows, foreign=neighbours(found))
    if not alone(found):
        table.notes.append("A server was held up so much that messages were joined after all: no comparison, no floor.")
    elif "nchan" in found:
        share = found[OURS].median("gateway_us") / found["nchan"].median("gateway_us")
        table.floors.append(Floor("CPU a single message, gateway: times nchan", share, 1, at_most=True))
    return table


def latency(directory: Path) -> Table:
    """From publish to receive at two moderate loads of 10,000 deliveries a second."""
    rows, floors, foreign = [], [], 0.0
    with running([product, nchan], directory) as servers:
        for connections, events in ((1000, 10), (100, 100)):
            found = _steady(servers, connections, events)
            foreign = max(foreign, neighbours(found))
            for name, runs in found.items():
                figures = [number(runs.median("p50_ms")), number(runs.median("p99_ms")), runs.spread("p99_ms")]
                rows.append([f"{connections:,} × {events}/s", name, *figures])
            if "nchan" in found:
                what = f"p99 at {connections:,} × {events}/s: times nchan"
                times = found[OURS].median("p99_ms") / found["nchan"].median("p99_ms")
                floors.append(Floor(what, times, 1, at_most=True))
    columns = ["load", "server", "p50 ms", "p99 ms", "p99 of the runs"]
    return Table("Publish to receive, single events", columns, rows, [], floors, foreign)


def memory(directory: Path) -> Table:
    """Resident memory of an idle connection, 4,000 of them, each time in a new process that has some already."""
    rows, floors = [], []
    for maker in (product, nchan):
        for kind in ("ws", "sse"):
            places = [directory / f"{kind}{number}" for number in range(ROUNDS)]
            found = [growth for place in places for growth in _growth(maker, kind, place)]
            if found:
                each = statistics.median(found) / 1000
                rows.append(
                    [
                        OURS if maker is product else maker.__name__,
                        kind,
                        f"{each:.2f}",
                        f"{min(found) / 1000:.2f}–{max(found) / 1000:.2f}",
                    ]
                )
                if maker is product:
                    what = f"memory of an idle connection, {kind}"
                    floors.append(Floor(what, each, 5, at_most=True, unit=" kB"))
    return Table("Memory of an idle connection", ["server", "transport", "kB each", "runs"], rows, [], floors)


def _growth(maker: Callable[..., object], kind: str, directory: Path) -> list[float]:
    """Bytes for each of 4,000 connections more than 8,000; nothing when the server is missing.

    What was free in the process from its start goes to the first of them, and would make the others look like nothing.
    """
    with running([maker], directory) as servers:
        for server in servers:
            with Load(server.port, server.paths[kind], 8000, kind) as first:
                first.opened()
                time.sleep(0.5)
                before = resident_bytes(family(server.gateway))
                with Load(server.port, server.paths[kind], 4000, kind) as more:
                    more.opened()
                    time.sleep(1.0)
                    return [(resident_bytes(family(server.gateway)) - before) / 4000]
    return []


def storm(directory: Path) -> Table:
    """10,000 connections as fast as they come, 1,000 handshakes under way at a time, beside 100 live streams.

    They come for a channel on which nothing happens: else the deliveries to them would be most of what is measured.
    """
    rows: list[list[str]] = []
    floors, worth = [], pace.measure(directory)
    with running([product, nchan], directory) as servers:
        for server in servers:
            runs = [_storm(server) for _ in range(ROUNDS)]
            worst = max(run[0] for run in runs)
            rate, p99, live = (statistics.median(run[number] for run in runs) for number in (1, 2, 3))
            rows.append([server.name, number(rate), number(worst), number(p99), number(live)])
            if server.name == OURS:
                floors.append(Floor("storm of 10,000: connections refused", worst, 0, at_most=True))
                floors.append(Floor("storm of 10,000: handshakes a second", rate, 8000, pace=worth.reading))
                floors.append(Floor("storm of 10,000: p99 of the live streams", live, 100, at_most=True, unit=" ms"))
    columns = ["server", "handshakes/s", "most refused", "p99 of a handshake, ms", "p99 of the live streams, ms"]
    return Table("A storm of 10,000 connections", columns, rows, [], floors)


def _storm(server: Server) -> tuple[float, float, float, float]:
    with Load(server.port, server.paths["ws"], 100, "ws") as live:
        live.opened()
        with closing(server.singles()) as publisher:
            publisher.drive(50, 0.5)
            live.arrived(publisher.sent, 3)
            live.reset()
            with Load(server.port, server.paths["quiet"], 10_000, "ws", at_once=1000) as many:
                publisher.drive(50, 3)
                found = many.connected()
            window = live.arrived(publisher.sent, 10)
    assert not window.faults(), window.faults()
    return found.refused, found.open / found.seconds, found.p99_ms, window.p99_ms


def ingest(directory: Path) -> Table:
    """`POST /events`, answered when the events are durable."""
    rows, floors, worth = [], [], pace.measure(directory)
    cases = (
        ("batches of 100, 8 connections", 8, 1000, 100, 200_000),
        ("single events, 32 connections", 32, 20_000, 1, 20_000),
    )
    with running([product], directory) as (server,):
        for name, connections, count, batch, wanted in cases:
            runs = [_post(server, connections, count, batch) for _ in range(ROUNDS)]
            rate, cost, busy = map(statistics.median, zip(*runs, strict=True))
            rows.append([name, number(rate), f"{cost:.2f}", f"{busy:.0%}"])
            floors.append(Floor(f"POST /events, {name}: events a second", rate, wanted, pace=worth.taking_in))
    columns = ["", "durable events/s", "µs CPU each", "generator's share of the time"]
    return Table("POST /events", columns, rows, [f"This machine: {worth.text()}."], floors)


def _post(server: Server, connections: int, count: int, batch: int) -> tuple[float, float, float]:
    words = [sys.executable, "-m", "tests.performance.posting", *map(str, (server.events, connections, count, batch))]
    before = cpu_seconds(family(server.ingest))
    # Beside the gateway, which has no clients here.
    found = json.loads(subprocess.check_output(words, cwd=ROOT, preexec_fn=pinned(SERVER_CORE)))
    used = cpu_seconds(family(server.ingest)) - before
    return found["events"] / found["seconds"], 1e6 * used / found["events"], found["generator_cpu"] / found["seconds"]


def compression(directory: Path) -> Table:
    """500 clients that ask for permessage-deflate, events in batches."""
    with running([product, aiohttp], directory) as servers:
        found = ladders(servers, 500, "deflate", 20_000)
        plain = _plain_bytes(servers)
    table = ladder_table("Compressed, 500 WebSocket clients, events in batches", found)
    table.columns.append("share of plain")
    shares = {name: runs.median("wire") / plain[name] for name, runs in found.items()}
    for row in table.rows:
        row.append(f"{shares[row[0]]:.3f}")
    against(table, found, "aiohttp", 5)
    times = found[OURS].median("wire") / found["aiohttp"].median("wire")
    table.floors.append(Floor("compressed bytes an event: times aiohttp", times, 1.1, at_most=True))
    return table


def _plain_bytes(servers: list[Server]) -> dict[str, float]:
    """Bytes of an event that is not compressed."""
    sizes = {}
    for server in servers:
        with Load(server.port, server.paths["ws"], 10, "ws") as load:
            load.opened()
            with closing(server.publisher()) as publisher:
                sizes[server.name] = Window(server, load, publisher).measure(1000, 0.5).wire
    return sizes


SCENARIOS: dict[str, Callable[[Path], Table]] = {
    each.__name__: each
    for each in (
        fanout_ws,
        fanout_sse,
        fanout_5000,
        fanout_singles,
        singles_cpu,
        latency,
        memory,
        storm,
        ingest,
        compression,
    )
}
