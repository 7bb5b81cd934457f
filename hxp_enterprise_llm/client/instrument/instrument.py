"""`Instrument`: one line for each thing that an agent does.

watch = Instrument(Emitter("http://127.0.0.1:9100", spool="spool"))
with watch.agent("researcher", task="summarise the incident"):
    with watch.llm("gpt-4o-mini", provider="openai") as call:
        call.usage(client.chat.completions.create(...).usage)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hxp_enterprise_llm.client.instrument.context import current
from hxp_enterprise_llm.client.instrument.hypothesis import Hypothesis
from hxp_enterprise_llm.client.instrument.lookup import KnowledgeLookup, MemoryLookup
from hxp_enterprise_llm.client.instrument.scope import Emits, Reporter
from hxp_enterprise_llm.client.instrument.work import AgentRun, ModelCall, ToolCall
from hxp_enterprise_llm.runtime.clock import Clock, SystemClock


class Instrument:
    """Helpers that report to an emitter. Each is for `with`, `async with` and `@`, in threads and tasks alike.

    Work that is begun inside other work knows that: agent, run, session, user and trace are handed down. An exception
    makes a failed event and goes on its way; the helpers themselves raise nothing and wait for nothing.
    """

    def __init__(self, emitter: Emits, *, clock: Clock | None = None) -> None:
        self._parts = (emitter, clock or SystemClock())

    def register(
        self,
        agent: str,
        capabilities: Sequence[str] = (),
        *,
        framework: str = "",
        version: str = "",
        capacity: int | None = None,
    ) -> None:
        """Make an agent known, and what it can do; `capacity`: tasks that it takes at once."""
        known = {"agent": agent, "framework": framework, "version": version, "capacity": capacity}
        Reporter(*self._parts, current()).report("agent.registered", capabilities=list(capabilities), **known)

    def agent(self, agent: str, *, task: str = "", session: str = "", user: str = "", query: str = "") -> AgentRun:
        """An agent at a task: `agent.started`, then `agent.completed` or `agent.failed`.

        `query` is the question of a user to which the work belongs. Inside another agent: `agent.handoff` as well.
        """
        return AgentRun(*self._parts, agent, task=task, session=session, user=user, query=query)

    def llm(self, model: str, *, provider: str = "", tool: str = "") -> ModelCall:
        """A call of a model: `llm.request.completed` or `llm.request.failed`. `tool`: on whose behalf it is made."""
        return ModelCall(*self._parts, model, provider=provider, tool=tool)

    def tool(self, tool: str) -> ToolCall:
        """A call of a tool: `tool.call.completed` or `tool.call.failed`."""
        return ToolCall(*self._parts, tool)

    def memory(self, query: str, *, operation: str = "read") -> MemoryLookup:
        """A look-up in the tiers of memory: a `memory.tier.access` for each tier that was asked."""
        return MemoryLookup(*self._parts, query, operation=operation)

    def look_up(self, query: str, tiers: Mapping[str, Callable[[], Any]]) -> Any:
        """Ask the tiers in their order, `{"redis": read, "postgres": search, …}`, until one has something."""
        with self.memory(query) as lookup:
            for name, read in tiers.items():
                result = lookup.ask(name, read)
                if lookup.served_by:
                    return result
        return None

    def knowledge(self, query: str, *, collection: str = "") -> KnowledgeLookup:
        """A search in knowledge: `knowledge.access` for each item found, `knowledge.miss` when there is none."""
        return KnowledgeLookup(*self._parts, query, collection=collection)

    def hypothesis(
        self, hypothesis: str, *, agent: str = "", domain: str = "", confidence: float | None = None
    ) -> Hypothesis:
        """A hypothesis is formed now: `hypothesis.formed`; what it answers takes `validated()` or `refuted()`."""
        return Hypothesis(*self._parts, hypothesis, agent=agent, domain=domain, confidence=confidence)
