"""Where the gateway's time goes while frames are joined: py-spy beside the load."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

from tests.performance.harness import CACHE, ROOT, Load, Missing
from tests.performance.ladder import Window
from tests.performance.report import Table
from tests.performance.servers import product, running

CONNECTIONS, EVENTS, SECONDS, SAMPLES = 1000, 1500, 5, 400
SHOWN = 14
TICKS = os.sysconf("SC_CLK_TCK")


def profile(directory: Path) -> Table:
    """1,000 WebSocket clients, 1,500 events a second in batches. Raises Missing without py-spy."""
    spy = shutil.which("py-spy") or shutil.which(str(CACHE / "python" / "bin" / "py-spy"))
    if spy is None:
        raise Missing("py-spy")
    with running([product], directory) as (server,):
        path, output = server.paths["ws"], directory / "stacks"
        with Load(server.port, path, CONNECTIONS, "ws") as load:
            load.opened()
            with closing(server.publisher()) as publisher:
                window = Window(server, load, publisher)
                window.measure(EVENTS)
                words = [spy, "record", "--nonblocking", "-f", "raw", "-d", str(SECONDS), "-r", str(SAMPLES)]
                before = spent(server.gateway)
                with subprocess.Popen(
                    [*words, "-o", str(output), "-p", str(server.gateway)],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                ) as watching:
                    step = window.measure(EVENTS, SECONDS + 0.5, 5)
                    watching.wait(30)
                user, kernel = (now - then for now, then in zip(spent(server.gateway), before, strict=True))
        found = rows(output.read_text())
    note = (
        f"{CONNECTIONS:,} clients, {EVENTS:,} events a second in batches, {step.rate:,.0f} delivered/s, "
        f"{SAMPLES} samples a second; {kernel / ((user + kernel) or 1):.0%} of the CPU time is the kernel's."
    )
    return Table("Profile of the gateway while it joins", ["function", "itself", "with what it calls"], found, [note])


def spent(pid: int) -> tuple[float, float]:
    """Seconds in user mode and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / TICKS, int(fields[12]) / TICKS


def rows(stacks: str) -> list[list[str]]:
    """The functions that took the most, out of py-spy's `frame;frame;… count` lines."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in stacks.splitlines():
        text, _, count = line.rpartition(" ")
        frames = [function(frame) for frame in text.split(";")]
        own[frames[-1]] += int(count)
        whole.update(dict.fromkeys(frames, int(count)))
    total = sum(own.values()) or 1
    return [
        [f"`{name}`", f"{count / total:.0%}", f"{whole[name] / total:.0%}"] for name, count in own.most_common(SHOWN)
    ]


def function(frame: str) -> str:
    """`give (hxp_enterprise_llm/event/streaming/link.py:88)` without places of this machine and without the line."""
    name, _, place = frame.partition(" (")
    file = place.rstrip(")").rpartition(":")[0] or place.rstrip(")")
    for root in (str(ROOT) + "/hxp_enterprise_llm/", str(ROOT) + "/", sys.prefix + "/"):
        file = file.removeprefix(root)
    return f"{name} ({file.removeprefix('hxp_enterprise_llm/').rpartition('site-packages/')[2]})" if file else name
