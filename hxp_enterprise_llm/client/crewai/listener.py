"""`CrewListener(emitter)`: from then on, what crews do in this process becomes events. Needs CrewAI 1.15 or later."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Any, Protocol

from crewai import __version__ as crewai_version
from crewai import events as crewai_events
from crewai.events import crewai_event_bus

from hxp_enterprise_llm.client.crewai.translate import Translator
from hxp_enterprise_llm.client.instrument.scope import Emits

log = logging.getLogger("hxp.client")

CLASSES = (
    "CrewKickoffStartedEvent",
    "TaskStartedEvent",
    "FlowStartedEvent",
    "AgentExecutionStartedEvent",
    "AgentExecutionCompletedEvent",
    "AgentExecutionErrorEvent",
    "LiteAgentExecutionStartedEvent",
    "LiteAgentExecutionCompletedEvent",
    "LiteAgentExecutionErrorEvent",
    "LLMCallStartedEvent",
    "LLMCallCompletedEvent",
    "LLMCallFailedEvent",
    "LLMStreamChunkEvent",
    "ToolUsageStartedEvent",
    "ToolUsageFinishedEvent",
    "ToolUsageErrorEvent",
    "MemoryQueryStartedEvent",
    "MemoryQueryCompletedEvent",
    "MemorySaveStartedEvent",
    "MemorySaveCompletedEvent",
    "KnowledgeRetrievalStartedEvent",
    "KnowledgeRetrievalCompletedEvent",
    "AgentReasoningStartedEvent",
    "AgentReasoningCompletedEvent",
)
"""CrewAI calls handlers of the exact class only: each is named."""


class Flushes(Emits, Protocol):
    """An emitter whose events can be waited for."""

    def flush(self, timeout: float = 10.0) -> bool: ...


class CrewListener:
    """Listens until it is closed. Nothing that goes wrong here reaches the crew."""

    def __init__(self, emitter: Flushes) -> None:
        self._emitter = emitter
        self._translator = Translator(crewai_version)
        self._lock = threading.Lock()
        self._classes = [found for name in CLASSES if (found := getattr(crewai_events, name, None)) is not None]
        missing = [name for name in CLASSES if not hasattr(crewai_events, name)]
        if missing:
            log.warning("CrewAI %s has no %s: what they tell is not reported", crewai_version, ", ".join(missing))
        for each in self._classes:
            crewai_event_bus.on(each)(self._take)

    def _take(self, source: Any, event: Any) -> None:
        try:
            with self._lock:
                made = self._translator.take(event)
            for each in made:
                self._emitter.emit(each)
        except Exception:  # the crew goes on, whatever its events are like
            log.exception("an event of CrewAI could not be reported: %s", type(event).__name__)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until all that crews have done so far is stored; False when that takes longer (seconds)."""
        handled = crewai_event_bus.flush(timeout=timeout)
        with self._lock:
            held = self._translator.rest()
        for each in held:
            self._emitter.emit(each)
        return self._emitter.flush(timeout) and handled is not False

    def close(self, timeout: float = 10.0) -> bool:
        """Listen no longer; then as `flush`. The emitter stays open."""
        flushed = self.flush(timeout)
        for each in self._classes:
            crewai_event_bus.off(each, self._take)
        return flushed

    def __enter__(self) -> CrewListener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
