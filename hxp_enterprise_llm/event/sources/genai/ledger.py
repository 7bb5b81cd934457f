"""The token rule: which spans' tokens count, whatever order they arrive in.

1. A call of a model counts when no call of a model beneath it states tokens: the outer one wraps the inner ones. It is
   counted as it arrives, and taken back by an event of its own when an inner one turns up after it.
2. An agent, a workflow or a step that states tokens is held. When its trace has been quiet for a while, the outermost
   ones count beneath which no call of a model states any.

The ledger is a function of the log: `recall` takes the stored events in and comes to the same memory, so that a restart
neither loses nor doubles anything. What was made of spans that could not be stored is undone by `rollback`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from hxp_enterprise_llm.event.sources.genai.attribution import Arriving
from hxp_enterprise_llm.event.sources.genai.model import Draft, Reading
from hxp_enterprise_llm.event.sources.genai.recall import WHOSE, Recalled
from hxp_enterprise_llm.event.sources.genai.trace import Edge, Node, Trace, edge_of
from hxp_enterprise_llm.event.sources.genai.usage import figures

LONGEST_HOLD = 300.0
"""Seconds after which an aggregate is decided on though its trace goes on; what comes later corrects it."""
SPANS_A_TRACE = 10_000
"""Spans of one trace that are remembered; further ones are counted as they come."""
TRACE_WEIGHT = 4
"""A trace takes as much memory as so many spans, beside its own."""
PAST_TRACES = 100_000
"""Traces of which only is remembered whether calls of models stated tokens in them."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A draft with the trace and span that it belongs to."""

    trace: bytes
    span: bytes
    draft: Draft


