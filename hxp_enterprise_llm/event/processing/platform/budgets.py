"""Budgets: how much of what may be spent is spent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from hxp_enterprise_llm.config.platform import BudgetConfig
from hxp_enterprise_llm.event.processing.platform.days import month_of
from hxp_enterprise_llm.event.processing.platform.ledger import Account, Money
from hxp_enterprise_llm.event.processing.platform.tokens import Tokens

_FILTERS = (("agents", "agent"), ("models", "model"), ("users", "user"))


class Used(NamedTuple):
    """A budget and what is spent of it, in nano-USD."""

    config: BudgetConfig
    nano: int

    @property
    def ratio(self) -> float:
        """Share of the budget that is used; beyond 1 it is exceeded."""
        return self.nano / (self.config.usd * 1e9)


def pinned(budgets: Iterable[BudgetConfig]) -> dict[str, frozenset[str]]:
    """Names of each kind that a budget is for: they are told apart, however few events they have."""
    listed = list(budgets)
    return {kind: frozenset(name for each in listed if (name := getattr(each, field))) for kind, field in _FILTERS}


def used(budgets: Sequence[BudgetConfig], tokens: Tokens, money: Money, now: float) -> list[Used]:
    """Each budget with what is spent of it in the period that is now."""
    return [Used(each, _spent(each, tokens, money, now)) for each in budgets]


def _spent(budget: BudgetConfig, tokens: Tokens, money: Money, now: float) -> int:
    today = int(now) // 86400
    first, last = (today, today) if budget.period == "day" else month_of(now)
    return money.nano(_account(budget, tokens).between(first, last))


def _account(budget: BudgetConfig, tokens: Tokens) -> Account:
    for kind, field in _FILTERS:
        if name := getattr(budget, field):
            return tokens.kept(kind).named.get(name) or Account()
    return tokens.everything


def budget_view(found: Iterable[Used]) -> list[dict[str, Any]]:
    """Budgets as they are answered."""
    return [
        {
            "budget": each.config.name,
            "period": each.config.period,
            "limit_usd": each.config.usd,
            "used_usd": each.nano / 1e9,
            "used_ratio": each.ratio,
            "agent": each.config.agent or None,
            "model": each.config.model or None,
            "user": each.config.user or None,
        }
        for each in found
    ]
