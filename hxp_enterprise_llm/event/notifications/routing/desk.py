"""What people and programs ask of the way: silences, acknowledgements, alerts from outside, decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import msgspec
import structlog

from hxp_enterprise_llm.event.log.model import EventLog, Stored
from hxp_enterprise_llm.event.model import Event, encode, rfc3339
from hxp_enterprise_llm.event.notifications.model import SOURCE, Notification
from hxp_enterprise_llm.event.notifications.outbox import switched_on
from hxp_enterprise_llm.event.notifications.records import Delivered, deliveries_of
from hxp_enterprise_llm.event.notifications.routing import foreign as foreign_alerts
from hxp_enterprise_llm.event.notifications.routing import records
from hxp_enterprise_llm.event.notifications.routing.acknowledgements import (
    ACKNOWLEDGED,
    PUBLICATION,
    Acknowledgement,
    BadAcknowledgement,
    read_acknowledgement,
)
from hxp_enterprise_llm.event.notifications.routing.draft import State
from hxp_enterprise_llm.event.notifications.routing.foreign import Foreign, ForeignFault, Sent
from hxp_enterprise_llm.event.notifications.routing.intake import decision
from hxp_enterprise_llm.event.notifications.routing.model import FOREIGN, HOP_LABEL, Ack, Decision, Known, Silence
from hxp_enterprise_llm.event.notifications.routing.notices import SilenceEvent, log_only, silence_notice
from hxp_enterprise_llm.event.notifications.routing.pipeline import Pass
from hxp_enterprise_llm.event.notifications.routing.router import Router
from hxp_enterprise_llm.event.notifications.routing.silences import MOST, changed, ended
from hxp_enterprise_llm.event.notifications.turns import in_turns
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.store.database import Store
from hxp_enterprise_llm.telemetry.routing_metrics import RoutingMetrics

log = structlog.get_logger("notifications")
_TYPES = (ACKNOWLEDGED, PUBLICATION)
_AT_ONCE = 50
"""Alerts from outside that are taken in one go."""
_WARN_SECONDS = 60.0


class TooMany(Exception):
    """There is no room for more. `most` is how many there may be."""

    def __init__(self, what: str, most: int) -> None:
        super().__init__(what, most)
        self.what, self.most = what, most

    def __str__(self) -> str:
        return f"there are {self.most:,} {self.what} already, and no more are taken"


class Desk:
    """Each method is one pass of the router, durable when it returns. All raise StoreUnavailable."""

    def __init__(
        self, router: Router, store: Store, event_log: EventLog, *, clock: Clock, metrics: RoutingMetrics
    ) -> None:
        self.router, self._store, self._log = router, store, event_log
        self._clock, self._metrics = clock, metrics
        self._warned_at = float("-inf")

    @property
    def state(self) -> State:
        """Alerts, groups and silences as they are."""
        return self.router.state

    async def taken_up(self) -> None:
        """Return once what was stored is there again: until then nothing can be said. Raises StoreUnavailable."""
        await self.router.taken_up()

    def foreign(self) -> list[Known]:
        """The alerts from outside that fire."""
        return [known for known in self.state.alerts.values() if known.fires and known.alert.origin == FOREIGN]

    def silences(self) -> dict[str, int]:
        """How many silences there are, by state."""
        wall = self._clock.time()
        counts = dict.fromkeys(("active", "pending", "expired"), 0)
        for silence in self.state.silences.values():
            counts[silence.state(wall)] += 1
        return counts

    def episode(self, name: str) -> Known | None:
        """The alert of an episode that is not over."""
        return next((known for known in self.state.alerts.values() if known.alert.episode == name), None)

    async def decisions(self, asked: records.Asked) -> list[Decision]:
        """What was decided, and why."""
        return await self._store.run(partial(records.decisions, asked=asked))

    async def deliveries(self, episodes: Sequence[str]) -> list[Delivered]:
        """What has become of the deliveries that tell of these episodes."""
        return await self._store.run(partial(deliveries_of, episodes=episodes)) if episodes else []

    # Silences

    async def put_silence(self, wish: Silence) -> str:
        """Make a silence, or change the one of this id; answers the id. Raises KeyError for an unknown id, TooMany."""
        await self.taken_up()
        before = self.state.silences.get(wish.id) if wish.id else None
        if wish.id and before is None:
            raise KeyError(wish.id)
        if before is None and len(self.state.silences) >= MOST:
            raise TooMany("silences", MOST)
        new = msgspec.structs.replace(wish, id=_uuid(self._clock.new_id()), said="")
        if before is None:
            await self.router.work(lambda work: _keep(work, new, "created"))
            return new.id
        old, after = changed(before, new, self._clock.time())

        def fill(work: Pass) -> None:
            if old is not None:
                _keep(work, msgspec.structs.replace(old, said="ended"), "expired")
            _keep(work, after, "changed" if old is None else "created")

        await self.router.work(fill)
        return after.id

    async def expire_silence(self, id: str) -> None:
        """End a silence now; one that has ended stays as it is. Raises KeyError."""
        silence = self.state.silences[id]
        if silence.state(self._clock.time()) != "expired":
            over = msgspec.structs.replace(ended(silence, self._clock.time()), said="ended")
            await self.router.work(lambda work: _keep(work, over, "expired"))

    # Acknowledgements

    async def acknowledge(self, episode: str, by: str, comment: str, lasts: str) -> None:
        """Say that somebody takes an alert on: an event in the log, which `follow` meets. Raises LogError."""
        now = self._clock.time()
        data = {"episode": episode, "by": by, "comment": comment, "for": lasts}
        event = Event(
            id=self._clock.new_id(),
            source=SOURCE,
            type=ACKNOWLEDGED,
            time=rfc3339(now),
            datacontenttype="application/json",
            data=data,
        )
        await self._log.append([encode(event)])

    async def follow(self, events: Iterable[Stored]) -> None:
        """Take acknowledgements out of a batch of the log."""
        found = [each for each in map(self._read, events) if each is not None]

        def fill(work: Pass) -> None:
            for each in found:
                _acknowledge(work, each)

        if found:
            await self.router.work(fill)

    def _read(self, event: Stored) -> Acknowledgement | None:
        if event.type not in _TYPES:
            return None
        try:
            return read_acknowledgement(event.raw, self._clock.time())
        except BadAcknowledgement as error:
            log.warning("acknowledgement.unreadable", offset=event.offset, reason=str(error))
            return None

    # Alerts from outside

    async def receive(self, sent: Sent, lasts: float) -> Counter[str]:
        """Take alerts from outside, each once; one without an end resolves after `lasts` seconds.

        Answers how many were new, renewed, resolved, unknown ends, our own, of a priority that is switched off, refused
        for their faults or for want of room, or left out by the sender.
        """
        results: Counter[str] = Counter()

        def fill(work: Pass) -> Iterator[None]:
            results.clear()
            room = self.router.config.foreign.max_alerts - len(self.foreign())
            for number, each in enumerate(sent.alerts, 1):
                result = self._take(work, each, lasts, room - results["firing"])
                results[result] += 1
                if number % _AT_ONCE == 0:
                    yield

        await in_turns(sent.reading())
        await self.router.work(fill)
        results += Counter(refused=sent.faulty, truncated=sent.truncated)
        for result, count in results.items():
            self._metrics.received.labels(result).inc(count)
        self._warn(sent, results)
        return results

    def _warn(self, sent: Sent, results: Counter[str]) -> None:
        """Somebody's alerts are not here: at most once a minute, for Prometheus sends them again and again."""
        reasons = [str(ForeignFault(sent.faults))] if sent.faults else []
        reasons += ["there is no room for more"] if results["refused"] > sent.faulty else []
        reasons += ["the sender left some out"] if sent.truncated else []
        now = self._clock.monotonic()
        if reasons and now - self._warned_at >= _WARN_SECONDS:
            self._warned_at = now
            counts = {name: results[name] for name in ("refused", "truncated")}
            log.warning("foreign.missing", reason="; ".join(reasons), **counts)

    def _take(self, work: Pass, sent: Foreign, lasts: float, room: int) -> str:
        wall = work.now.wall
        if sent.labels.get(HOP_LABEL) == self.router.instance:
            return "own"
        before = work.draft.alert(sent.fingerprint)
        known = before if before is not None and before.fires else None
        if sent.ended(wall):
            return "unknown" if known is None else _end(work, known, sent)
        lasts = sent.ends_at - wall if sent.ends_at is not None and sent.ends_at > wall else lasts
        expires = work.now.steady + lasts
        if known is not None:
            return _renew(work, known, sent, expires)
        begun = foreign_alerts.begun(sent, wall)
        if not switched_on(self.router.config, begun.priority):
            return "off"
        if room <= 0:
            return "refused"
        work.draft.queue.append(log_only(begun))
        work.take(begun, "all", expires)
        return "firing"


