"""From events to rows: requests, tool calls and costs are added up by what they share before accounts see them.

Accounts are many and events are more. Events of a batch share their minute, agent, model and tool with others, so that
accounts are touched once for each of these instead of once for each event.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from operator import sub

from hxp_enterprise_llm.event.processing.platform import ledger
from hxp_enterprise_llm.event.processing.platform.ledger import Row
from hxp_enterprise_llm.event.processing.platform.reading import (
    Correction,
    Cost,
    Events,
    FailedRequest,
    Request,
    ToolCall,
)
from hxp_enterprise_llm.event.processing.prices.rates import NANO
from hxp_enterprise_llm.event.processing.prices.table import PriceTable

Name = str | None
_INFERENCE = ("inference", "llm", "completion")


class Shared:
    """Events that share a key: their row, and what is told of each request."""

    __slots__ = ("errors", "finishes", "first", "first_tokens", "last", "latencies", "row", "speeds")

    def __init__(self) -> None:
        self.row: Row = ledger.empty()
        self.first, self.last = inf, 0.0
        """Times of the first and the last of them; a correction is none of them, since nobody acts in it."""
        self.latencies: list[float] = []
        self.first_tokens: list[float] = []
        self.speeds: list[float] = []
        self.finishes: list[str] = []
        self.errors: list[str] = []

    def seen(self, at: float) -> None:
        """One of them was at this moment."""
        self.first, self.last = min(self.first, at), max(self.last, at)

    def take(self, at: float, each: Request, used: tuple[int, int, int, int | None]) -> None:
        """Take a completed request in: what it used (in, out, unsplit, nano-USD), and how it went."""
        if at > self.last:
            self.last = at
        if at < self.first:
            self.first = at
        row = self.row
        _count_request(row, *used)
        if each.cached_input_tokens or each.cache_write_tokens or each.reasoning_tokens:
            row[ledger.CACHED] += each.cached_input_tokens or 0
            row[ledger.WRITTEN] += each.cache_write_tokens or 0
            row[ledger.REASONING] += each.reasoning_tokens or 0
        if each.finish_reason is not None:
            self.finishes.append(each.finish_reason)
        latency, first = each.latency_ms, each.time_to_first_token_ms
        if first is not None:
            self.first_tokens.append(first)
        if latency is not None:
            self.latencies.append(latency)
            writing = latency - (first or 0)
            if used[1] and writing > 0:
                self.speeds.append(1000 * used[1] / writing)


class Pending:
    """Rows that no account has seen: by (minute, agent, model, tool), and by (minute, user) and (minute, query)."""

    def __init__(self, prices: PriceTable) -> None:
        self.prices = prices
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.shared: dict[tuple[int, Name, Name, Name], Shared] = {}
        self.users: dict[tuple[int, str], Row] = {}
        self.queries: dict[tuple[int, str], Row] = {}

    def __len__(self) -> int:
        return len(self.shared) + len(self.users) + len(self.queries)

    def _at(self, minute: int, agent: Name, model: Name, tool: Name) -> Shared:
        key = minute, agent, model, tool
        found = self.shared.get(key)
        if found is None:
            found = self.shared[key] = Shared()
        return found

    def _others(self, minute: int, user: Name, query: Name) -> Iterator[Row]:
        if user is not None:
            yield _row(self.users, (minute, user))
        if query is not None:
            yield _row(self.queries, (minute, query))

    def requests(self, events: Events[Request]) -> None:
        """Take completed requests in. This is the busiest loop of all."""
        shared, users, queries, cost_of = self.shared, self.users, self.queries, self._cost
        for time, each in zip(*events, strict=True):
            minute = int(time) // 60
            input, output = each.input_tokens or 0, each.output_tokens or 0
            used = input, output, 0 if input or output else each.total_tokens or 0, cost_of(each, time)
            key = minute, each.agent, each.model, each.tool
            found = shared.get(key)
            if found is None:
                found = shared[key] = Shared()
            found.take(time, each, used)
            if each.user is not None:
                _count_request(_row(users, (minute, each.user)), *used)
            if each.query is not None:
                _count_request(_row(queries, (minute, each.query)), *used)

    def corrections(self, events: Events[Correction]) -> None:
        """Take tokens and money back that earlier requests counted; the requests, and how long they took, remain."""
        for at, correction in zip(*events, strict=True):
            each, minute = correction.request(), int(at) // 60
            taken = ledger.empty()
            _count_request(taken, *_split(each), self._cost(each, at))
            taken[ledger.REQUESTS] = taken[ledger.UNPRICED] = 0
            kinds = each.cached_input_tokens, each.cache_write_tokens, each.reasoning_tokens
            whole = taken.copy()
            whole[ledger.CACHED], whole[ledger.WRITTEN], whole[ledger.REASONING] = (kind or 0 for kind in kinds)
            _take(self._at(minute, each.agent, each.model, each.tool).row, whole)
            for row in self._others(minute, each.user, each.query):
                _take(row, taken)

    def _cost(self, each: Request, at: float) -> int | None:
        """Nano-USD: what the event says, else what the price table says; None when neither knows."""
        if each.cost_usd is not None:
            return round(each.cost_usd * NANO)
        if each.input_tokens is None and each.output_tokens is None:
            return None
        prices = self.prices.found[each.provider, each.model]
        if prices is None:
            return None
        return prices.at(at).cost(
            each.input_tokens or 0,
            each.output_tokens or 0,
            each.cached_input_tokens or 0,
            each.cache_write_tokens or 0,
            each.reasoning_tokens or 0,
        )

    def failures(self, events: Events[FailedRequest]) -> None:
        """Take failed requests in. Nobody knows what they cost: they count as failures alone."""
        for at, each in zip(*events, strict=True):
            minute = int(at) // 60
            found = self._at(minute, each.agent, each.model, each.tool)
            found.seen(at)
            found.errors.append(each.error_class or each.error)
            if each.latency_ms is not None:
                found.latencies.append(each.latency_ms)
            for row in (found.row, *self._others(minute, each.user, each.query)):
                row[ledger.FAILED] += 1

    def tool_calls(self, events: Events[ToolCall], *, failed: bool) -> None:
        """Take tool calls in; `failed`: all of them have, else those that say so."""
        for at, each in zip(*events, strict=True):
            minute = int(at) // 60
            found = self._at(minute, each.agent, None, each.tool)
            found.seen(at)
            cost = 0 if each.cost_usd is None else round(each.cost_usd * NANO)
            for row in (found.row, *self._others(minute, each.user, each.query)):
                row[ledger.TOOL_CALLS] += 1
                row[ledger.TOOL_COST] += cost
                row[ledger.FAILED_TOOL_CALLS] += failed or each.success is False

    def costs(self, events: Events[Cost]) -> None:
        """Take recorded costs in: those of requests to models apart from all others."""
        for at, each in zip(*events, strict=True):
            minute = int(at) // 60
            category = each.category.lower() if each.category else "inference" if each.model else ""
            field = ledger.RECORDED_INFERENCE if category in _INFERENCE else ledger.RECORDED
            found = self._at(minute, each.agent, each.model, each.tool)
            found.seen(at)
            for row in (found.row, *self._others(minute, each.user, each.query)):
                row[field] += round(each.amount_usd * NANO)


def _row(rows: dict[tuple[int, str], Row], key: tuple[int, str]) -> Row:
    found = rows.get(key)
    if found is None:
        found = rows[key] = ledger.empty()
    return found


def _split(each: Request) -> tuple[int, int, int]:
    """Tokens in and out, and those of a request that says their total alone."""
    input, output = each.input_tokens or 0, each.output_tokens or 0
    return input, output, 0 if input or output else each.total_tokens or 0


def _take(row: Row, taken: Row) -> None:
    row[:] = map(sub, row, taken)


def _count_request(row: Row, input: int, output: int, unsplit: int, cost: int | None) -> None:
    row[0] += 1
    row[2] += input
    row[3] += output
    row[4] += unsplit
    if cost is None:
        row[9] += 1
        row[10] += input + output + unsplit
    else:
        row[8] += cost
