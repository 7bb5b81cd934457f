"""The life of an alert: ok → pending → firing → recovering → ok. Pure: a step takes a state and answers the next."""

from __future__ import annotations

from typing import Literal, NamedTuple

from hxp_enterprise_llm.event.notifications.conditions import Outcome

Phase = Literal["ok", "pending", "firing", "recovering"]
TransitionKind = Literal["pending", "firing", "resolved"]
RULE_CHANGED = "rule_changed"


class Moment(NamedTuple):
    """A point in time on both clocks, in seconds: `wall` is shown and stored, `mono` measures."""

    wall: float
    mono: float

    def elapsed(self, now: Moment) -> float:
        """Seconds from here to `now`, whatever was done to the wall clock meanwhile."""
        return now.mono - self.mono


class Timing(NamedTuple):
    """Seconds that a condition must hold before the alert fires, and be false before it resolves."""

    hold: float = 0.0
    keep_firing: float = 0.0


class AlertState(NamedTuple):
    """Where an alert is. Out of `ok`, it has an episode and knows since when the condition held."""

    phase: Phase
    since: Moment
    """When the phase began."""
    episode: str = ""
    active: Moment | None = None
    """When the condition became true in this episode."""
    fired: Moment | None = None


class Transition(NamedTuple):
    """Something to tell about an alert."""

    kind: TransitionKind
    episode: str
    at: Moment
    since: float
    """Wall-clock seconds since which the condition held."""
    reason: str = ""


Step = tuple[AlertState, tuple[Transition, ...]]


def episode_id(fingerprint: str, began: Moment) -> str:
    """One id from the first true evaluation to the resolve: fingerprint and the time in milliseconds."""
    return f"{fingerprint}-{int(began.wall * 1000)}"


def step(state: AlertState, outcome: Outcome, now: Moment, timing: Timing, fingerprint: str) -> Step:
    """The next state and what to tell. Without data, or with an error, an alert stays what it was."""
    if outcome is True:
        return _holds(state, now, timing, fingerprint)
    if outcome is False:
        return _fails(state, now, timing)
    return state, ()


def _holds(state: AlertState, now: Moment, timing: Timing, fingerprint: str) -> Step:
    if state.phase == "firing":
        return state, ()
    if state.phase == "recovering":
        return state._replace(phase="firing", since=state.fired or now), ()
    told: tuple[Transition, ...] = ()
    if state.phase == "ok":
        state = AlertState("pending", now, episode_id(fingerprint, now), now)
        if timing.hold > 0:
            told = (_told("pending", state, now),)
    if (state.active or now).elapsed(now) < timing.hold:
        return state, told
    state = state._replace(phase="firing", since=now, fired=now)
    return state, (*told, _told("firing", state, now))


def _fails(state: AlertState, now: Moment, timing: Timing) -> Step:
    if state.phase == "ok":
        return state, ()
    if state.phase == "pending":
        return AlertState("ok", now), ()
    if state.phase == "firing":
        state = state._replace(phase="recovering", since=now)
    if state.since.elapsed(now) < timing.keep_firing:
        return state, ()
    return AlertState("ok", now), (_told("resolved", state, now),)


def end(state: AlertState, now: Moment) -> Step:
    """The rule is gone or another one: what fired is resolved with that reason, the rest is forgotten."""
    if state.phase in ("firing", "recovering"):
        return AlertState("ok", now), (_told("resolved", state, now)._replace(reason=RULE_CHANGED),)
    return AlertState("ok", now), ()


def _told(kind: TransitionKind, state: AlertState, now: Moment) -> Transition:
    return Transition(kind, state.episode, now, (state.active or now).wall)


def restored(wall: float | None, updated: float, now: Moment) -> Moment | None:
    """A stored time on this run's clocks. The time since the last update, when nobody watched, is not counted."""
    return None if wall is None else Moment(wall, now.mono - max(0.0, updated - wall))
