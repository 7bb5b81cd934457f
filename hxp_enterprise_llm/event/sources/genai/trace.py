"""One trace as far as it has arrived: who is beneath whom, which spans state tokens, and which of them are counted.

Spans arrive in any order, so a parent may be named long before it is there. `covered` holds every span, arrived or not,
beneath which a call of a model states tokens; it only grows, and each span enters it once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from hxp_enterprise_llm.event.sources.genai.model import Role, Usage

DEEPEST = 256
"""Steps towards the root that are looked at for an agent above an agent."""


class Node(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of a span that is more than a link."""

    role: Role = ""
    usage: Usage = Usage()
    whose: dict[str, Any] = {}
    """Model, agent and the like, for the events about its tokens."""
    counted: bool = False
    ns: int = 0
    """When its tokens were spent, for the events about them."""
    turns: int = 0
    """How often its tokens were taken back."""
    agent: str = ""
    hands_to: str = ""
    """The agent that it hands work over to: what runs beneath it is that one's."""
    tool: str = ""


class Edge(msgspec.Struct, gc=False):
    """The way from an agent's run up to the agent above it, as far as it is known."""

    to: str
    previous: str
    data: dict[str, Any]
    ns: int
    at: bytes
    """The span that is looked at next; it may not have arrived."""
    steps: int = 0
    said: bool = False
    """Whether a span on the way hands the work over itself."""


class Trace:
    """The tree of one trace."""

    __slots__ = (
        "aggregates",
        "blind",
        "covered",
        "dirty",
        "edges",
        "first",
        "inferences",
        "last",
        "nodes",
        "parents",
        "since",
        "tools",
    )

    def __init__(self, now: float) -> None:
        """`now`: monotonic seconds."""
        self.parents: dict[bytes, bytes] = {}
        self.nodes: dict[bytes, Node] = {}
        self.covered: set[bytes] = set()
        self.aggregates: set[bytes] = set()
        """Aggregates with tokens that no call of a model beneath them states."""
        self.tools: set[tuple[bytes, str]] = set()
        """(parent, tool) of each call of a tool."""
        self.edges: dict[bytes, Edge] = {}
        self.inferences = False
        """Whether any call of a model in it has stated tokens."""
        self.blind = False
        """Whether calls of models stated tokens at places that are not known any more: no aggregate may count then."""
        self.dirty = False
        """Whether what counts of the aggregates has to be looked at again."""
        self.first: int | None = None
        """Offset of its first event, once stored."""
        self.last = now
        self.since = now
        """When it became dirty."""

    def copy(self) -> Trace:
        """The same memory, to go back to."""
        twin = Trace(self.last)
        twin.parents, twin.nodes, twin.covered = self.parents.copy(), self.nodes.copy(), self.covered.copy()
        twin.aggregates, twin.tools = self.aggregates.copy(), self.tools.copy()
        twin.edges = {span: msgspec.structs.replace(edge) for span, edge in self.edges.items()}
        twin.inferences, twin.blind, twin.dirty = self.inferences, self.blind, self.dirty
        twin.first, twin.since = self.first, self.since
        return twin

    def link(self, span: bytes, parent: bytes) -> Iterator[bytes]:
        """A span has arrived; answers the counted spans that are covered now."""
        self.parents[span] = parent
        if self.aggregates:
            self.soil()
        yield from self.cover(parent) if span in self.covered else ()

    def cover(self, span: bytes) -> Iterator[bytes]:
        """A call of a model beneath this span states tokens; answers the counted spans that are covered now."""
        while span and span not in self.covered:
            self.covered.add(span)
            if span in self.aggregates:
                self.aggregates.discard(span)
                self.soil()
            if (node := self.nodes.get(span)) is not None and node.counted:
                yield span
            span = self.parents.get(span, b"")

    def soil(self) -> None:
        """What counts of the aggregates has to be looked at again."""
        if not self.dirty:
            self.dirty, self.since = True, self.last

    def overflow(self, role: Role) -> None:
        """A span for which there is no room."""
        if role == "inference":
            self.blind = True
            self.aggregates = {span for span in self.aggregates if self.nodes[span].counted}

    def targets(self) -> frozenset[bytes]:
        """The aggregates that count: the outermost ones without a call of a model that states tokens beneath them."""
        return frozenset(span for span in self.aggregates if not self._is_within(span))

    def _is_within(self, span: bytes) -> bool:
        above, steps = self.parents.get(span, b""), 0
        while above and steps < DEEPEST and above != span:
            if above in self.aggregates:
                return True
            above, steps = self.parents.get(above, b""), steps + 1
        return False

    def resolved(self) -> Iterator[tuple[bytes, Edge, str]]:
        """Agents whose way up is known now: the span, its edge, and the agent above; empty when there is none."""
        for span, edge in list(self.edges.items()):
            if (source := self._climb(edge)) is not None:
                del self.edges[span]
                yield span, edge, source

    def _climb(self, edge: Edge) -> str | None:
        while edge.at:
            node = self.nodes.get(edge.at)
            if node is not None and node.agent:
                return node.agent
            if edge.at not in self.parents:
                return None
            edge.said |= node is not None and bool(node.hands_to)
            edge.at, edge.steps = self.parents[edge.at], edge.steps + 1
            if edge.steps > DEEPEST:
                return ""
        return ""


def edge_of(agent: str, previous: str, data: Mapping[str, Any], ns: int, parent: bytes) -> Edge:
    """The edge to an agent that runs beneath `parent`, with what its event says of whom it is for."""
    common = {name: data[name] for name in ("user", "session", "query") if name in data}
    return Edge(agent, previous, common, ns, parent)