class Ledger:
    """Decides on the tokens of spans. Bounded in memory; not for several threads."""

    def __init__(self, *, quiet: float, max_spans: int) -> None:
        """`quiet`: seconds without a new span after which a trace is decided on; `max_spans`: of all traces,
        each of which counts as four spans more."""
        self._quiet, self._max_spans = quiet, max_spans
        self._traces: dict[bytes, Trace] = {}
        self._past: dict[bytes, bool] = {}
        self._undo: dict[bytes, Trace | None] = {}
        self._waiting: set[bytes] = set()
        """The traces that have to be decided on; there are far more of which everything is known."""
        self._spans = 0
        self.forgotten = 0
        """Traces that were forgotten for want of room, since somebody last counted."""
        self.cut_short = 0
        """Of these, those that were not quiet yet: what they still have to say is judged without what they said."""
        self.corrections = 0
        """Spans whose tokens were taken back, since somebody last counted."""

    @property
    def spans(self) -> int:
        """Spans that are remembered."""
        return self._spans

    @property
    def held(self) -> int:
        """Spans whose tokens are not decided on."""
        return sum(len(self._traces[id].aggregates) for id in self._waiting)

    @property
    def oldest_held(self) -> int | None:
        """Offset of the first event of any trace that is not decided on."""
        return min((first for id in self._waiting if (first := self._traces[id].first)), default=None)

    def take(self, readings: Sequence[Reading], now: float) -> list[Entry]:
        """Spans have arrived; answers what is to be stored. Those that are known already are left out."""
        made: list[Entry] = []
        touched: dict[bytes, Trace] = {}
        arriving = Arriving(readings)
        for reading in readings:
            id = reading.span.trace
            trace = touched.get(id) or touched.setdefault(id, self._open(id, now))
            arriving.attribute(reading, trace)
            made += self._take(reading, trace)
        for id, trace in touched.items():
            made += _edges(id, trace)
            self._watch(id)
        made += self._make_room(now)
        return made

    def settle(self, now: float) -> list[Entry]:
        """Decide on what has been quiet; answers what is to be stored."""
        made: list[Entry] = []
        for id in sorted(self._waiting):
            trace = self._traces[id]
            if now - trace.last >= self._quiet or now - trace.since >= LONGEST_HOLD:
                self._keep(id)
                made += self._decide(id, trace)
        return made

    def stored(self, entries: Iterable[Entry], offsets: Iterable[int]) -> None:
        """What was taken or settled last is in the log, at these offsets."""
        for entry, offset in zip(entries, offsets, strict=True):
            trace = self._traces.get(entry.trace)
            if trace is not None and (trace.first is None or offset < trace.first):
                trace.first = offset
        self._undo.clear()

    def rollback(self) -> None:
        """What was taken or settled last was not stored: forget it."""
        for id, before in self._undo.items():
            now = self._traces.pop(id, None)
            self._spans += (len(before.parents) if before else 0) - (len(now.parents) if now else 0)
            if before is not None:
                self._traces[id] = before
            self._watch(id)
        self._undo.clear()

    def recall(self, found: Recalled, offset: int, now: float) -> None:
        """Take in an event that the log has, in the order of the log. `outstanding` says what is missing then."""
        trace = self._reopen(found.trace, now)
        if trace.first is None:
            trace.first = offset
        if found.part == "main":
            if found.span not in trace.parents:
                self._spans += 1
                for _ in self._enter(trace, found.span, found.parent, found.node, found.edge):
                    """What was corrected then is in the log, or outstanding."""
        elif found.part == "edge":
            trace.edges.pop(found.span, None)
        elif (node := trace.nodes.get(found.span)) is not None:
            trace.nodes[found.span] = _after(node, found.part)
        self._watch(found.trace)

    def outstanding(self) -> list[Entry]:
        """What should have been stored with what was recalled, and was not."""
        made: list[Entry] = []
        for id, trace in self._traces.items():
            self._keep(id)
            made += _edges(id, trace)
            late = [span for span, node in trace.nodes.items() if node.counted and span in trace.covered]
            made += self._corrected(id, trace, late)
        return made

    def _open(self, id: bytes, now: float) -> Trace:
        self._keep(id)
        return self._reopen(id, now)

    def _reopen(self, id: bytes, now: float) -> Trace:
        trace = self._traces.pop(id, None)
        if trace is None:
            trace = Trace(now)
            trace.blind = self._past.pop(id, False)
        trace.last = now
        self._traces[id] = trace  # the most recent one stands last
        return trace

    def _watch(self, id: bytes) -> None:
        trace = self._traces.get(id)
        if trace is not None and trace.dirty:
            self._waiting.add(id)
        else:
            self._waiting.discard(id)

    def _keep(self, id: bytes) -> None:
        if id not in self._undo:
            before = self._traces.get(id)
            self._undo[id] = before.copy() if before else None

    def _take(self, reading: Reading, trace: Trace) -> Iterator[Entry]:
        span = reading.span
        if span.span in trace.parents:
            return
        main, full = reading.main, len(trace.parents) >= SPANS_A_TRACE
        node = _node_of(reading)
        if reading.instead is not None and self._is_elsewhere(reading, trace):
            main, node = reading.instead(), msgspec.structs.replace(node, counted=False)
        yield Entry(span.trace, span.span, main)
        yield from (Entry(span.trace, span.span, draft) for draft in reading.more)
        if full:
            trace.overflow(reading.role)
            return
        self._spans += 1
        covered = self._enter(trace, span.span, span.parent, node, _edge_of(reading))
        yield from self._corrected(span.trace, trace, list(covered))

    @staticmethod
    def _is_elsewhere(reading: Reading, trace: Trace) -> bool:
        """Whether a span around or beneath it says the same already."""
        span = reading.span
        if reading.role == "inference":
            return span.span in trace.covered
        above = trace.nodes.get(span.parent)
        return (span.span, reading.tool) in trace.tools or (above is not None and above.tool == reading.tool)

    @staticmethod
    def _enter(trace: Trace, span: bytes, parent: bytes, node: Node, edge: Edge | None) -> Iterator[bytes]:
        if node != _LINK:
            trace.nodes[span] = node
        if node.role == "aggregate" and span not in trace.covered and not trace.blind:
            trace.aggregates.add(span)
        if node.tool:
            trace.tools.add((parent, node.tool))
        if edge is not None:
            trace.edges[span] = edge
        yield from trace.link(span, parent)
        if node.role == "inference":
            trace.inferences = True
            yield from trace.cover(parent)

    def _corrected(self, id: bytes, trace: Trace, spans: Iterable[bytes]) -> Iterator[Entry]:
        for span in spans:
            node = trace.nodes[span]
            trace.nodes[span] = _after(node, "correction")
            self.corrections += 1
            yield Entry(id, span, _correction(id, span, node))

    def _decide(self, id: bytes, trace: Trace) -> Iterator[Entry]:
        """Let exactly the aggregates count that should."""
        trace.dirty, wanted = False, trace.targets()
        self._watch(id)
        for span in sorted(trace.aggregates):
            node = trace.nodes[span]
            if node.counted and span not in wanted:
                yield from self._corrected(id, trace, [span])
            elif span in wanted and not node.counted:
                trace.nodes[span] = _after(node, "usage")
                yield Entry(id, span, _usage(id, span, node))

    def _make_room(self, now: float) -> Iterator[Entry]:
        """Decide on traces that have waited longest, and forget them, until there is room."""
        while self._spans + TRACE_WEIGHT * len(self._traces) > self._max_spans:
            id, trace = next(iter(self._traces.items()))
            self._keep(id)
            yield from self._decide(id, trace)
            del self._traces[id]
            self._spans -= len(trace.parents)
            self.forgotten += 1
            self.cut_short += now - trace.last < self._quiet
            self._past[id] = trace.inferences or trace.blind
            if len(self._past) > PAST_TRACES:
                del self._past[next(iter(self._past))]


