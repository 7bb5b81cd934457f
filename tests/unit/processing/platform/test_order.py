"""Whatever the order in which events come, and however they are cut into batches, the totals are the same."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.processing.platform.keeping import Saved, decoded, encoded
from hxp_enterprise_llm.event.processing.platform.platform import Platform

from ..events import NOW, stored
from .support import CONFIG, DAY, everything, platform

names = st.sampled_from(["a", "b", "c"])
tokens = st.integers(0, 300_000)
maybe = st.none() | tokens
less = st.none() | st.integers(-300_000, 0)
amounts = st.integers(0, 10**7).map(lambda n: n / 1000)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Data with these members, without those that are None."""
    return st.fixed_dictionaries(fields).map(lambda data: {k: v for k, v in data.items() if v is not None})


def who() -> dict[str, st.SearchStrategy[Any]]:
    return {name: st.none() | names for name in ("agent", "user", "query", "tool")}


DATA: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "llm.request.completed": some(
        model=st.sampled_from(["m", "dear", "own"]),
        input_tokens=maybe,
        output_tokens=maybe,
        total_tokens=maybe,
        cached_input_tokens=maybe,
        latency_ms=st.none() | amounts,
        time_to_first_token_ms=st.none() | amounts,
        cost_usd=st.none() | amounts,
        finish_reason=st.none() | names,
        **who(),
    ),
    "llm.usage.corrected": some(
        model=st.sampled_from(["m", "dear", "own"]),
        input_tokens=less,
        output_tokens=less,
        total_tokens=less,
        cached_input_tokens=less,
        cost_usd=st.none() | amounts.map(lambda amount: 0 - amount),
        **who(),
    ),
    "llm.request.failed": some(model=names, error=names, latency_ms=st.none() | amounts, **who()),
    "tool.call.completed": some(
        **who() | {"tool": names}, success=st.none() | st.booleans(), cost_usd=st.none() | amounts
    ),
    "cost.recorded": some(amount_usd=amounts, category=st.none() | st.sampled_from(["inference", "disk"]), **who()),
    "agent.registered": some(agent=names, capabilities=st.lists(names)),
    "agent.handoff": some(**{"from": names, "to": names, "kind": names, "outcome": st.none() | st.just("success")}),
    "memory.tier.access": some(
        tier=st.sampled_from(["redis", "postgres", "chroma"]), hit=st.booleans(), latency_ms=st.none() | amounts
    ),
    "knowledge.access": some(item=names, agent=st.none() | names, tier=st.just("chroma"), latency_ms=amounts),
    "knowledge.miss": some(query=names, agent=names),
    "hypothesis.formed": some(hypothesis=names, agent=names, domain=st.none() | names),
    "hypothesis.validated": some(hypothesis=names, agent=names),
    "hypothesis.refuted": some(hypothesis=names, agent=names),
    "business.metric": some(name=names, value=amounts, dimensions=st.dictionaries(names, names, max_size=2)),
}
moments = st.sampled_from([0.0, 1.0, 59.5, 3600.0, 2 * DAY, 100 * DAY]).map(lambda ago: NOW - ago)


@st.composite
def histories(draw: st.DrawFn) -> list[Stored]:
    """Events of all types at all times, and the runs of some tasks, each with a beginning and perhaps an end."""
    chosen = draw(st.lists(st.sampled_from(sorted(DATA)), max_size=25))
    history = [stored(n, type, draw(moments), **draw(DATA[type])) for n, type in enumerate(chosen, 1)]
    for run in range(draw(st.integers(0, 3))):
        agent, at = draw(names), draw(moments)
        history.append(stored(1000 + run, "agent.started", at, agent=agent, run=f"r{run}"))
        if draw(st.booleans()):
            kind = draw(st.sampled_from([{}, {"kind": "agent"}, {"kind": "workflow"}]))
            ended = {"agent": agent, "run": f"r{run}", "duration_ms": 5, **kind}
            history.append(stored(2000 + run, "agent.completed", at + 1, **ended))
    return history


@settings(max_examples=150, deadline=None)
@given(histories(), st.integers(0, 2**32), st.integers(1, 30))
def test_the_order_of_events_changes_nothing(history: list[Stored], seed: int, batch: int) -> None:
    shuffled = history.copy()
    random.Random(seed).shuffle(shuffled)
    assert everything(platform(shuffled, batch=batch)) == everything(platform(history))


@settings(max_examples=50, deadline=None)
@given(histories(), st.integers(0, 25))
def test_a_restart_in_between_changes_nothing(history: list[Stored], cut: int) -> None:
    first = platform(history[:cut])
    content = encoded(Saved("e", cut, first.settled()))
    second = Platform(CONFIG, None, decoded(Path("state"), content).state)
    second.take(history[cut:])
    assert everything(second) == everything(platform(history))
