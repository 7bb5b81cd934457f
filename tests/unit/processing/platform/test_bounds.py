"""A flood of made-up names: it is counted, it is said, and it takes no memory."""

from __future__ import annotations

import random
import tracemalloc

import msgspec
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.platform import PlatformConfig, PlatformLimitsConfig
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.processing.platform.keeping import Saved, encoded
from hxp_enterprise_llm.event.processing.platform.measuring import measure
from hxp_enterprise_llm.event.processing.platform.names import MAX_NAME, Kept, clip
from hxp_enterprise_llm.event.processing.platform.snapshot import MOST_BYTES, snapshot_data
from hxp_enterprise_llm.telemetry.platform_metrics import PlatformMetrics

from ..events import NOW, stored
from .support import platform

LIMITS = PlatformLimitsConfig(
    agents=20, models=5, tools=10, users=10, queries=10, items=10, edges=10, hypotheses=50, business=5, open_tasks=50
)
CONFIG = PlatformConfig(limits=LIMITS)


def flood(start: int, count: int) -> list[Stored]:
    """Every name in every event is another one."""
    made = []
    for n in range(start, start + count):
        name = f"made-up-{n}"
        at = NOW - n % 3000
        made += [
            stored(n, "llm.request.completed", at, model=name, agent=name, user=name, query=name, tool=name,
                   input_tokens=1, output_tokens=1, finish_reason=name, latency_ms=n % 900),
            stored(n, "llm.request.failed", at, model=name, error=name, agent=name),
            stored(n, "agent.started", at, agent=name, run=name),
            stored(n, "agent.handoff", at, **{"from": name, "to": name, "kind": name}),
            stored(n, "knowledge.access", at, item=name, agent=name, tier="chroma"),
            stored(n, "knowledge.miss", at, query=name, agent=name, collection=name),
            stored(n, "hypothesis.formed", at, hypothesis=name, agent=name, domain=name),
            stored(n, "business.metric", at, name=name, value=1, dimensions={name: name}),
        ]  # fmt: skip
    return made


def test_a_flood_of_names_holds_memory_and_pushes_out_nobody_who_works() -> None:
    made = platform(config=CONFIG)
    regulars = [
        stored(n, "llm.request.completed", NOW - 60, model="m", agent=f"regular-{n % 15}", input_tokens=1)
        for n in range(300)
    ]
    made.take(regulars)
    made.take(flood(0, 1500))
    made.settled()
    tracemalloc.start()
    made.take(flood(2000, 200))
    made.settled()
    before = tracemalloc.get_traced_memory()[0]
    for start in range(3000, 6000, 300):
        made.take(flood(start, 300))
    made.settled()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 500_000, "3,000 more of each name"
    views = made.views(NOW)
    tokens = views.tokens()
    agents = {each["name"]: each["requests"] for each in tokens["by"]["agents"]}
    assert {name for name in agents if name and name.startswith("regular")} == {f"regular-{n}" for n in range(15)}
    assert tokens["total"]["requests"] == sum(agents.values()) == 300 + 1500 + 200 + 3000
    assert len(encoded(Saved("e", 1, made.settled()))) < 400_000
    telemetry = PlatformMetrics(registry := CollectorRegistry())
    measure(telemetry, made.state, views)
    for kind in ("agents", "models", "tools", "users", "queries", "items", "gaps", "edges"):
        folded = registry.get_sample_value("citadel_platform_folded_names", {"kind": kind})
        held = registry.get_sample_value("citadel_platform_names", {"kind": kind})
        assert folded is not None
        assert folded > 1000, kind
        assert held is not None
        assert held <= 40, kind


def test_a_name_that_a_budget_is_for_stays_apart() -> None:
    kept: Kept[_Count] = Kept()
    kept.at("budgeted", _Count, 2, {"budgeted"})
    for n in range(100):
        kept.at(f"n{n}", _Count, 2, {"budgeted"}).n = 5
    assert "budgeted" in kept.named
    assert len(kept.named) <= 4


def test_long_names_stay_short_and_different() -> None:
    one, other = "x" * 1000 + "a", "x" * 1000 + "b"
    assert len(clip(one)) == MAX_NAME
    assert clip(one) != clip(other)
    assert clip("short") == "short"


def test_the_snapshot_stays_small_whatever_is_known() -> None:
    chance = random.Random(1)
    events = []
    for n in range(6000):
        a, b = (f"{'agent' * 25}-{chance.randrange(400)}" for _ in "ab")
        events += [
            stored(n, "llm.request.completed", model=a, agent=b, tool=a, user=b, query=a, input_tokens=1),
            stored(n, "agent.handoff", **{"from": a, "to": b, "kind": "ask"}),
            stored(n, "knowledge.access", item=a, agent=b),
        ]
    data = snapshot_data(platform(events).views(NOW), NOW, 1)
    assert data["truncated"] is True
    assert len(msgspec.json.encode(data)) <= MOST_BYTES
    small = snapshot_data(platform(events[:3]).views(NOW), NOW, 1)
    assert "truncated" not in small


class _Count(msgspec.Struct):
    n: int = 0

    @property
    def weight(self) -> int:
        return self.n

    def absorb(self, other: _Count) -> None:
        self.n += other.n
