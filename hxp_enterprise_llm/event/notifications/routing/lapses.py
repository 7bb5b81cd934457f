"""What happens because time goes by: alerts, acknowledgements and silences run out, times of the day begin. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hxp_enterprise_llm.event.notifications.instant import Instant
from hxp_enterprise_llm.event.notifications.model import Notification
from hxp_enterprise_llm.event.notifications.routing.draft import State
from hxp_enterprise_llm.event.notifications.routing.intake import decision
from hxp_enterprise_llm.event.notifications.routing.model import Known, Silence
from hxp_enterprise_llm.event.notifications.routing.notices import SilenceEvent, log_only, silence_notice
from hxp_enterprise_llm.event.notifications.routing.pipeline import Pass
from hxp_enterprise_llm.event.notifications.routing.silences import KEEP_SECONDS, silenced_by

TIMED_OUT = "timed_out"
_MINUTE = 60.0


def boundary(state: State, timed: bool, notice: float, now: Instant) -> float:
    """Wall-clock seconds of the next such moment; infinity when there is none."""
    wall = now.wall
    moments = [wall - wall % _MINUTE + _MINUTE] if timed and state.groups else []
    for known in state.alerts.values():
        moments += [wall + known.ack.left(now)] if known.ack else []
        moments += [known.expires - now.steady + wall] if known.expires is not None and known.fires else []
    for silence in state.silences.values():
        moments += _moments(silence, notice, wall)
    return min(moments, default=float("inf"))


def _moments(silence: Silence, notice: float, wall: float) -> Iterator[float]:
    if wall < silence.starts_at:
        yield silence.starts_at
    if _wants_notice(silence, notice):
        yield silence.ends_at - notice
    yield silence.ends_at if silence.said != "ended" else silence.ends_at + KEEP_SECONDS


def _wants_notice(silence: Silence, notice: float) -> bool:
    """Whether its end is still to be announced. One that is as short as the notice needs none."""
    return silence.said == "" and 0 < notice < silence.ends_at - silence.starts_at


def lapse(work: Pass, state: State, notice: float) -> None:
    """Everything that has run out by now; whatever holds alerts back is looked at anew."""
    now = work.now
    for known in list(state.alerts.values()):
        if known.ack is not None and known.ack.left(now) <= 0:
            _unacknowledge(work, known)
        if known.expires is not None and known.expires <= now.steady and known.fires:
            ended = timed_out(known.notification, now.wall)
            work.take(ended, known.choice)
            work.draft.queue.append(log_only(ended))
    for silence in list(state.silences.values()):
        _lapse(work, silence, notice)
    work.look_at_all()


def _unacknowledge(work: Pass, known: Known) -> None:
    assert known.ack is not None
    text = f"the acknowledgement of {known.ack.by} ran out"
    work.draft.decisions.append(decision(known, "acknowledge", "lapsed", text, work.now))
    work.revise(msgspec.structs.replace(known, ack=None, lapsed=work.now.steady))


def timed_out(notification: Notification, wall: float) -> Notification:
    """The end of an alert from outside that was not sent again."""
    alert = msgspec.structs.replace(notification.alerts[0], status="resolved", ends_at=wall, reason=TIMED_OUT)
    return msgspec.structs.replace(
        notification,
        id=f"{notification.episode}.resolved",
        seq=2,
        kind="resolved",
        at=wall,
        reason=TIMED_OUT,
        alerts=(alert,),
    )


def _lapse(work: Pass, silence: Silence, notice: float) -> None:
    now = work.now
    if silence.said == "ended":
        if now.wall >= silence.ends_at + KEEP_SECONDS:
            work.draft.silences[silence.id] = None
    elif silence.state(now.wall) == "expired":
        _say(work, silence, "ended")
    elif _wants_notice(silence, notice) and now.wall >= silence.ends_at - notice:
        _say(work, silence, "expiring")


def _say(work: Pass, silence: Silence, what: SilenceEvent) -> None:
    said = "ended" if what == "ended" else "expiring"
    work.draft.silences[silence.id] = msgspec.structs.replace(silence, said=said)
    held = [known for known in work.draft.all_alerts() if known.fires and _holds(silence, known, work.now)]
    notification = silence_notice(silence, what, work.now, len(held))
    work.draft.queue.append(log_only(notification))
    if what == "expiring" and held:
        work.tell_receivers_of(held, notification)


def _holds(silence: Silence, known: Known, now: Instant) -> bool:
    return bool(silenced_by((silence,), known.labels, now.wall))
