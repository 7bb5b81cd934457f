"""Tokens and money that are taken back: every account is as if they had never been counted, requests remain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import Offset, decode
from hxp_enterprise_llm.event.processing.platform.keeping import Saved, decoded, encoded
from hxp_enterprise_llm.event.processing.platform.ledger import FIELDS
from hxp_enterprise_llm.event.processing.platform.platform import Platform
from tests.unit.sources.genai.spans import Books
from tests.unit.sources.otlp.recordings import WAYS, recording, spans_of, twice_told

from ..events import NOW, stored
from .support import CONFIG, DAY, everything, platform, views

AMOUNTS = ("input_tokens", "output_tokens", "total_tokens", "cached_input_tokens", "cache_write_tokens", "cost_usd")
WHO = {"agent": "a", "user": "u", "tool": "t", "query": "q"}
COUNTS = {"requests", "unpriced_requests"}


def corrected(data: dict[str, Any]) -> dict[str, Any]:
    """What takes the tokens and the money of a request back."""
    taken = {name: 0 - data[name] for name in AMOUNTS if name in data}
    return {name: value for name, value in data.items() if name not in AMOUNTS and name != "latency_ms"} | taken


tokens = st.integers(0, 300_000)
stated = st.fixed_dictionaries(
    {"model": st.sampled_from(["m", "dear", "gpt-4o", "nobody's"])},
    optional={"input_tokens": tokens, "output_tokens": tokens, "cached_input_tokens": tokens}
    | {"total_tokens": tokens, "cache_write_tokens": tokens, "cost_usd": st.sampled_from([0.0, 1e-9, 0.123456789])},
)


@settings(max_examples=200, deadline=None)
@given(stated, st.booleans())
def test_what_is_taken_back_leaves_nothing_but_the_request(data: dict[str, Any], at_once: bool) -> None:
    """Also of another day, with the price of then, whichever of the two is read first."""
    data = data | WHO | {"latency_ms": 10}
    pair = [stored(1, "llm.request.completed", NOW - DAY, **data)]
    pair += [stored(2, "llm.usage.corrected", NOW - DAY, **corrected(data))]
    for history in (pair, pair[::-1]):
        made = platform(history, batch=2 if at_once else 1)
        state = made.settled()
        accounts = [state.tokens.everything, *(state.tokens.kept(kind).named[name] for kind, name in names(data))]
        for account in accounts:
            for row in (account.total, *account.days.values(), *account.hours.values()):
                left = {name: value for name, value in zip(FIELDS, row, strict=True) if value}
                assert left.pop("requests") == 1
                assert left in ({}, {"unpriced_requests": 1})
        (model,) = made.views(NOW - DAY).models()["models"]
        assert (model["requests"], model["output_tokens"]) == (1, 0)
        assert model["latency_ms"]["p50"] == pytest.approx(10, rel=0.02)


def names(data: dict[str, Any]) -> list[tuple[str, str]]:
    kinds = {"agent": "agents", "model": "models", "tool": "tools", "user": "users", "query": "queries"}
    return [(plural, data[name]) for name, plural in kinds.items()]


def test_a_correction_is_no_activity_of_an_agent() -> None:
    request = stored(1, "llm.request.completed", NOW - 3000, model="m", agent="a", input_tokens=5)
    taken = stored(2, "llm.usage.corrected", NOW, model="m", agent="a", input_tokens=-5)
    for batch in (1, 2):
        (agent,) = platform([request, taken], batch=batch).views(NOW).agents()["agents"]
        assert (agent["status"], agent["events"]) == ("idle", 1)


def test_a_correction_with_more_than_it_may_say_is_left_out() -> None:
    made = platform([stored(1, "llm.usage.corrected", model="m", input_tokens=5)])
    assert (made.state.ignored, made.views(NOW).tokens()["total"]["tokens"]) == (1, 0)
    assert views().tokens()["total"]["tokens"] == 0


# From spans to accounts: what the model itself counted


class House:
    """A ledger of spans and a platform that follows its log, both of which can be killed."""

    def __init__(self) -> None:
        self.books, self.platform, self._position = Books(), Platform(CONFIG), 0
        self.save()

    def follow(self) -> None:
        """The platform reads what is new in the log."""
        raws = self.books.log[self._position :]
        first = self._position + 1
        events = [Stored(Offset(at), decode(raw).type, raw) for at, raw in enumerate(raws, first)]
        self.platform.take(events)
        self._position += len(events)

    def save(self) -> None:
        self._saved = decoded(Path("state"), encoded(Saved("e", self._position, self.platform.settled())))

    def kill(self) -> None:
        """Both begin again with what is on disk."""
        self.books.restart()
        content = encoded(self._saved)
        self._position = self._saved.position
        self.platform = Platform(CONFIG, None, decoded(Path("state"), content).state)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_totals_of_a_recorded_crew_are_the_models_own(way: str, data: st.DataObject) -> None:
    """Four ways to trace a crew, each call told once or twice, in any order and pieces, with kills in between."""
    truth, house = recording(way), House()
    spans = data.draw(st.permutations(data.draw(st.sampled_from([spans_of(way), twice_told(spans_of(way))]))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(spans)), max_size=4)))
    for start, end in zip([0, *cuts], [*cuts, len(spans)], strict=True):
        house.books.take(spans[start:end])
        for step in data.draw(st.lists(st.sampled_from(["follow", "save", "kill", "quiet"]), max_size=4)):
            (house.books.quiet if step == "quiet" else getattr(house, step))()
    house.books.quiet()
    house.follow()
    at = max(span.end_ns for span in spans) / 1e9
    total = house.platform.views(at).tokens()["total"]
    assert (total["input_tokens"], total["output_tokens"]) == (truth.input, truth.output)
    assert total["cached_input_tokens"] == truth.cached
    assert total["tokens"] == truth.input + truth.output
    anew = platform([Stored(Offset(n), decode(raw).type, raw) for n, raw in enumerate(house.books.log, 1)])
    assert everything(anew, at) == everything(house.platform, at)
    for kind, accounts in anew.views(at).tokens()["by"].items():
        if accounts and kind in ("agents", "models"):
            assert sum(each["tokens"] for each in accounts) == truth.input + truth.output
