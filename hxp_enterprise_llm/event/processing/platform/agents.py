"""Agents: who is there, what they can do, who is at work, and on how many tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal, Self

import msgspec

from hxp_enterprise_llm.config.platform import PlatformLimitsConfig
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.processing.platform.names import OTHER, Kept, bump, clip, merge
from hxp_enterprise_llm.event.processing.platform.reading import Events, Registered, Task
from hxp_enterprise_llm.event.processing.sketch import Sketch

MAX_CAPABILITIES = 50
FORMS_HYPOTHESES = "hypothesis_formation"
"""What an agent can do that has formed one, in the words of those who register."""
_WORKFLOW = "workflow"
Ending = Literal["completed", "failed"]


class Agent(msgspec.Struct):
    """What is known of one agent."""

    first: float = 0.0
    last: float = 0.0
    """Times of its first and its last activity, in wall-clock seconds."""
    events: int = 0
    registered: float = 0.0
    """When it last registered; what it said then is what holds."""
    capabilities: list[str] = []
    observed: dict[str, int] = {}
    """What it was seen to do with success, and how often: tools by name, FORMS_HYPOTHESES."""
    framework: str | None = None
    version: str | None = None
    capacity: int | None = None
    started: int = 0
    completed: int = 0
    failed: int = 0
    as_workflow: int = 0
    """Of what began and ended, how often it was a workflow."""
    unnamed_started: int = 0
    unnamed_ended: int = 0
    """Tasks without an identifier of their run: only their numbers tell how many are open."""
    durations: Sketch = msgspec.field(default_factory=Sketch)
    """Milliseconds of its tasks."""

    @property
    def weight(self) -> int:
        return self.events

    @property
    def is_workflow(self) -> bool:
        """Whether it is known as a workflow alone: a crew or an application, whose tokens may bear its name."""
        runs = self.started + self.completed + self.failed
        return bool(self.as_workflow) and self.as_workflow == runs and not self.registered

    def seen(self, at: float, events: int = 1) -> None:
        """It was active."""
        if at < self.first or not self.events:
            self.first = at
        if at > self.last:
            self.last = at
        self.events += events

    def saw(self, capability: str, times: int) -> None:
        """It was seen to do something."""
        bump(self.observed, clip(capability), times, MAX_CAPABILITIES)

    def absorb(self, other: Self) -> None:
        """Add what another has done."""
        if other.events:
            self.seen(other.first, other.events)
            self.last = max(self.last, other.last)
        self.started += other.started
        self.completed += other.completed
        self.failed += other.failed
        self.as_workflow += other.as_workflow
        self.unnamed_started += other.unnamed_started
        self.unnamed_ended += other.unnamed_ended
        self.durations.absorb(other.durations)
        merge(self.observed, other.observed, MAX_CAPABILITIES)


class Run(msgspec.Struct):
    """One task: when it began and when it ended, as far as events have told."""

    agent: str
    started: float | None = None
    ended: float | None = None


class Agents(msgspec.Struct):
    """The registry. `runs` are tasks of which only one end is known yet, whichever came first."""

    kept: Kept[Agent] = msgspec.field(default_factory=Kept)
    runs: dict[str, Run] = {}
    forgotten_runs: int = 0
    """Tasks that were given up to keep their number within its bound."""

    def seen(self, name: str, at: float, limits: PlatformLimitsConfig, events: int = 1) -> Agent:
        """An agent was active."""
        agent = self.kept.at(clip(name), Agent, limits.agents)
        agent.seen(at, events)
        return agent

    def saw(self, names: Iterable[str], capability: str, limits: PlatformLimitsConfig) -> None:
        """Agents were seen to do something, each as often as it is named; their activity is told apart."""
        for name, times in Counter(names).items():
            self.kept.at(clip(name), Agent, limits.agents).saw(capability, times)

    def register(self, events: Events[Registered], limits: PlatformLimitsConfig) -> None:
        """Take registrations in; the latest holds, of two at the same time the one with the greater text."""
        for at, each in zip(*events, strict=True):
            agent = self.seen(each.agent, at, limits)
            capabilities = sorted({clip(text) for text in each.capabilities})[:MAX_CAPABILITIES]
            if (at, capabilities) >= (agent.registered, agent.capabilities):
                agent.registered, agent.capabilities = at, capabilities
                agent.framework, agent.version, agent.capacity = each.framework, each.version, each.capacity

    def start(self, events: Events[Task], limits: PlatformLimitsConfig) -> None:
        """Take begun tasks in."""
        for at, each in zip(*events, strict=True):
            agent = self.seen(each.agent, at, limits)
            agent.started += 1
            agent.as_workflow += each.kind == _WORKFLOW
            if each.run is None:
                agent.unnamed_started += 1
            else:
                key = _key(each.agent, each.run)
                run = self._run(key, each.agent, limits)
                run.started = at if run.started is None else min(run.started, at)
                self._close(key, run)

    def end(self, events: Events[Task], ending: Ending, limits: PlatformLimitsConfig) -> None:
        """Take ended tasks in."""
        for at, each in zip(*events, strict=True):
            agent = self.seen(each.agent, at, limits)
            agent.as_workflow += each.kind == _WORKFLOW
            if ending == "completed":
                agent.completed += 1
            else:
                agent.failed += 1
            if each.duration_ms is not None:
                agent.durations.update([each.duration_ms])
            if each.run is None:
                agent.unnamed_ended += 1
            else:
                key = _key(each.agent, each.run)
                run = self._run(key, each.agent, limits)
                run.ended = at
                self._close(key, run)

    def _run(self, key: str, agent: str, limits: PlatformLimitsConfig) -> Run:
        found = self.runs.get(key)
        if found is None:
            if len(self.runs) >= limits.open_tasks:
                # The one of which was heard first is the likeliest never to be heard of again.
                del self.runs[next(iter(self.runs))]
                self.forgotten_runs += 1
            found = self.runs[key] = Run(clip(agent))
        return found

    def _close(self, key: str, run: Run) -> None:
        if run.started is not None and run.ended is not None:
            del self.runs[key]

    def forget(self, before: float) -> None:
        """Give up tasks whose one known end lies before a moment: the other will not come."""
        for key in [key for key, run in self.runs.items() if (run.started or run.ended or 0.0) < before]:
            del self.runs[key]

    def open_tasks(self, since: float) -> dict[str, int]:
        """How many tasks each agent works on; those that began before `since` are taken for dead."""
        found: dict[str, int] = {}
        for run in self.runs.values():
            if run.started is not None and run.started >= since:
                found[run.agent] = found.get(run.agent, 0) + 1
        for name, agent in self.kept.named.items():
            left = agent.unnamed_started - agent.unnamed_ended
            if left > 0 and agent.last >= since:
                found[name] = found.get(name, 0) + left
        return found


def _key(agent: str, run: str) -> str:
    return f"{clip(agent)}\n{clip(run)}"


def active_view(agents: Agents, now: float, within: float, timeout: float) -> dict[str, Any]:
    """What GET /api/v2/agents/active answers: who was active within so many seconds, the busiest first."""
    found = [each for each in _all(agents, now, within, timeout)[0] if each["status"] == "active"]
    return {"active_count": len(found), "agents": found, "active_within_s": within}


def all_view(agents: Agents, now: float, within: float, timeout: float) -> dict[str, Any]:
    """What GET /api/v2/agents answers."""
    found, workflows = _all(agents, now, within, timeout)
    return {
        "agents": found,
        "workflows": workflows,
        "active_count": sum(each["status"] == "active" for each in found),
        "other_events": agents.kept.rest.events if agents.kept.rest else 0,
        "folded": agents.kept.folded,
    }


def _all(agents: Agents, now: float, within: float, timeout: float) -> tuple[list[dict[str, Any]], ...]:
    """The agents, and the workflows; the busiest first."""
    load = agents.open_tasks(now - timeout)
    parts: tuple[list[dict[str, Any]], ...] = [], []
    for name, agent in agents.kept.named.items():
        parts[agent.is_workflow].append(_view(name, agent, load.get(name, 0), now - within))
    for part in parts:
        part.sort(key=lambda each: (-each["current_load"], -each["events"], each["id"]))
    return parts


def _capabilities(agent: Agent) -> dict[str, Any]:
    """What it says that it can do, else what it was seen to do, the most frequent first; and which of both it is."""
    if agent.capabilities:
        return {"capabilities": agent.capabilities, "capabilities_from": "registered"}
    seen = sorted((-times, name) for name, times in agent.observed.items() if name != OTHER)
    return {"capabilities": [name for _, name in seen], "capabilities_from": "observed" if seen else None}


def _view(name: str, agent: Agent, load: int, since: float) -> dict[str, Any]:
    p95 = agent.durations.quantile(0.95)
    return {
        "id": name,
        "status": "active" if agent.last > since else "idle",
        "last_activity": rfc3339(agent.last),
        "current_load": load,
        **_capabilities(agent),
        "framework": agent.framework,
        "version": agent.version,
        "capacity": agent.capacity,
        "first_activity": rfc3339(agent.first),
        "registered_at": rfc3339(agent.registered) if agent.registered else None,
        "tasks": {"started": agent.started, "completed": agent.completed, "failed": agent.failed},
        "task_p95_ms": p95,
        "events": agent.events,
    }
