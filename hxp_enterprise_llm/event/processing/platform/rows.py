"""From events to rows: requests, tool calls and costs are added up by what they share before accounts see them.

Accounts are many and events are more. Events of a batch share their minute, agent, model and tool with others, so that
accounts are touched once for each of these instead of once for each event.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import sub

from hxp_enterprise_llm.event.processing.platform import ledger
from hxp_enterprise_llm.event.processing.platform.ledger import Row
from hxp_enterprise_llm.event.processing.platform.minutes import Minute, Name, Shared
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

_INFERENCE = ("inference", "llm", "completion")

Used = tuple[int, int, int, int | None]
"""What a request used: tokens in and out, those of one that says their total alone, nano-USD (None: not known)."""


class Pending:
    """Rows that no account has seen, by minute (of wall-clock time, numbered since 1970)."""

    def __init__(self, prices: PriceTable) -> None:
        self.prices = prices
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.minutes: dict[int, Minute] = {}

    def __len__(self) -> int:
        return sum(map(len, self.minutes.values()))

    def _of(self, at: float) -> Minute:
        return self._minute(int(at) // 60)

    def _minute(self, number: int) -> Minute:
        found = self.minutes.get(number)
        if found is None:
            found = self.minutes[number] = Minute(self.prices)
        return found

    # Completed requests are the busiest events of all: their loops are short, and call nothing that they need not.

    def requests(self, events: Events[Request]) -> None:
        """Take completed requests in."""
        for number, times, requests in _by_minute(events):
            minute = self._minute(number)
            rows = minute.shared
            shared = [rows[each.agent, each.model, each.tool] for each in requests]
            used = _used(shared, times, requests)
            _share(shared, times, requests, used)
            _count_named(minute.users, [each.user for each in requests], used)
            _count_named(minute.queries, [each.query for each in requests], used)
            _tell(shared, requests)
            minute.gather()

    def corrections(self, events: Events[Correction]) -> None:
        """Take tokens and money back that earlier requests counted; the requests, and how long they took, remain."""
        for at, correction in zip(*events, strict=True):
            each, minute = correction.request(), self._of(at)
            taken = ledger.empty()
            shared = minute.shared[each.agent, each.model, each.tool]
            ((taken[ledger.INPUT], taken[ledger.OUTPUT], taken[ledger.UNSPLIT], cost),) = _used([shared], [at], [each])
            if cost is None:
                taken[ledger.UNPRICED_TOKENS] = ledger.tokens(taken)
            else:
                taken[ledger.REQUEST_COST] = cost
            kinds = each.cached_input_tokens, each.cache_write_tokens, each.reasoning_tokens
            whole = taken.copy()
            whole[ledger.CACHED], whole[ledger.WRITTEN], whole[ledger.REASONING] = (kind or 0 for kind in kinds)
            _take(shared.row, whole)
            for row in minute.others(each.user, each.query):
                _take(row, taken)

    def failures(self, events: Events[FailedRequest]) -> None:
        """Take failed requests in. Nobody knows what they cost: they count as failures alone."""
        for at, each in zip(*events, strict=True):
            minute = self._of(at)
            found = minute.shared[each.agent, each.model, each.tool]
            found.seen(at)
            told, error = found.told, each.error_class or each.error
            told.errors[error] = told.errors.get(error, 0) + 1
            if each.latency_ms is not None:
                told.latencies.append(each.latency_ms)
            for row in (found.row, *minute.others(each.user, each.query)):
                row[ledger.FAILED] += 1

    def tool_calls(self, events: Events[ToolCall], *, failed: bool) -> None:
        """Take tool calls in; `failed`: all of them have, else those that say so."""
        for at, each in zip(*events, strict=True):
            minute = self._of(at)
            found = minute.shared[each.agent, None, each.tool]
            found.seen(at)
            cost = 0 if each.cost_usd is None else round(each.cost_usd * NANO)
            for row in (found.row, *minute.others(each.user, each.query)):
                row[ledger.TOOL_CALLS] += 1
                row[ledger.TOOL_COST] += cost
                row[ledger.FAILED_TOOL_CALLS] += failed or each.success is False

    def costs(self, events: Events[Cost]) -> None:
        """Take recorded costs in: those of requests to models apart from all others."""
        for at, each in zip(*events, strict=True):
            minute = self._of(at)
            category = each.category.lower() if each.category else "inference" if each.model else ""
            field = ledger.RECORDED_INFERENCE if category in _INFERENCE else ledger.RECORDED
            found = minute.shared[each.agent, each.model, each.tool]
            found.seen(at)
            for row in (found.row, *minute.others(each.user, each.query)):
                row[field] += round(each.amount_usd * NANO)


def _take(row: Row, taken: Row) -> None:
    row[:] = map(sub, row, taken)


def _by_minute(events: Events[Request]) -> Iterable[tuple[int, Sequence[float], Sequence[Request]]]:
    """Requests by minute, each with their times; nearly always all of a batch are of one."""
    times, requests = events
    first = int(min(times)) // 60
    if int(max(times)) // 60 == first:
        return [(first, times, requests)]
    parts: dict[int, tuple[list[float], list[Request]]] = {}
    for at, each in zip(times, requests, strict=True):
        of_minute = parts.setdefault(int(at) // 60, ([], []))
        of_minute[0].append(at)
        of_minute[1].append(each)
    return [(number, *part) for number, part in parts.items()]


def _used(shared: Sequence[Shared], times: Sequence[float], requests: Sequence[Request]) -> list[Used]:
    """What each of them used. It costs what the event says, else what the price table says, if either knows."""
    answer = []
    for found, at, each in zip(shared, times, requests, strict=True):
        input, output, cost = each.input_tokens, each.output_tokens, None
        if each.cost_usd is not None:
            cost = round(each.cost_usd * NANO)
        elif input is not None or output is not None:
            prices = found.told.prices[each.provider]
            if prices is not None:
                cost = (prices.only or prices.at(at)).cost(
                    input or 0,
                    output or 0,
                    each.cached_input_tokens or 0,
                    each.cache_write_tokens or 0,
                    each.reasoning_tokens or 0,
                )
        answer.append((input or 0, output or 0, 0 if input or output else each.total_tokens or 0, cost))
    return answer


def _share(shared: Sequence[Shared], times: Sequence[float], requests: Sequence[Request], used: Sequence[Used]) -> None:
    for found, at, each, (input, output, unsplit, cost) in zip(shared, times, requests, used, strict=True):
        if at > found.last:
            found.last = at
        if at < found.first:
            found.first = at
        row = found.row
        row[0] += 1
        row[2] += input
        row[3] += output
        if cost is None or unsplit:
            _count_rest(row, input + output, unsplit, cost)
        else:
            row[8] += cost
        if each.cached_input_tokens or each.cache_write_tokens or each.reasoning_tokens:
            row[5] += each.cached_input_tokens or 0
            row[6] += each.cache_write_tokens or 0
            row[7] += each.reasoning_tokens or 0


def _tell(shared: Sequence[Shared], requests: Sequence[Request]) -> None:
    for found, each in zip(shared, requests, strict=True):
        told, latency, first = found.told, each.latency_ms, each.time_to_first_token_ms
        if first is not None:
            told.first_tokens.append(first)
        if latency is not None:
            told.latencies.append(latency)
            writing = latency - (first or 0)
            if each.output_tokens and writing > 0:
                told.speeds.append(1000 * each.output_tokens / writing)
        reason = each.finish_reason
        if reason is not None:
            told.finishes[reason] = told.finishes.get(reason, 0) + 1


def _count_named(rows: dict[str, Row], names: Sequence[Name], used: Sequence[Used]) -> None:
    """Count requests by a name that not all of them have."""
    if names.count(None) == len(names):
        return
    for name, (input, output, unsplit, cost) in zip(names, used, strict=True):
        if name is not None:
            row = rows[name]
            row[0] += 1
            row[2] += input
            row[3] += output
            if cost is None or unsplit:
                _count_rest(row, input + output, unsplit, cost)
            else:
                row[8] += cost


def _count_rest(row: Row, split: int, unsplit: int, cost: int | None) -> None:
    """What few requests have: tokens that are not told apart, or no known price."""
    row[4] += unsplit
    if cost is None:
        row[9] += 1
        row[10] += split + unsplit
    else:
        row[8] += cost
