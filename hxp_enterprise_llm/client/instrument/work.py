"""Agents, calls of models, calls of tools."""

from __future__ import annotations

from typing import Any

from hxp_enterprise_llm.client.instrument.context import Work, within
from hxp_enterprise_llm.client.instrument.scope import Emits, Scope, failure, short
from hxp_enterprise_llm.client.instrument.usage import tokens_of
from hxp_enterprise_llm.runtime.clock import Clock


class AgentRun(Scope):
    """An agent at a task. Inside another agent's run it is a hand-over from that one, reported with its outcome."""

    def __init__(
        self, emitter: Emits, clock: Clock, agent: str, *, task: str, session: str, user: str, query: str
    ) -> None:
        super().__init__(emitter, clock)
        self._agent, self._task = agent, short(task)
        self._around = {"session": session, "user": user, "query": short(query)}

    def _place(self, outer: Work | None) -> Work:
        return within(outer, agent=self._agent, run=self._clock.new_id(), **self._around)

    def _begun(self) -> None:
        self._emit("agent.started", task=self._task)

    def _completed(self) -> None:
        self._emit("agent.completed", duration_ms=self.elapsed_ms)
        self._handed_over("success")

    def _failed(self, error: BaseException) -> None:
        self._emit("agent.failed", duration_ms=self.elapsed_ms, **failure(error))
        self._handed_over("failure")

    def _handed_over(self, outcome: str) -> None:
        if self._outer is None or not self._outer.agent or self._outer.agent == self._agent:
            return
        hand_over = {"from": self._outer.agent, "to": self._agent, "kind": "delegation"}
        self._emit("agent.handoff", task=self._task, outcome=outcome, **hand_over)


class ModelCall(Scope):
    """A call of a language model; tell it what the answer cost."""

    def __init__(self, emitter: Emits, clock: Clock, model: str, *, provider: str, tool: str) -> None:
        super().__init__(emitter, clock)
        self._model, self._provider, self._tool = model, provider, tool
        self._said: dict[str, Any] = {}

    def _begun(self) -> None:
        self._said = {}

    def tokens(
        self,
        input: int | None = None,
        output: int | None = None,
        *,
        cached: int | None = None,
        cache_write: int | None = None,
        reasoning: int | None = None,
    ) -> None:
        """Tokens of the call: `input` with those from a cache, `output` with those of reasoning."""
        self.usage(
            {
                "input_tokens": input,
                "output_tokens": output,
                "cached_input_tokens": cached,
                "cache_write_tokens": cache_write,
                "reasoning_tokens": reasoning,
            }
        )

    def usage(self, usage: Any) -> None:
        """The `usage` of a provider's answer, as its library gives it."""
        self._safely(lambda: self._said.update(tokens_of(usage)))

    def first_token(self) -> None:
        """The first token has come; only the first time counts."""
        self._said.setdefault("time_to_first_token_ms", self.elapsed_ms)

    def finished(self, reason: str = "", *, model: str = "", cost_usd: float | None = None) -> None:
        """Why the answer ended, which model answered in fact, and the price when the provider names it."""
        said = {"finish_reason": reason, "model": model, "cost_usd": cost_usd}
        self._said.update({name: value for name, value in said.items() if value not in ("", None)})

    def _completed(self) -> None:
        self._report("llm.request.completed")

    def _failed(self, error: BaseException) -> None:
        self._report("llm.request.failed", **failure(error))

    def _report(self, type: str, **fields: Any) -> None:
        known = {"model": self._model, "provider": self._provider, "tool": self._tool, **self._said}
        if "input_tokens" in known and "output_tokens" in known:
            known["total_tokens"] = known["input_tokens"] + known["output_tokens"]
        self._emit(type, latency_ms=self.elapsed_ms, **known, **fields)


class ToolCall(Scope):
    """A call of a tool."""

    def __init__(self, emitter: Emits, clock: Clock, tool: str) -> None:
        super().__init__(emitter, clock)
        self._tool = tool

    def _completed(self) -> None:
        self._emit("tool.call.completed", tool=self._tool, success=True, duration_ms=self.elapsed_ms)

    def _failed(self, error: BaseException) -> None:
        self._emit("tool.call.failed", tool=self._tool, duration_ms=self.elapsed_ms, **failure(error))
