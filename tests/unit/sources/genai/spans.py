"""Spans made by hand, and a log in a list that stores what the ledger decides on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hxp_enterprise_llm.event.sources.genai.ledger import Entry, Ledger
from hxp_enterprise_llm.event.sources.genai.model import Origin, Span
from hxp_enterprise_llm.event.sources.genai.reading import read_span
from hxp_enterprise_llm.event.sources.genai.recall import event_id, recalled
from hxp_enterprise_llm.event.sources.otlp.storing import make

NOW_NS = 1_764_000_000_000_000_000
TRACE = bytes(range(1, 17))
ORIGIN = Origin("shop")


def id_of(number: int) -> bytes:
    return number.to_bytes(8, "big")


def span(number: int, parent: int = 0, **attributes: Any) -> Span:
    """Span `number` of the trace; `gen_ai__operation__name` is the attribute gen_ai.operation.name."""
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return made(named, number=number, parent=parent)


def made(attributes: dict[str, Any], *, number: int = 1, parent: int = 0, **fields: Any) -> Span:
    """A span of 250 ms with these attributes."""
    given = {
        "origin": ORIGIN,
        "trace": TRACE,
        "span": id_of(number),
        "parent": id_of(parent) if parent else b"",
        "name": f"span {number}",
        "kind": 1,
        "start_ns": NOW_NS - 250_000_000,
        "end_ns": NOW_NS,
        "attributes": attributes,
    }
    return Span(**(given | fields))


def call(number: int, parent: int = 0, tokens: tuple[int, int] | None = None, model: str = "m") -> Span:
    """A call of a model."""
    return _with_tokens("chat", number, parent, tokens, {"gen_ai.request.model": model})


def run(number: int, parent: int = 0, tokens: tuple[int, int] | None = None, agent: str = "") -> Span:
    """A run of an agent."""
    return _with_tokens("invoke_agent", number, parent, tokens, {"gen_ai.agent.name": agent or f"agent {number}"})


def plain(number: int, parent: int = 0) -> Span:
    return made({"http.route": "/"}, number=number, parent=parent)


def _with_tokens(
    operation: str, number: int, parent: int, tokens: tuple[int, int] | None, attributes: dict[str, Any]
) -> Span:
    stated = dict(zip(("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"), tokens or (), strict=False))
    return made({"gen_ai.operation.name": operation, **attributes, **stated}, number=number, parent=parent)


class Books:
    """A ledger and what it had stored, which it is made of anew by `restart`."""

    def __init__(self, *, quiet: float = 30.0, max_spans: int = 20_000) -> None:
        self._terms = {"quiet": quiet, "max_spans": max_spans}
        self.now = 0.0
        self.ledger = Ledger(**self._terms)
        self.entries: list[Entry] = []
        self.log: list[bytes] = []
        self._ids: set[str] = set()

    def take(self, spans: Sequence[Span]) -> list[Entry]:
        return self._store(self.ledger.take([read_span(each) for each in spans], self.now))

    def settle(self) -> list[Entry]:
        return self._store(self.ledger.settle(self.now))

    def quiet(self) -> list[Entry]:
        """Half a minute passes."""
        self.now += 31
        return self.settle()

    def restart(self) -> None:
        self.ledger = Ledger(**self._terms)
        for offset, raw in enumerate(self.log, 1):
            if (found := recalled(raw)) is not None:
                self.ledger.recall(found, offset, self.now)
        self._store(self.ledger.outstanding())

    def _store(self, entries: list[Entry]) -> list[Entry]:
        offsets = []
        for entry in entries:
            id = event_id(entry.trace, entry.span, entry.draft.suffix)
            if id not in self._ids:
                self._ids.add(id)
                self.entries.append(entry)
                self.log.append(make(entry.draft, "shop", id, NOW_NS).event.raw)
            offsets.append(len(self.log))
        self.ledger.stored(entries, offsets)
        return entries

    def total(self) -> tuple[int, int]:
        """Tokens in and out, as whoever adds them up finds them."""
        found = [e.draft.data for e in self.entries if e.draft.type in ("llm.request.completed", "llm.usage.corrected")]
        return tuple(sum(data.get(name, 0) for data in found) for name in ("input_tokens", "output_tokens"))

    def types(self) -> list[str]:
        return [entry.draft.type for entry in self.entries]

    def of(self, type: str) -> list[dict[str, Any]]:
        return [entry.draft.data for entry in self.entries if entry.draft.type == type]
