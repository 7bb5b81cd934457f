"""The invariants, checked over the history of a run. Each function answers what is broken, in words.

I1  what was acknowledged is readable: once, in order, where the publisher was told
I2  an offset never means two things under one epoch
I3  who resumes sees each event once, or is told `reset`
I4  connections, subscriptions and tasks do not pile up (`bounds.py` looks while the program runs)
I5  one bad peer delays nobody else
I6  an alert that fired is told, its end is told, and nothing is told twice
I7  health tells the truth within five seconds
I8  everything comes to rest once the causes are gone (`run.py`)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from tests.sim.history import Got, History, Reader
from tests.sim.plan import Plan

CARRIED = ("sim.", "alert.", "llm.")
"""What the channel of the readers carries."""
LATE_SECONDS = 3.0
"""Most virtual seconds from an acknowledgement to the arrival, while nothing is wrong."""
TRUTH_SECONDS = 5.0
_RECOVERY_SECONDS = 14.0
_SILENT_SECONDS = 40.0
"""The same where a peer was not told that a connection is over: it finds out by the silence."""
_SILENT = ("power", "rot", "part", "part_readers")
_SHOWN = 3


def check(history: History, plan: Plan) -> list[str]:
    """All that is broken."""
    if not history.final:
        return ["I1 the log cannot be read, or is empty"]
    return [
        *acknowledged_is_readable(history),
        *offsets_mean_one_thing(history),
        *nobody_misses_or_doubles(history),
        *resets_have_a_cause(history),
        *nobody_waits_for_another(history),
        *alerts_are_told(history, plan),
        *health_is_true(history),
    ]


def acknowledged_is_readable(history: History) -> Iterator[str]:
    """I1."""
    places: dict[str, list[int]] = {}
    for got in history.final:
        places.setdefault(got.id, []).append(got.offset)
    excused = _lost_epochs(history)
    lost = [name for name, at in history.acknowledged.items() if name not in places and at[0] not in excused]
    yield from _few("I1 acknowledged, but not in the log", lost)
    yield from _few("I1 twice in the log", [name for name, at in places.items() if len(at) > 1])
    told = [n for n, (_, offset, _) in history.acknowledged.items() if n in places and offset not in places[n]]
    yield from _few("I1 not at the offset that its publisher was told", told)
    offsets = [got.offset for got in history.final]
    if offsets != sorted(set(offsets)):
        yield "I1 the log is not in the order of its offsets"
    for publisher, ids in history.order.items():
        at = [places[name][0] for name in ids if name in places]
        if at != sorted(at):
            yield f"I1 events of {publisher} are not in the order in which it sent them"
    strange = [
        n for n in places if n.startswith("p") and n.partition("-")[0] in history.order and n not in history.offered
    ]
    yield from _few("I1 in the log, but never sent", strange)


def _lost_epochs(history: History) -> set[str]:
    """Epochs whose end a broken disk took away: the log must have said so by a new one."""
    if not any(kind == "rot" for _, _, kind, _ in history.faults):
        return set()
    return {epoch for epoch, _, _ in history.acknowledged.values()} - {history.final[-1].epoch}


def offsets_mean_one_thing(history: History) -> Iterator[str]:
    """I2."""
    meaning: dict[tuple[str, int], str] = {}
    seen: list[tuple[tuple[str, int], str]] = [
        ((epoch, offset), name) for name, (epoch, offset, _) in history.acknowledged.items()
    ]
    seen += [((got.epoch, got.offset), got.id) for reader in history.readers for got in reader.items if got]
    broken = [
        f"{at[1]} of {at[0][:6]}: {meaning[at]}, {name}" for at, name in seen if meaning.setdefault(at, name) != name
    ]
    yield from _few("I2 one offset, two events", broken)
    last = {got.offset: got.id for got in history.final}
    other = [f"{o}: {n}, now {last[o]}" for (_, o), n in seen if o in last and last[o] != n]
    yield from _few("I2 an offset means something else than before", other)


def nobody_misses_or_doubles(history: History) -> Iterator[str]:
    """I3."""
    log = [got.offset for got in history.final if got.type.startswith(CARRIED)]
    first, lost = history.final[0].offset, _lost_epochs(history)
    for reader in history.readers:
        for stretch in _stretches(reader):
            offsets = [got.offset for got in stretch]
            doubled = [offset for offset, times in Counter(offsets).items() if times > 1]
            yield from _few(f"I3 {reader.name} got twice", doubled)
            if offsets != sorted(offsets):
                yield f"I3 {reader.name} got events out of order"
            expected = [offset for offset in log if offsets[0] <= offset <= offsets[-1]]
            yield from _few(f"I3 {reader.name} missed", sorted(set(expected) - set(offsets)))
            if stretch[-1].epoch not in lost:
                yield from _few(f"I3 {reader.name} got what is not in the log", sorted(set(offsets) - set(expected)))
        if reader.from_beginning and None not in reader.items:
            begin = [got.offset for got in reader.items if got]
            if begin and [o for o in log if first <= o < begin[0]]:
                yield f"I3 {reader.name} asked for everything and missed the beginning"


def _stretches(reader: Reader) -> Iterator[Sequence[Got]]:
    """What came between two resets."""
    stretch: list[Got] = []
    for item in [*reader.items, None]:
        if item is not None:
            stretch.append(item)
        elif stretch:
            yield stretch
            stretch = []


def resets_have_a_cause(history: History) -> Iterator[str]:
    """I3: without a new epoch nobody has to be told `reset`."""
    if len({got.epoch for reader in history.readers for got in reader.items if got}) == 1:
        told = [reader.name for reader in history.readers if None in reader.items]
        yield from _few("I3 told reset although the log is the same", told)


def nobody_waits_for_another(history: History) -> Iterator[str]:
    """I5: while nothing is wrong but a slow reader, events reach the others at once."""
    troubles = [
        (begin - 1, end + (_SILENT_SECONDS if kind in _SILENT else _RECOVERY_SECONDS))
        for begin, end, kind, _ in history.faults
        if kind != "slow"
    ]
    for reader in history.readers:
        late = []
        for name, (_, _, when) in history.acknowledged.items():
            arrived = reader.arrivals.get(name)
            if arrived is None or reader.stalled or _touches(when, arrived, troubles):
                continue
            if arrived - when > LATE_SECONDS and reader.joined <= when:
                late.append(f"{name} after {arrived - when:.1f} s")
        yield from _few(f"I5 {reader.name} waited for", late)


def _touches(begin: float, end: float, spans: Iterable[tuple[float, float]]) -> bool:
    return any(begin < until and since < end for since, until in spans)


def alerts_are_told(history: History, plan: Plan) -> Iterator[str]:
    """I6."""
    if _lost_epochs(history):
        return
    told = [got for got in history.final if got.type in ("alert.firing", "alert.resolved")]
    kinds = [got.type for got in told]
    for before, after in pairwise(kinds):
        if before == after:
            yield f"I6 {before} was told twice in a row"
            break
    if kinds and kinds[-1] == "alert.firing" and history.rested:
        yield "I6 an alert fired, and its end was never told"
    if kinds and kinds[0] == "alert.resolved":
        yield "I6 the end of an alert was told that had never fired"
    if plan.failing and not history.faults and "alert.firing" not in kinds:
        yield "I6 requests failed, and no alert was told"


def health_is_true(history: History) -> Iterator[str]:
    """I7: a full disk is told, and what is over is told too."""
    starts = [entry.at for entry in history.entries if entry.who == "processing" and entry.what == "start"]
    for begin, end, kind, node in history.faults:
        if kind != "disk_full":
            continue
        until = min(end, history.mended)
        # Who never tried to write, and who has just started, cannot know.
        lies = [
            f"{at:.1f} s"
            for at, name, said in history.healths
            if name == node and said == "healthy" and begin + TRUTH_SECONDS < at < until
            if any(begin < when < at - TRUTH_SECONDS for when in history.refusals)
            and not any(at - TRUTH_SECONDS - 1 < start < at for start in starts)
        ]
        yield from _few(f"I7 {node} said healthy while its disk was full", lies)
    renewed = [entry.at for entry in history.entries if "log.epoch_changed" in entry.facts]
    for node in ("processing", "gateway"):
        last = [said for _, name, said in history.healths if name == node][-1:]
        # That the log lost its end stays true after all is mended.
        if history.rested and last and last[0] != "healthy" and not (renewed and node == "processing"):
            yield f"I7 {node} says {last[0] or 'nothing'} although nothing is wrong any more"
    if history.rested and renewed:
        said = {what for at, name, what in history.healths if name == "processing" and at > renewed[-1]}
        if max(starts) < renewed[-1] and "degraded" not in said:
            yield "I7 processing said healthy although its log had lost its end"


def _few(what: str, cases: Sequence[object]) -> Iterator[str]:
    if cases:
        more = f" and {len(cases) - _SHOWN} more" if len(cases) > _SHOWN else ""
        yield f"{what}: {', '.join(map(str, cases[:_SHOWN]))}{more}"
