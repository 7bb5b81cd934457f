"""Tiers, blocks, series: how the history is laid out.

A slot is a tier's unit of time, numbered since 1970. A block is a row's worth of slots; a block of one tier is a slot
of the next. What is stored of a series in a block are parts: each holds what came in at one time, and the block is
their merger. So nothing is ever changed in place, a late event is one more part, and a merger of parts is never wrong.
"""

from __future__ import annotations

from typing import NamedTuple

from hxp_enterprise_llm.event.model import TypePatterns
from hxp_enterprise_llm.event.processing.metrics import Accumulator, Selection


class Tier(NamedTuple):
    """A resolution. `span`: slots of a block."""

    number: int
    name: str
    seconds: int
    span: int

    @property
    def block_seconds(self) -> int:
        """Length of a block."""
        return self.seconds * self.span

    def block(self, second: float) -> int:
        """The block that holds a moment."""
        return int(second // self.block_seconds)


TIERS = (Tier(0, "1s", 1, 60), Tier(1, "1m", 60, 60), Tier(2, "1h", 3600, 24), Tier(3, "1d", 86_400, 32))
SECONDS, MINUTES, HOURS, DAYS = TIERS
DETAIL = (SECONDS, MINUTES)
"""The tiers that are kept for `history.detail`; the others for `history.aggregates`."""


def _of(types: list[str]) -> Selection:
    return Selection(TypePatterns(types), TypePatterns([]), TypePatterns([]))


_USAGE = _of(["llm.request.completed", "llm.usage.corrected"])
"""What states tokens. Sums of them are exact; their number is no number of requests."""

WATCHED = Accumulator("numbers", _of(["analytics.snapshot"]), (("data", "tick_s"),))
"""Seconds in which the system was up: each snapshot stands for the tick before it. Where there are none is a gap."""
TOKENS = Accumulator("numbers", _USAGE, (("data", "input_tokens"), ("data", "output_tokens")))
"""What the forecast is made of."""
INPUT_BY_AGENT = Accumulator("numbers", _USAGE, (("data", "input_tokens"),), (("data", "agent"),), 200)
OUTPUT_BY_AGENT = Accumulator("numbers", _USAGE, (("data", "output_tokens"),), (("data", "agent"),), 200)

REQUESTS_BY_AGENT = Accumulator("count", _of(["llm.request.completed"]), (), (("data", "agent"),), 200)

ALWAYS = (WATCHED, TOKENS, INPUT_BY_AGENT, OUTPUT_BY_AGENT, REQUESTS_BY_AGENT)
"""Kept whatever the metrics are."""


class Cursor(NamedTuple):
    """How far the log is taken in."""

    epoch: str
    position: int
