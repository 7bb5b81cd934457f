"""Hypotheses: no convention has them. Span events and records of their names are taken, and evaluations by label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hxp_enterprise_llm.event.sources.genai import names
from hxp_enterprise_llm.event.sources.genai.generic import agent_of, identified, service_of
from hxp_enterprise_llm.event.sources.genai.model import Draft, Span
from hxp_enterprise_llm.event.sources.genai.values import given, number, text

TYPES = frozenset({"hypothesis.formed", "hypothesis.validated", "hypothesis.refuted"})
EVALUATION = "gen_ai.evaluation.result"
MOST_EVENTS = 32
"""Span events of one span that become hypotheses."""
_LABELS = {
    **dict.fromkeys(("pass", "passed", "true", "yes", "supported", "validated", "correct"), "hypothesis.validated"),
    **dict.fromkeys(("fail", "failed", "false", "no", "unsupported", "refuted", "incorrect"), "hypothesis.refuted"),
}


def of_span(span: Span) -> Iterator[Draft]:
    """The hypotheses among the events of a span."""
    agent, seen = agent_of(span) or service_of(span), 0
    for at, event in enumerate(span.events):
        made = hypothesis(event.name, event.attributes, agent)
        if made and seen < MOST_EVENTS:
            seen += 1
            within = span.start_ns <= event.ns <= span.end_ns
            yield Draft(made[0], made[1] | identified(span), f"-event{at}", event.ns if within else span.end_ns)


def hypothesis(name: str, attributes: Mapping[str, Any], agent: str) -> tuple[str, dict[str, Any]] | None:
    """Type and data of the hypothesis that a named event is; None when it is none."""
    type = name if name in TYPES else ""
    if name == EVALUATION:
        type = _LABELS.get(text(attributes, ("gen_ai.evaluation.score.label",)).lower(), "")
    about = text(attributes, ("hypothesis", "hypothesis.id", "gen_ai.evaluation.name"))
    agent = text(attributes, ("agent", *names.AGENT)) or agent
    if not type or not about or not agent:
        return None
    said = number(next((attributes[each] for each in _CONFIDENCE if each in attributes), None))
    sure = said if said is not None and 0 <= said <= 1 else None
    domain = text(attributes, ("domain", "hypothesis.domain"))
    return type, {"hypothesis": about, "agent": agent} | given(domain=domain, confidence=sure)


_CONFIDENCE = ("confidence", "hypothesis.confidence", "gen_ai.evaluation.score.value")
