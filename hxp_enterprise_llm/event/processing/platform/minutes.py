"""What the events of one minute share, until accounts see it: rows, and what requests tell of the models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from math import inf

from hxp_enterprise_llm.event.processing.memo import Memo
from hxp_enterprise_llm.event.processing.platform import ledger
from hxp_enterprise_llm.event.processing.platform.ledger import Row
from hxp_enterprise_llm.event.processing.prices.rates import ModelPrices
from hxp_enterprise_llm.event.processing.prices.table import PriceTable
from hxp_enterprise_llm.event.processing.sketch import Sketch

Name = str | None
Key = tuple[Name, Name, Name]
"""Agent, model, tool."""
_MOST_PROVIDERS = 64
_MANY = 64


class Told:
    """What requests to one model tell of themselves, and what they cost."""

    __slots__ = ("errors", "figures", "finishes", "first_tokens", "latencies", "prices", "sketches", "speeds")

    def __init__(self, prices: Callable[[Name], ModelPrices | None]) -> None:
        self.prices = Memo(prices, _MOST_PROVIDERS)
        """By provider; None: nobody knows."""
        self.latencies: list[float] = []
        self.first_tokens: list[float] = []
        """Both in milliseconds."""
        self.speeds: list[float] = []
        """Tokens out a second, from the first token on."""
        self.figures = self.latencies, self.first_tokens, self.speeds
        self.sketches: tuple[Sketch, ...] = ()
        """Of the figures that are no longer in the lists; none yet where there were few."""
        self.finishes: dict[str, int] = {}
        self.errors: dict[str, int] = {}

    def __bool__(self) -> bool:
        """Whether any of them has told anything: costs and tool calls of a model do not."""
        return bool(self.sketches or any(self.figures) or self.finishes or self.errors)

    def gather(self) -> None:
        """Count the figures of many requests at once, while they are in the processor's cache."""
        if len(self.latencies) < _MANY:
            return
        self.sketches = self.sketches or (Sketch(), Sketch(), Sketch())
        for sketch, values in zip(self.sketches, self.figures, strict=True):
            if values:
                sketch.update(values)
                values.clear()


class Shared:
    """Events that share a key: their row, when they were, and what is told of their model."""

    __slots__ = ("first", "last", "row", "told")

    def __init__(self, told: Told) -> None:
        self.row: Row = ledger.empty()
        self.first, self.last = inf, 0.0
        """Times of the first and the last of them; a correction is none of them, since nobody acts in it."""
        self.told = told

    def seen(self, at: float) -> None:
        """One of them was at this moment."""
        if at > self.last:
            self.last = at
        if at < self.first:
            self.first = at


class _Rows(dict[Key, Shared]):
    """Begins what it lacks."""

    def __init__(self, prices: PriceTable) -> None:
        super().__init__()
        self._prices = prices
        self.told: dict[Name, Told] = {}

    def __missing__(self, key: Key) -> Shared:
        model = key[1]
        told = self.told.get(model)
        if told is None:
            # Not a method of its own: what refers to itself waits for the garbage collector.
            told = self.told[model] = Told(partial(_priced, self._prices, model))
        made = self[key] = Shared(told)
        return made


def _priced(prices: PriceTable, model: Name, provider: Name) -> ModelPrices | None:
    return None if model is None else prices.found[provider, model]


class Minute:
    """Rows by agent, model and tool, by user and by query; what is told is by model."""

    __slots__ = ("queries", "shared", "told", "users")

    def __init__(self, prices: PriceTable) -> None:
        self.shared = _Rows(prices)
        self.told = self.shared.told
        self.users: dict[str, Row] = defaultdict(ledger.empty)
        self.queries: dict[str, Row] = defaultdict(ledger.empty)

    def __len__(self) -> int:
        return len(self.shared) + len(self.users) + len(self.queries)

    def gather(self) -> None:
        """Count what was told."""
        for told in self.told.values():
            told.gather()

    def others(self, user: Name, query: Name) -> Sequence[Row]:
        """The rows of a user and a query, as far as an event names them."""
        if user is None and query is None:
            return ()
        users = () if user is None else (self.users[user],)
        return users if query is None else (*users, self.queries[query])
