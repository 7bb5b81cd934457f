"""The life of an alert: ok → pending → firing → recovering → ok. Pure: a step takes a state and answers the next."""

from __future__ import annotations

from typing import Literal, NamedTuple

from hxp_enterprise_llm.config.rules import NoDataPolicy
from hxp_enterprise_llm.event.notifications.rules.conditions import EvaluationError, NoData, Outcome

Phase = Literal["ok", "pending", "firing", "recovering"]
TransitionKind = Literal["pending", "firing", "resolved"]
RULE_CHANGED, NO_DATA, MISSING_SERIES = "rule_changed", "no_data", "missing_series"
"""Reasons for which an alert ends, or fires, beside its condition."""


class Moment(NamedTuple):
    """A point in time on both clocks, in seconds: `wall` is shown, `mono` measures.

    `mono` counts the time in which somebody watched, over all runs: nobody can set it, and it stands still between
    two runs. So what is stored needs no translation after a restart.
    """

    wall: float
    mono: float

    def elapsed(self, now: Moment) -> float:
        """Seconds from here to `now`, whatever was done to the wall clock meanwhile."""
        return now.mono - self.mono


class Timing(NamedTuple):
    """Seconds that a condition must hold before the alert fires, and be false before it resolves; and what becomes of
    it when values have been missing for `no_data_after` seconds."""

    hold: float = 0.0
    keep_firing: float = 0.0
    no_data: NoDataPolicy = "keep"
    no_data_after: float = 60.0


class AlertState(NamedTuple):
    """Where an alert is. Out of `ok`, it has an episode and knows since when the condition held."""

    phase: Phase
    since: Moment
    """When the phase began."""
    episode: str = ""
    active: Moment | None = None
    """When the condition became true in this episode."""
    fired: Moment | None = None
    missing: Moment | None = None
    """Since when its metrics have had no value."""

    @property
    def open(self) -> bool:
        """Whether people were told, and have not been told its end."""
        return self.phase in ("firing", "recovering")


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
    """The next state and what to tell. With an error an alert stays what it was."""
    if isinstance(outcome, NoData):
        return _lacks(state, outcome, now, timing, fingerprint)
    if isinstance(outcome, EvaluationError):
        return state, ()
    if state.missing is not None:
        state = state._replace(missing=None)
    return _holds(state, now, timing, fingerprint) if outcome else _fails(state, now, timing)


def _holds(state: AlertState, now: Moment, timing: Timing, fingerprint: str) -> Step:
    if state.open:
        return _goes_on(state, now), ()
    told: tuple[Transition, ...] = ()
    if state.phase == "ok":
        state = AlertState("pending", now, episode_id(fingerprint, now), now)
        if timing.hold > 0:
            told = (_told("pending", state, now),)
    if (state.active or now).elapsed(now) < timing.hold:
        return state, told
    state = state._replace(phase="firing", since=now, fired=now)
    return state, (*told, _told("firing", state, now))


def _goes_on(state: AlertState, now: Moment) -> AlertState:
    return state if state.phase == "firing" else state._replace(phase="firing", since=state.fired or now)


def _fails(state: AlertState, now: Moment, timing: Timing) -> Step:
    if not state.open:
        return (state if state.phase == "ok" else AlertState("ok", now)), ()
    if state.phase == "firing":
        state = state._replace(phase="recovering", since=now)
    if state.since.elapsed(now) < timing.keep_firing:
        return state, ()
    return end(state, now, "")


def _lacks(state: AlertState, outcome: NoData, now: Moment, timing: Timing, fingerprint: str) -> Step:
    """Without values an alert stays what it was for a while; then its rule says what becomes of it."""
    if state.missing is None:
        state = state._replace(missing=now)
    if (state.missing or now).elapsed(now) < timing.no_data_after:
        return state, ()
    if outcome.vanished:
        return end(state, now, MISSING_SERIES)
    if timing.no_data == "ok":
        return end(state, now, NO_DATA)
    if timing.no_data == "keep":
        return state, ()
    if state.open:
        return _goes_on(state, now), ()
    if state.phase == "ok":
        state = state._replace(episode=episode_id(fingerprint, now), active=now)
    state = state._replace(phase="firing", since=now, fired=now)
    return state, (_told("firing", state, now, NO_DATA),)


def end(state: AlertState, now: Moment, reason: str) -> Step:
    """It is over, for this reason: what fired is resolved, the rest is forgotten."""
    over = AlertState("ok", now)
    return over, ((_told("resolved", state, now, reason),) if state.open else ())


def _told(kind: TransitionKind, state: AlertState, now: Moment, reason: str = "") -> Transition:
    return Transition(kind, state.episode, now, (state.active or now).wall, reason)
