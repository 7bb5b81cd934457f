"""A long run of the byte-level fuzzer over the WebSocket link.

    python -m tests.torture frames 1000000 [SEED]

Ends with 1 and the seed of the connection at the first answer that is not orderly.
"""

from __future__ import annotations

import asyncio
import gc
import random
import resource
import sys
import time
import tracemalloc
from collections import Counter

from tests.unit.streaming.frames import Session, make_places
from tests.unit.streaming.fuzz import MOST, check_orderly, mutate, random_frame, split

FRAMES_EACH = 12


async def run(frames: int, seed: int) -> int:
    """Send so many frames from a seed on; answers 1 when an answer was disorderly or memory was left behind."""
    places, codes, sent, begun = make_places(), Counter[int](), 0, time.monotonic()
    base = 0
    tracemalloc.start()
    while sent < frames:
        chance = random.Random(seed)
        count = chance.randint(1, 2 * FRAMES_EACH)
        data = b"".join(random_frame(chance).encode() for _ in range(count))
        if chance.random() < 0.7:
            data = mutate(data, chance)
        try:
            codes[check_orderly(Session(MOST, places), split(data, chance))] += 1
        except Exception as error:
            sys.stdout.write(f"seed {seed}: {error!r}\n{data!r}\n")
            return 1
        sent, seed = sent + count, seed + 1
        if not seed % 1000:
            await asyncio.sleep(0)
            if not base:
                base = held()
    await asyncio.sleep(5.5)  # the last connections are cut off after five seconds
    grown = held() - base
    report(sent, time.monotonic() - begun, codes, grown)
    return 0 if grown < 1 << 20 else 1


def held() -> int:
    """Bytes in use after a collection."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def report(sent: int, seconds: float, codes: Counter[int], grown: int) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    lines = [f"{sent:,} frames in {codes.total():,} connections, {sent / seconds:,.0f} a second, none disorderly"]
    lines += [f"  closed with {code or 'nothing'}: {count:,}" for code, count in sorted(codes.items())]
    lines.append(f"  held at the end {grown / 1024:+,.0f} KiB; peak of the process {peak} MiB")
    sys.stdout.write("\n".join(lines) + "\n")
