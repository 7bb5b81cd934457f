"""The way of alerts, one pass of it: take what has changed, look at the groups that it touches, tell what is due.

    route → group → inhibit → mute → silence → dedup → repeat, escalate → outbox

Pure: a pass reads a state and writes a draft; the draft becomes the state once it is stored.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TypeVar

import msgspec

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.channels.words import shown_duration
from hxp_enterprise_llm.event.notifications.instant import Instant
from hxp_enterprise_llm.event.notifications.outbox import Recipient
from hxp_enterprise_llm.event.notifications.routing.dedup import Standing
from hxp_enterprise_llm.event.notifications.routing.draft import Queued
from hxp_enterprise_llm.event.notifications.routing.groups import Agenda, agenda, steps_ahead, taken
from hxp_enterprise_llm.event.notifications.routing.intake import Intake
from hxp_enterprise_llm.event.notifications.routing.model import HOP_LABEL, Group, Known, Stage
from hxp_enterprise_llm.event.notifications.routing.receivers import LEDGERS, MACHINES, STREAMS
from hxp_enterprise_llm.event.notifications.routing.suppression import Hold, Suppression
from hxp_enterprise_llm.event.notifications.routing.table import Path
from hxp_enterprise_llm.event.notifications.routing.telling import MOST_ALERTS, marked, tell, tell_all, unnamed

_REASONS = {
    "first": "nobody had been told of this group",
    "new_alerts": "alerts were added to the group",
    "some_resolved": "alerts of the group ended",
    "all_resolved": "all alerts of the group ended",
}
GROUPS_AT_ONCE = 25
ALERTS_AT_ONCE = 200
"""Of one group; both are a millisecond or two."""
_NEWCOMERS = "since the last reload or start there are recipients who had not been told"
_MOVED = "the routes no longer lead here"


T = TypeVar("T")
Stretches = Generator[None, None, T]
"""Work that answers something; where it yields others may run."""


class _View:
    """A group and its alerts at one moment."""

    def __init__(self, group: Group, path: Path | None, firing: list[Known], ended: list[Known]) -> None:
        self.group, self.path = group, path
        self.ended = {known.fingerprint: known for known in ended}
        self.visible = {known.fingerprint: known for known in firing}
        self.held: dict[str, str] = {}

    def hold(self, fingerprint: str, text: str) -> None:
        self.held[fingerprint] = text
        del self.visible[fingerprint]

    @property
    def open(self) -> list[Known]:
        """What the receiver was told, and may be told again."""
        return [known for fp, known in self.visible.items() if fp in self.group.told]

    @property
    def standing(self) -> Standing:
        return Standing(self.group.told, frozenset(self.visible), frozenset(self.held), frozenset(self.ended))


class Pass(Intake):
    """One pass. `take` and its like first, then `settle`; `wakes` says when each group must be looked at again."""

    def settle(self) -> None:
        """Tell what is due, and find out when the next is."""
        for _ in self.settling():
            continue

    def settling(self) -> Iterator[None]:
        """The same in stretches of a few milliseconds; between them others may run."""
        suppression = Suppression(self._table, self.draft, self.now)
        touched = [group.id for group in self.draft.all_groups()] if self._everything else list(self._touched)
        for number, id in enumerate(touched, 1):
            group = self.draft.group(id)
            self.wakes[id] = None if group is None else (yield from self._settle(group, suppression))
            if number % GROUPS_AT_ONCE == 0:
                yield
        self._forget()

    def _settle(self, group: Group, suppression: Suppression) -> Stretches[float | None]:
        """Bring one group up to date; answers when it is due next."""
        while True:
            view = yield from self._view(group, suppression)
            found = agenda(view.group, view.path, view.standing, view.visible, self.now)
            after = yield from self._act(view, found)
            if after is None or not _due(found.next, self.now):
                return None if after is None else found.next
            group = after

    def _view(self, group: Group, suppression: Suppression) -> Stretches[_View]:
        members = [known for known in map(self.draft.alert, group.members) if known is not None]
        paths: dict[str, Path | None] = {}
        for number, known in enumerate(members, 1):
            paths[known.fingerprint] = self._path(known, group)
            if number % ALERTS_AT_ONCE == 0:
                yield
        firing = [known for known in members if known.fires]
        path = next((each for each in paths.values() if each is not None), None)
        view = _View(group, path, firing, [known for known in members if not known.fires])
        for number, known in enumerate(firing, 1):
            if number % ALERTS_AT_ONCE == 0:
                yield
            own = paths[known.fingerprint]
            hold = None if own is None else suppression.holds(known, own)
            if own is None:
                view.hold(known.fingerprint, _MOVED)
            elif hold is not None:
                view.hold(known.fingerprint, hold.text)
            self._note(known, view.group, hold)
        view.group = self._let_go(view)
        return view

    def _let_go(self, view: _View) -> Group:
        """Escalation begins anew for what was held back: nobody could have been expected to act meanwhile."""
        freed = [fp for fp in view.group.held if fp in view.visible and fp in view.group.told]
        if not freed:
            return view.group
        return msgspec.structs.replace(view.group, since=view.group.since | dict.fromkeys(freed, self.now.steady))

    def _note(self, known: Known, group: Group, hold: Hold | None) -> None:
        """Write down that an alert is held back, or no longer."""
        before = group.held.get(known.fingerprint)
        if hold is not None and before != hold.text:
            self.draft.suppressed.append(hold.reason)
            self._decide(known, hold.stage, "held", hold.text, group)
        elif hold is None and before is not None and before != _MOVED:
            self._decide(known, "dedup", "released", f"no longer: {before}", group)

    def _act(self, view: _View, found: Agenda) -> Stretches[Group | None]:
        if _due(found.change, self.now) and found.why:
            return (yield from self._flush(view, found.why, _REASONS[found.why]))
        if _due(found.repeat, self.now):
            return (yield from self._flush(view, found.why or "repeat", self._repeat_reason(view)))
        if _due(found.escalation, self.now):
            return (yield from self._escalate(view))
        newcomers = self._newcomers(view)
        if newcomers:
            return (yield from self._catch_up(view, newcomers))
        group = view.group
        heard = tuple(fp for fp in group.members if fp in view.visible or fp in view.held or fp in group.told)
        self._drop_unheard(view)
        if found.change is not None and group.due is None:
            self._wait(view, found.change)
        held = {fp: text for fp, text in view.held.items() if text != _MOVED or fp in group.told}
        heard = tuple(fp for fp in heard if view.held.get(fp) != _MOVED or fp in group.told)
        return self._keep(group, msgspec.structs.replace(group, due=found.change, held=held, members=heard))

    def _keep(self, before: Group, after: Group) -> Group | None:
        if not after.members and not after.told:
            self.draft.groups[after.id] = None
            return None
        if after != before:
            self.draft.groups[after.id] = after
        return after

    def _wait(self, view: _View, due: float) -> None:
        at = rfc3339(self.now.wall + due - self.now.steady)
        what = "its first notification" if view.group.flushed is None else "its next notification"
        for fp in sorted(view.standing.new | view.standing.over):
            known = view.visible.get(fp) or view.ended[fp]
            self._decide(known, "dedup", "waits", f"the group waits until {at} for {what}", view.group)

    def _drop_unheard(self, view: _View) -> None:
        for fp in sorted(view.standing.ended - view.group.told.keys()):
            self._decide(view.ended[fp], "dedup", "dropped", "it ended before anybody was told", view.group)

    def _repeat_reason(self, view: _View) -> str:
        if any(known.lapsed > view.group.told_at for known in view.visible.values()):
            return "an acknowledgement ran out and it still fires"
        seconds = view.path.pace.repeat if view.path else 0
        return f"it still fires {shown_duration(seconds)} after it was last told"

    def _flush(self, view: _View, why: str, reason: str) -> Stretches[Group | None]:
        yield from _pause(view.group.members)
        standing, group = view.standing, view.group
        over = standing.over  # made anew each time that it is asked for
        self._drop_unheard(view)
        ended = [view.ended[fp] for fp in sorted(over)] if self._receivers.tells_ends(group.receiver) else []
        firing = list(view.visible.values())
        live = self._receivers.recipients(group.receiver) if firing else []
        to = tuple(dict.fromkeys((*live, *(group.to if ended else ()))))
        begins = not group.told
        group = msgspec.structs.replace(
            group,
            members=tuple(fp for fp in group.members if fp not in view.ended),
            flushed=self.now.steady,
            due=None,
            told={fp: episode for fp, episode in group.told.items() if fp not in over}
            | {fp: known.alert.episode for fp, known in view.visible.items()},
            told_at=self.now.steady,
            since=self._clocks(view, over),
            steps={fp: steps for fp, steps in group.steps.items() if fp not in over},
            to=tuple(dict.fromkeys((*group.to, *live))),
            thread=self._thread(group, firing) if begins else group.thread,
            seq=group.seq + 1,
            held=view.held,
        )
        if firing or ended:
            yield from self._queue(group, firing, ended, why, reason, to, standing.new | over)
        return self._keep(view.group, group if group.told else _at_rest(group))

    def _clocks(self, view: _View, over: frozenset[str]) -> dict[str, float]:
        """When each alert was told first; of those that are told now, now."""
        left = {fp: at for fp, at in view.group.since.items() if fp not in over}
        return left | dict.fromkeys(view.standing.new, self.now.steady)

    def _thread(self, group: Group, firing: list[Known]) -> str:
        episode = min(firing, key=lambda known: (known.changed, known.fingerprint)).alert.episode
        return episode if group.route == self._table.default.key else f"{episode}.{group.id[:6]}"

    def _newcomers(self, view: _View) -> tuple[Recipient, ...]:
        """Who is to be told since the configuration is another, and has heard nothing of what fires."""
        if not self._rerouted or view.path is None or not view.open:
            return ()
        known = {*view.group.to, *((name, "") for name in STREAMS)}  # on streams the events have been all the time
        return tuple(each for each in self._receivers.recipients(view.group.receiver) if each not in known)

    def _catch_up(self, view: _View, newcomers: tuple[Recipient, ...]) -> Stretches[Group | None]:
        group = view.group
        group = msgspec.structs.replace(group, seq=group.seq + 1, to=(*group.to, *newcomers))
        yield from self._queue(group, view.open, [], "newcomers", _NEWCOMERS, newcomers, frozenset())
        return self._keep(view.group, group)

    def _escalate(self, view: _View) -> Stretches[Group | None]:
        group, path = view.group, view.path
        due = [step for step in steps_ahead(group, path, view.open) if _due(step.due, self.now)] if path else []
        if path is None or not due:
            return group
        number = min(step.number for step in due)
        step, alerts = path.escalate[number], [each.fingerprint for each in due if each.number == number]
        to = self._receivers.recipients(step.receiver)
        group = msgspec.structs.replace(
            group,
            seq=group.seq + 1,
            steps=group.steps | {fp: taken(group.steps.get(fp, ()), number, self.now.steady) for fp in alerts},
            to=tuple(dict.fromkeys((*group.to, *to))),
        )
        state = "nobody has acknowledged it" if step.unacked else "it still fires"
        reason = f"{shown_duration(step.after)} after it was told {state}"
        aimed = msgspec.structs.replace(group, receiver=step.receiver)
        firing = [view.visible[fp] for fp in alerts]
        yield from self._queue(aimed, firing, [], "escalation", reason, tuple(to), frozenset(), "escalate")
        return self._keep(view.group, group)

    def _queue(
        self,
        group: Group,
        firing: list[Known],
        ended: list[Known],
        why: str,
        reason: str,
        to: tuple[Recipient, ...],
        changed: frozenset[str],
        stage: Stage = "notify",
    ) -> Stretches[None]:
        yield from _pause(firing, ended)
        streams = tuple(each for each in to if each[0] in STREAMS)
        for known in (*firing, *ended):
            if streams and (known.fingerprint in changed or why == "first"):
                self.draft.queue.append(Queued(known.notification, streams))
        yield from _pause(firing, ended)
        people = tuple(each for each in to if each[0] not in (*STREAMS, *MACHINES))
        if people:
            self.draft.queue.append(Queued(tell(group, firing, ended, why, self.now, reason), people))
        yield from self._queue_for_machines(group, _passed_on(firing), _passed_on(ended), why, to)
        whom = ", ".join(f"{channel} {target}".strip() for channel, target in to)
        absence = whom or f"nobody: {self._receivers.absence(group.receiver)}"
        yield from _pause(firing, ended)
        counts = any(channel not in (*STREAMS, *LEDGERS) for channel, _ in to)
        counted = unnamed(firing, ended) if counts else frozenset()
        all_told = f"the message names {MOST_ALERTS} of {len(firing) + len(ended)} alerts, and counted this one"
        for number, known in enumerate((*firing, *ended), 1):
            said = f"{reason}; {all_told}" if known.fingerprint in counted else reason
            self._decide(known, stage, "told" if to else "unheard", f"{why}: {said}; to {absence}", group)
            if number % ALERTS_AT_ONCE == 0:
                yield

    def _queue_for_machines(
        self, group: Group, firing: list[Known], ended: list[Known], why: str, to: tuple[Recipient, ...]
    ) -> Stretches[None]:
        machines = [each for each in to if each[0] in MACHINES]
        if not machines or not (firing or ended):
            return
        for number, told in enumerate(tell_all(group, firing, ended, why, self.now)):
            wanted = tuple(each for each in machines if number == 0 or each[0] in LEDGERS)
            if wanted:
                self.draft.queue.append(Queued(marked(told, self._instance), wanted))
            yield

    def _forget(self) -> None:
        """Alerts that have ended and that no group waits for are gone."""
        ended = [known for known in self.draft.all_alerts() if not known.fires]
        if not ended:
            return
        needed = {fp for group in self.draft.all_groups() for fp in group.members}
        for known in ended:
            if known.fingerprint not in needed:
                self.draft.alerts[known.fingerprint] = None

    def _path(self, known: Known, group: Group) -> Path | None:
        return next((way.path for way in self._ways_of(known) if way.id == group.id), None)


def _pause(*worked_on: Sequence[object]) -> Iterator[None]:
    """Others may run, where there is enough to do for that to be worth while."""
    if sum(map(len, worked_on)) > ALERTS_AT_ONCE:
        yield


def _passed_on(alerts: Sequence[Known]) -> list[Known]:
    """For programs: without what came from another daemon, so that nothing goes in circles."""
    return [known for known in alerts if HOP_LABEL not in known.labels]


def _due(at: float | None, now: Instant) -> bool:
    return at is not None and at <= now.steady


def _at_rest(group: Group) -> Group:
    """The incident is over; the next one is a thread of its own."""
    return msgspec.structs.replace(group, thread="", to=())
