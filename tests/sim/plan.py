"""What a seed decides: who takes part, what the network is like, and which faults come when."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from tests.sim.network import Line

SHORTEST_SECONDS, LONGEST_SECONDS = 3.0, 14.0
"""Virtual seconds of load and faults, at least and at most; then every cause goes away and the world must come to rest.

Most are short: a start and the faults soon after it find more in the same processor time than a long life does.
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong: when, what, on which host, for how long. `turns`: how much later, in loop turns."""

    at: float
    kind: str
    node: str = ""
    seconds: float = 0.0
    turns: int = 0
    count: int = 0

    def __str__(self) -> str:
        facts = [f"{self.at:.3f}s {self.kind}", self.node]
        facts += [f"for {self.seconds:.2f}s"] if self.seconds else []
        facts += [f"{self.count}"] if self.count else []
        return " ".join(fact for fact in facts if fact)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run depends on, besides the program."""

    seed: int
    readers: int = 20
    load: float = LONGEST_SECONDS
    """Virtual seconds in which publishers publish and faults come."""
    publishers: int = 2
    pause: float = 0.2
    """Mean virtual seconds between two batches of a publisher."""
    line: Line = field(default_factory=Line)
    failing: tuple[float, float] | None = None
    """When requests fail, so that the rule has something to say."""
    faults: tuple[Fault, ...] = ()

    def keeping(self, numbers: tuple[int, ...]) -> Plan:
        """The same with some of the faults only."""
        return replace(self, faults=tuple(self.faults[number] for number in numbers))


def plan(seed: int, readers: int = 20) -> Plan:
    """The plan of a seed."""
    random = Random(f"{seed}/plan")
    line = Line(
        latency=random.choice((0.0002, 0.001, 0.02)),
        jitter=random.choice((0.001, 0.01, 0.2)),
        split=random.choice((0.0, 0.1, 0.6)),
        window=random.choice((2_048, 16_384, 65_536)),
    )
    load = SHORTEST_SECONDS + (LONGEST_SECONDS - SHORTEST_SECONDS) * random.random() ** 3
    begin = load * random.uniform(0.1, 0.3)
    failing = (begin, begin + random.uniform(3.0, 5.0)) if random.random() < 0.4 else None
    faults = sorted((_fault(random, load) for _ in range(random.randint(1, 6))), key=lambda fault: fault.at)
    return Plan(
        seed,
        readers,
        load,
        publishers=random.randint(1, 3),
        pause=random.choice((0.15, 0.3, 0.5)),
        line=line,
        failing=failing,
        faults=tuple(faults),
    )


KINDS = {
    "kill": 5,
    "power": 3,
    "rot": 1,
    "restart": 2,
    "reset": 5,
    "part": 3,
    "part_readers": 2,
    "disk_full": 2,
    "disk_error": 2,
    "disk_hangs": 2,
    "slow": 3,
    "clock": 1,
}
"""Each kind of fault and how often it comes."""


def _fault(random: Random, load: float) -> Fault:
    kind = random.choices(list(KINDS), weights=list(KINDS.values()))[0]
    at = random.uniform(1.0, load - 0.5)
    node = random.choice(("processing", "gateway"))
    turns = random.randint(0, 40)
    seconds = random.choice((0.3, 1.5, 4.0, 11.0)) * random.uniform(0.8, 1.2)
    match kind:
        case "kill" | "restart":
            return Fault(at, kind, node, turns=turns)
        case "power":
            return Fault(at, kind, node, seconds, turns)
        case "rot":
            return Fault(at, kind, "processing", seconds, turns)
        case "reset":
            return Fault(at, kind, node, count=random.choice((1, 3, 30)))
        case "disk_full":
            return Fault(at, kind, "processing", random.uniform(2.0, 11.0))
        case "disk_hangs":
            return Fault(at, kind, "processing", min(seconds, 6.0))
        case "disk_error":
            return Fault(at, kind, "processing")
        case "clock":
            return Fault(at, kind, node, random.choice((-3600.0, -2.0, 2.0, 86_400.0)))
        case "slow":
            return Fault(at, kind, "", seconds, count=random.randint(1, 3))
    return Fault(at, kind, "", seconds)