_LINK = Node()


def _node_of(reading: Reading) -> Node:
    data = reading.main.data
    whose = {name: data[name] for name in WHOSE if name in data} if reading.role else {}
    return Node(
        reading.role,
        reading.usage,
        whose,
        counted=reading.role == "inference",
        ns=reading.main.ns if reading.role else 0,
        agent=reading.agent,
        hands_to=reading.hands_to,
        tool=reading.tool,
    )


def _edge_of(reading: Reading) -> Edge | None:
    if not reading.agent:
        return None
    return edge_of(reading.agent, reading.previous, reading.main.data, reading.span.start_ns, reading.span.parent)


def _after(node: Node, part: str) -> Node:
    """The node, once such an event about it is stored."""
    if part == "correction":
        return msgspec.structs.replace(node, counted=False, turns=node.turns + 1)
    return msgspec.structs.replace(node, counted=True) if part == "usage" else node


def _edges(id: bytes, trace: Trace) -> Iterator[Entry]:
    for span, edge, source in trace.resolved():
        kind = "invoke"
        if not source:
            source, kind = edge.previous, "sequence"
        if source and source != edge.to and not edge.said:
            data = {"from": source, "to": edge.to, "kind": kind, **edge.data, **_place(id, span)}
            yield Entry(id, span, Draft("agent.handoff", data, "-edge", edge.ns))


def _place(id: bytes, span: bytes) -> dict[str, str]:
    return {"trace_id": id.hex(), "span_id": span.hex()}


def _usage(id: bytes, span: bytes, node: Node) -> Draft:
    """The tokens that only an agent states, as a request: nobody knows how many there were."""
    data = {"model": "unknown", **node.whose, **figures(node.usage), "aggregate": True, **_place(id, span)}
    return Draft("llm.request.completed", data, _numbered("-usage", node), node.ns)


def _correction(id: bytes, span: bytes, node: Node) -> Draft:
    """The tokens of an earlier event, and its price, taken back."""
    taken = {name: -value for name, value in figures(node.usage).items() if value}
    if (cost := node.whose.get("cost_usd")) is not None:
        taken["cost_usd"] = 0 - cost  # a price of 0 is one as well: else that of the table would be taken back
    data = {"model": "unknown", **node.whose, **taken, "reason": "counted beneath", **_place(id, span)}
    return Draft("llm.usage.corrected", data, _numbered("-correction", node), node.ns)


def _numbered(suffix: str, node: Node) -> str:
    return f"{suffix}{node.turns}" if node.turns else suffix