def _end(work: Pass, known: Known, sent: Foreign) -> str:
    notification = foreign_alerts.ended(sent, known.notification, work.now.wall)
    work.take(notification, known.choice)
    work.draft.queue.append(log_only(notification))
    return "resolved"


def _renew(work: Pass, known: Known, sent: Foreign, expires: float) -> str:
    notification: Notification = foreign_alerts.renewed(sent, known.notification)
    if notification != known.notification or expires != known.expires:
        work.revise(msgspec.structs.replace(known, notification=notification, expires=expires))
    return "renewed"


def _keep(work: Pass, silence: Silence, what: SilenceEvent) -> None:
    work.draft.silences[silence.id] = silence
    work.draft.queue.append(log_only(silence_notice(silence, what, work.now)))
    work.look_at_all()


def _acknowledge(work: Pass, found: Acknowledgement) -> None:
    known = next((each for each in work.draft.all_alerts() if each.alert.episode == found.episode), None)
    until = found.at + found.lasts
    if known is None or not known.fires or (until <= work.now.wall and known.ack is None):
        log.info("acknowledgement.late", episode=found.episode)
        return
    if found.lasts <= 0:
        text = f"{found.by} gives it back{_because(found.comment)}"
        work.revise(msgspec.structs.replace(known, ack=None))
    else:
        text = f"{found.by} takes it on until {rfc3339(until)}{_because(found.comment)}"
        lapses = work.now.steady + until - work.now.wall
        ack = Ack(by=found.by, comment=found.comment, at=found.at, until=until, lapses=lapses)
        work.revise(msgspec.structs.replace(known, ack=ack))
    work.draft.decisions.append(decision(known, "acknowledge", "acknowledged", text, work.now))


def _uuid(hexadecimal: str) -> str:
    """Silences have UUIDs as their ids, as Alertmanager's do."""
    digits = hexadecimal.encode().hex()[:32] if len(hexadecimal) != 32 else hexadecimal
    digits = digits.ljust(32, "0")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _because(comment: str) -> str:
    return f": {comment}" if comment else ""
