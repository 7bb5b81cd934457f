"""Traffic as a platform has it, made of a seeded random source: an hour of snapshots, LLM events, an alert."""

from __future__ import annotations

import math
import random

from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.model import Encoded
from tests.unit.dashboards.support import METRICS, alert, event, snapshot

MODELS = ("claude-sonnet-4-5", "gpt-4.1", "mixtral-8x7b", "hermes-3-70b", "phi-3-medium")
AGENTS = ("planner", "retriever", "critic", "writer", "neuroscience")


class Traffic:
    """Makes the events of one second after the other."""

    def __init__(self, end: float, *, trouble_from: float = 300.0, seed: int = 7) -> None:
        self._end, self._trouble = end, trouble_from
        self._random = random.Random(seed)

    def metrics(self, at: float) -> dict[str, float]:
        """The snapshot's values at a moment."""
        left = self._end - at
        rise = 1 / (1 + math.exp((left - self._trouble) / 20)) if self._trouble else 0.0
        wave = 1 + 0.15 * math.sin(at / 300) + self._random.uniform(-0.06, 0.06)
        p95 = 1080 * wave + 1250 * rise
        return METRICS | {
            "throughput": 118 * wave + 40 * rise,
            "request_rate": 0.69 * wave,
            "error_rate": 0.004 * wave + 0.016 * rise,
            "latency": p95,
            "latency_p50": 390 * wave + 140 * rise,
            "latency_p95": p95,
            "latency_p99": 1720 * wave + 1600 * rise,
            "tokens": 58_900 * wave,
            "cpu_percent": 38 * wave,
            "memory_percent": 61.0,
            "disk_percent": 92.4,
        }

    def events(self, at: float) -> list[Encoded]:
        """What happens in the second."""
        made = [snapshot(at, self.metrics(at))]
        made += [self._one(at - self._random.random()) for _ in range(self._random.randrange(3))]
        return made

    def _one(self, at: float) -> Encoded:
        model, agent = self._random.choice(MODELS), self._random.choice(AGENTS)
        kind = self._random.randrange(8)
        if kind == 0:
            data = {"model": model, "error": "timeout", "latency_ms": 8000}
            return event("llm.request.failed", at, data, subject=agent)
        if kind == 1:
            return event("knowledge.miss", at, {"query": "knee load after sprint"}, subject=agent)
        if kind == 2:
            return event("tool.call.completed", at, {"tool": "calendar.read", "latency_ms": 212}, subject=agent)
        tokens = self._random.randrange(400, 4000)
        latency = self._random.randrange(300, 2600)
        data = {"model": model, "input_tokens": tokens, "output_tokens": 96, "latency_ms": latency}
        return event("llm.request.completed", at, data, subject=agent)

    async def fill(self, log: MemoryLog, seconds: int) -> None:
        """The last so many seconds, with an alert that fires near the end and one that ended before."""
        start = self._end - seconds
        for second in range(seconds):
            at = start + second
            batch = self.events(at)
            if second == seconds // 3:
                batch.append(alert("firing", "performance_warning", at, priority="warning", episode="old"))
            if second == seconds // 3 + 240:
                batch.append(alert("resolved", "performance_warning", at, priority="warning", episode="old"))
            if second == seconds - 240:
                batch.append(self._latency_alert(at))
            await log.append(batch)

    def _latency_alert(self, at: float) -> Encoded:
        data = {"rule": "performance_warning", "condition": "latency_p95 > 2000", "priority": "warning"}
        data |= {"episode": "now", "summary": "Latency p95 is 2.31 s, limit 2.00 s", "state": "firing"}
        return event("alert.firing", at, data)
