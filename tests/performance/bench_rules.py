"""What 10,000 rules over 1,000 metrics cost the streams: the whole program in one process, with and without them.

    python -m tests.performance.bench_rules [RULES] [CLIENTS]

Two daemons, each a process of its own, one with the rules and one without; the same 1,000 metrics, all of which change
at each tick, once a second. Rounds in turn: events are published to each, p99 from publish to receive over WebSocket,
and the worst lateness of a timer in the loop as the daemon itself reports it. First the core alone.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import aiohttp
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.processing import AnalyticsConfig, MetricConfig
from hxp_enterprise_llm.config.rules import RuleConfig
from hxp_enterprise_llm.event.notifications.rules.alerts import Moment
from hxp_enterprise_llm.event.notifications.rules.compiled import compile_rules
from hxp_enterprise_llm.event.notifications.rules.evaluation import Evaluator
from hxp_enterprise_llm.event.notifications.rules.snapshots import Snapshot
from hxp_enterprise_llm.orchestration.streaming_orchestrator import StreamingOrchestrator
from hxp_enterprise_llm.runtime.collecting import collect_seldom
from tests.integration.daemon import embedded_settings, url
from tests.unit.streaming.readers import p99, readers

METRICS, EVENTS, PER_SECOND, PAIRS = 1000, 100, 20, 5
PATH = "/ws/events?type=bench.rules"


def rules(number: int) -> list[RuleConfig]:
    """Rules of two metrics each, none of which fires."""
    return [
        RuleConfig(
            name=f"r{n}",
            condition=f"m{n % METRICS} > {1e9 + n} || m{(7 * n + 1) % METRICS} < 0.0",
            for_="10s",
            channel="websocket",
        )
        for n in range(number)
    ]


async def serve(number: int, directory: Path) -> None:
    """A daemon with so many rules; it prints its addresses and ends with its input."""
    settings = embedded_settings(directory)
    assert settings.processing is not None
    assert settings.streaming is not None
    metrics = [MetricConfig(name=f"m{n}", types=["bench.*"], kind="count") for n in range(METRICS)]
    replace = msgspec.structs.replace
    orchestrator = StreamingOrchestrator(
        replace_settings(
            settings,
            replace(settings.processing, analytics=AnalyticsConfig(metrics=metrics)),
            replace(
                settings.streaming,
                real_time_notifications=NotificationsConfig(
                    notification_channels=["websocket"], notification_rules=rules(number), directory=str(directory)
                ),
            ),
        ),
        environ={},
    )
    await orchestrator.start()
    sys.stderr.write(f"{url(orchestrator, 'processing')} {url(orchestrator, 'streaming')}\n")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await orchestrator.stop()


def replace_settings(settings, processing, streaming):
    """The same with other configurations."""
    return type(settings)(processing, streaming)


async def one_round(session: aiohttp.ClientSession, events: str, gateway: str, clients: int) -> tuple[float, float]:
    """p99 in seconds, and the loop's worst lateness."""
    async with readers(int(gateway.rpartition(":")[2]), PATH, clients) as found:
        for number in range(EVENTS):
            data = {"n": number, "sent": time.monotonic()}
            async with session.post(f"{events}/events", json={"type": "bench.rules", "data": data}) as answer:
                assert answer.status == 202, await answer.text()
            await asyncio.sleep(1 / PER_SECOND)
        async with asyncio.timeout(60):
            while any(len(client.numbers) < EVENTS for client in found):
                await asyncio.sleep(0.01)
        async with session.get(f"{gateway}/metrics") as answer:
            families = text_string_to_metric_families(await answer.text())
            lag = next(f.samples[0].value for f in families if f.name == "citadel_event_loop_lag_seconds")
        return p99(found), lag


async def compare(number: int, clients: int) -> None:
    sys.stdout.write(core(number))
    with tempfile.TemporaryDirectory() as directory:
        daemons = {count: await _start(count, Path(directory, str(count))) for count in (0, number)}
        rows = {count: [] for count in daemons}
        async with aiohttp.ClientSession() as session:
            for turn in range(PAIRS + 1):
                for count in sorted(daemons, reverse=bool(turn % 2)):
                    _, events, gateway = daemons[count]
                    found = await one_round(session, events, gateway, clients)
                    if turn:  # the first is to warm up
                        rows[count].append(found)
        for process, *_ in daemons.values():
            process.stdin.close()
            await process.wait()
    sys.stdout.write(verdict(rows, clients))


async def _start(count: int, directory: Path):
    directory.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.performance.bench_rules", "--serve", str(count), str(directory)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    while True:
        words = (await process.stderr.readline()).decode().split()
        if len(words) == 2 and words[0].startswith("http"):
            return process, *words


def core(number: int) -> str:
    """CPU time of an evaluation in which everything has changed, of one in which nothing has, the longest stretch."""
    evaluator = Evaluator(compile_rules(NotificationsConfig(notification_rules=rules(number), directory=""), None))
    changed = [_evaluation(evaluator, turn, random.Random(turn)) for turn in range(12)][2:]
    same = [_evaluation(evaluator, 12 + turn, random.Random(1)) for turn in range(12)][2:]
    return (
        f"{number:,} rules over {METRICS:,} metrics, CPU time of an evaluation, median of 10\n"
        f"  all metrics have changed {1000 * median(took for took, _ in changed):6.1f} ms,"
        f" longest stretch {1000 * median(longest for _, longest in changed):.1f} ms\n"
        f"  none has                 {1000 * median(took for took, _ in same):6.1f} ms\n"
    )


def _evaluation(evaluator: Evaluator, turn: int, chance: random.Random) -> tuple[float, float]:
    snapshot = Snapshot(0, {f"m{n}": chance.random() for n in range(METRICS)})
    begun = last = time.process_time()
    longest = 0.0
    evaluation = evaluator.begin({}, snapshot, Moment(turn, turn))
    for _ in evaluation.stretches():
        now = time.process_time()
        longest, last = max(longest, now - last), now
    evaluator.believe(evaluation.result())
    return time.process_time() - begun, longest


def verdict(rows: dict[int, list[tuple[float, float]]], clients: int) -> str:
    """Medians of both, and their ratio."""
    found = {count: [median(column) for column in zip(*some, strict=True)] for count, some in rows.items()}
    lines = [f"{clients} clients, {PER_SECOND} events a second; medians of {PAIRS} rounds"]
    lines.append(f"{'rules':>8}{'p99 ms':>10}{'loop lag ms':>13}")
    lines += [f"{count:>8}{1000 * late:>10.1f}{1000 * lag:>13.1f}" for count, (late, lag) in found.items()]
    (without, lag_without), (beside, lag_beside) = found.values()
    lines.append(f"with the rules p99 is {beside / without:.2f} times that without, lag {lag_beside / lag_without:.2f}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    collect_seldom()  # as the daemon does
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(int(sys.argv[2]), Path(sys.argv[3])))
    else:
        numbers = [int(text) for text in sys.argv[1:]] or [10_000, 100]
        asyncio.run(compare(*numbers))
