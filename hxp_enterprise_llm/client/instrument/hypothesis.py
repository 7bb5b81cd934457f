"""Hypotheses: formed, later validated or refuted."""

from __future__ import annotations

from typing import Any

from hxp_enterprise_llm.client.instrument.context import current
from hxp_enterprise_llm.client.instrument.scope import Emits, Reporter, short
from hxp_enterprise_llm.runtime.clock import Clock

NOBODY = "unknown"
"""Whose a hypothesis is that no agent's work is around."""


class Hypothesis(Reporter):
    """A hypothesis, reported as formed when it is made; say later what became of it."""

    def __init__(
        self,
        emitter: Emits,
        clock: Clock,
        hypothesis: str,
        *,
        agent: str,
        domain: str,
        confidence: float | None,
    ) -> None:
        """`confidence` is between 0 and 1."""
        super().__init__(emitter, clock, current())
        self._known: dict[str, Any] = {"hypothesis": short(hypothesis), "domain": domain}
        if agent or not (self.work and self.work.agent):
            self._known["agent"] = agent or NOBODY
        self._report("hypothesis.formed", confidence)

    def validated(self, confidence: float | None = None) -> None:
        """It has proved right."""
        self._report("hypothesis.validated", confidence)

    def refuted(self, confidence: float | None = None) -> None:
        """It has proved wrong."""
        self._report("hypothesis.refuted", confidence)

    def _report(self, type: str, confidence: float | None) -> None:
        self.report(type, confidence=confidence, **self._known)
