"""Tokens and money: by agent, model, tool, user, query; by day; and what the hour, the day and the month will cost."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.config.platform import PlatformLimitsConfig
from hxp_enterprise_llm.event.processing.platform import ledger
from hxp_enterprise_llm.event.processing.platform.days import day_name, hour_name, month_of
from hxp_enterprise_llm.event.processing.platform.ledger import Account, Money, Row, drop_before
from hxp_enterprise_llm.event.processing.platform.minutes import Key, Shared
from hxp_enterprise_llm.event.processing.platform.names import OTHER, Kept, clip
from hxp_enterprise_llm.event.processing.platform.rows import Pending

KINDS = ("agents", "models", "tools", "users", "queries")
_HOUR, _DAY = 3600, 86400
MINUTES_KEPT = 120
_USUAL_DAYS = 7
"""Days whose mean is the rate of a month's rest."""


class Tokens(msgspec.Struct):
    """All accounts. `minutes` is the last two hours of everything."""

    everything: Account = msgspec.field(default_factory=Account)
    minutes: dict[int, Row] = {}
    agents: Kept[Account] = msgspec.field(default_factory=Kept)
    models: Kept[Account] = msgspec.field(default_factory=Kept)
    tools: Kept[Account] = msgspec.field(default_factory=Kept)
    users: Kept[Account] = msgspec.field(default_factory=Kept)
    queries: Kept[Account] = msgspec.field(default_factory=Kept)

    def settle(self, pending: Pending, limits: PlatformLimitsConfig, pinned: Mapping[str, Collection[str]]) -> None:
        """Book what is pending. `pinned`: names of each kind that must stay apart."""
        books = _Books(self, limits, pinned)
        for number, minute in pending.minutes.items():
            for key, shared in minute.shared.items():
                books.shared(number, key, shared)
            for kind, rows in (("users", minute.users), ("queries", minute.queries)):
                for name, row in rows.items():
                    books.account(kind, name, number, row, number * 60.0)

    def forget(self, newest: float) -> None:
        """Drop what is too old when the newest event is of this time."""
        hour = int(newest) // _HOUR
        drop_before(self.minutes, int(newest) // 60 - MINUTES_KEPT)
        for account in (self.everything, *(each for kind in KINDS for each in self.kept(kind).everything())):
            account.forget(hour)

    def kept(self, kind: str) -> Kept[Account]:
        """The accounts of a kind."""
        found: Kept[Account] = getattr(self, kind)
        return found


class _Books:
    """Puts rows into the accounts that they belong to."""

    def __init__(self, tokens: Tokens, limits: PlatformLimitsConfig, pinned: Mapping[str, Collection[str]]) -> None:
        self._tokens, self._limits, self._pinned = tokens, limits, pinned

    def shared(self, minute: int, key: Key, shared: Shared) -> None:
        agent, model, tool = key
        everything, minutes = self._tokens.everything, self._tokens.minutes
        everything.add(minute // 60, shared.row, hourly=True)
        everything.last = max(everything.last, shared.last)
        minutes[minute] = ledger.added([minutes[minute], shared.row]) if minute in minutes else list(shared.row)
        for kind, name in (("agents", agent), ("models", model), ("tools", tool)):
            if name is not None:
                self.account(kind, name, minute, shared.row, shared.last)

    def account(self, kind: str, name: str, minute: int, row: Row, last: float) -> None:
        limit: int = getattr(self._limits, kind)
        account = self._tokens.kept(kind).at(clip(name), Account, limit, self._pinned.get(kind, ()))
        account.add(minute // 60, row, hourly=kind in ("agents", "models"))
        account.last = max(account.last, last)


class Projection(NamedTuple):
    """What time will cost, in USD, at the rate of the last hour and of the last days; None where no price is known."""

    hour: float | None
    """Within the last 60 minutes, which is the projection of the next."""
    day: float | None
    month: float | None


def last_hour(tokens: Tokens, now: float) -> Row:
    """What was used within the last 60 minutes: the minute that has begun, and the 59 before it."""
    minute = int(now) // 60
    return ledger.added([row for at, row in tokens.minutes.items() if minute - 60 < at <= minute])


def projection(tokens: Tokens, money: Money, now: float) -> Projection:
    """The day: what it has cost, and its rest at the rate of the last hour. The month: what it has cost until today,
    today's projection, and its rest at the mean of the last 7 days that something was spent on, else as today."""
    today = int(now) // _DAY
    row = last_hour(tokens, now)
    hour = money.nano(row)
    spent_today = money.nano(tokens.everything.day(today))
    day = spent_today + round(hour * ((today + 1) * _DAY - now) / _HOUR)
    first, last = month_of(now)
    before = money.nano(tokens.everything.between(first, today - 1))
    recent = [money.nano(tokens.everything.day(each)) for each in range(today - _USUAL_DAYS, today)]
    usual = [each for each in recent if each]
    rate = round(sum(usual) / len(usual)) if usual else day
    month = before + day + rate * (last - today)
    if money.usd(row) is None:
        return Projection(None, None, None)
    return Projection(hour / 1e9, day / 1e9, month / 1e9)


def token_view(tokens: Tokens, limits: PlatformLimitsConfig, money: Money, now: float) -> dict[str, Any]:
    """What GET /api/v2/tokens answers."""
    everything, today, hour = tokens.everything, int(now) // _DAY, int(now) // _HOUR
    return {
        "total": ledger.shown(everything.total, money),
        "today": ledger.shown(everything.day(today), money),
        "last_hour": ledger.shown(last_hour(tokens, now), money),
        "by_day": [
            {"day": day_name(day)} | dict(ledger.brief(row, money)) for day, row in sorted(everything.days.items())
        ],
        "by_hour": [
            {"hour": hour_name(at)} | dict(ledger.brief(row, money))
            for at, row in sorted(everything.hours.items())
            if hour - 24 < at <= hour
        ],
        "by": {kind: ranked(tokens.kept(kind), getattr(limits, kind), money, today) for kind in KINDS},
    }


def ranked(kept: Kept[Account], limit: int, money: Money, today: int) -> list[dict[str, Any]]:
    """The accounts of a kind, those with the most requests first; `other` last where there is one."""
    named, rest = kept.top(limit, Account)
    answer = [{"name": name} | _both(account, money, today) for name, account in named]
    if rest.weight:
        answer.append({"name": None, "other": True} | _both(rest, money, today))
    return answer


def _both(account: Account, money: Money, today: int) -> dict[str, Any]:
    return dict(ledger.brief(account.total, money)) | {"today": ledger.brief(account.day(today), money)}


def cost_view(tokens: Tokens, limits: PlatformLimitsConfig, money: Money, now: float) -> dict[str, Any]:
    """What GET /api/v2/costs answers, without the budgets."""
    everything, today, hour = tokens.everything, int(now) // _DAY, int(now) // _HOUR
    found = projection(tokens, money, now)
    first, last = month_of(now)
    month = everything.between(first, last)
    return {
        "currency": "USD",
        "total_usd": money.usd(everything.total),
        "today_usd": money.usd(everything.day(today)),
        "month_usd": money.usd(month),
        "last_hour_usd": found.hour,
        "projected": found._asdict(),
        "unpriced": {
            "requests_today": everything.day(today)[ledger.UNPRICED],
            "tokens_today": everything.day(today)[ledger.UNPRICED_TOKENS],
            "models": unpriced(tokens.models),
        },
        "per_query_usd": _per_query(tokens, money),
        "agents_by_hour": {
            name: {hour_name(at): money.usd(row) for at, row in sorted(account.hours.items()) if hour - 24 < at <= hour}
            for name, account in tokens.agents.ranked()[: limits.agents]
        },
        "by": {kind: _costs(tokens.kept(kind), getattr(limits, kind), money, today) for kind in KINDS},
    }


def _costs(kept: Kept[Account], limit: int, money: Money, today: int) -> list[dict[str, Any]]:
    named, rest = kept.top(limit, Account)
    rows: list[tuple[str | None, Account]] = [*named, *([(None, rest)] if rest.weight else [])]
    return [
        {
            "name": name,
            "cost_nano_usd": money.nano(account.total),
            "cost_usd": money.usd(account.total),
            "today_usd": money.usd(account.day(today)),
            "unpriced_requests": account.total[ledger.UNPRICED],
        }
        for name, account in sorted(rows, key=lambda row: (row[0] is None, -money.nano(row[1].total), row[0] or ""))
    ]


def _per_query(tokens: Tokens, money: Money) -> float | None:
    """Mean cost of a query of a user's that requests name."""
    if not tokens.queries.named:
        return None
    count = len(tokens.queries.named) + tokens.queries.folded
    return sum(money.nano(account.total) for account in tokens.queries.everything()) / count / 1e9


def unpriced(models: Kept[Account]) -> list[dict[str, Any]]:
    """Models with requests whose price is not known, those with the most tokens first."""
    found = [
        {
            "model": name,
            "requests": account.total[ledger.UNPRICED],
            "tokens": account.total[ledger.UNPRICED_TOKENS],
        }
        for name, account in models.named.items()
        if account.total[ledger.UNPRICED]
    ]
    return sorted(found, key=lambda each: (-each["tokens"], each["model"]))


class CostDay(NamedTuple):
    """A day of a name: `kind` is `total` or one of KINDS, `name` empty for everything and `other` for the rest."""

    day: str
    kind: str
    name: str
    figures: Mapping[str, Any]


def cost_days(
    tokens: Tokens, limits: PlatformLimitsConfig, money: Money, begin: float, end: float
) -> Iterator[CostDay]:
    """The days between two moments, as far as they are kept, the heaviest names first."""
    first, last = int(begin) // _DAY, int(-(-end // _DAY)) - 1
    for kind, name, account in _accounts(tokens, limits):
        for day, row in sorted(account.days.items()):
            if first <= day <= last:
                yield CostDay(day_name(day), kind, name, ledger.brief(row, money))


def _accounts(tokens: Tokens, limits: PlatformLimitsConfig) -> Iterator[tuple[str, str, Account]]:
    yield "total", "", tokens.everything
    for kind in KINDS:
        named, rest = tokens.kept(kind).top(getattr(limits, kind), Account)
        for name, account in named:
            yield kind, name, account
        yield kind, OTHER, rest
