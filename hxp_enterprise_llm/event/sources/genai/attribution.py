"""Whose tokens and calls they are, where a span does not say so: those of the agent that it ran beneath.

Only what has arrived is known. A span that comes long before the agent's own, which comes at the end of the run, is
that of its service.
"""

from __future__ import annotations

from collections.abc import Sequence

from hxp_enterprise_llm.event.sources.genai.generic import service_of
from hxp_enterprise_llm.event.sources.genai.model import Draft, Reading, Span
from hxp_enterprise_llm.event.sources.genai.trace import DEEPEST, Trace

_ACTS = ("llm.", "tool.", "memory.", "knowledge.")


class Arriving:
    """The spans that arrive together, whichever comes first."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._above = {
            each.span.trace + each.span.span: (each.span.parent, each.agent or each.hands_to) for each in readings
        }

    def attribute(self, reading: Reading, trace: Trace) -> None:
        """Fill in the agent of what was read, where it is missing and can be known."""
        drafts = [draft for draft in (reading.main, *reading.more) if _lacks(draft)]
        if not drafts:
            return
        agent = self._agent(reading.span, trace)
        service = service_of(reading.span)
        for draft in drafts:
            if draft.type == "agent.handoff":
                draft.data["from"] = agent or service or "unknown"
            # The tokens are somebody's; a tool or a store is used by nobody rather than by the wrong one.
            elif found := agent or (service if draft.type.startswith("llm.") else ""):
                draft.data["agent"] = found

    def _agent(self, span: Span, trace: Trace) -> str:
        at = span.parent
        for _ in range(DEEPEST):
            if not at:
                break
            parent, agent = self._look(span.trace + at, at, trace)
            if agent:
                return agent
            at = parent
        return ""

    def _look(self, key: bytes, at: bytes, trace: Trace) -> tuple[bytes, str]:
        if (found := self._above.get(key)) is not None:
            return found
        node = trace.nodes.get(at)
        return trace.parents.get(at, b""), (node.agent or node.hands_to) if node is not None else ""


def _lacks(draft: Draft) -> bool:
    return ("agent" not in draft.data and draft.type.startswith(_ACTS)) or draft.data.get("from") == ""
