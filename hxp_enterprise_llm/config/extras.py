"""Values that join `analytics.snapshot` besides the declared metrics, so that rules can refer to them by name.

Who computes one names it here; it has one value, over no window, and null when it is not known. With `by` it has
besides a value for each label set, under the same name in `groups`.
"""

from __future__ import annotations

from typing import NamedTuple


class Extra(NamedTuple):
    """One value: its unit, one line for people, and the labels by which it is broken down."""

    unit: str
    description: str
    by: tuple[str, ...] = ()


EXTRA_METRICS: dict[str, Extra] = {
    "active_agents": Extra("", "Agents with activity within platform.active_within"),
    "cost_usd_today": Extra("USD", "Money spent since midnight UTC, as far as prices are known"),
    "cost_usd_hour": Extra("USD", "Money spent within the last 60 minutes"),
    "cost_usd_month": Extra("USD", "Money spent since the first of the month, UTC"),
    "projected_cost_usd_day": Extra("USD", "Money that today will have cost at the rate of the last hour"),
    "projected_cost_usd_month": Extra("USD", "Money that the month will have cost at the rate of the last days"),
    "tokens_today": Extra("tokens", "Tokens in and out since midnight UTC"),
    "unpriced_requests_today": Extra("", "Requests since midnight UTC whose model has no known price"),
    "budget_used_ratio": Extra("", "Share of the budget that is used; without `by` that of the fullest", ("budget",)),
    "tokens_next_hour": Extra("tokens", "Forecast of the next hour's tokens"),
    "tokens_next_hour_upper": Extra("tokens", "Upper bound of the 90 % band of that forecast"),
    "tokens_anomaly": Extra("", "1 while the rate of tokens is an anomaly, else 0"),
}

FORECAST_EXTRAS = ("tokens_next_hour", "tokens_next_hour_upper", "tokens_anomaly")
"""Those that the forecast knows; all others are the platform's."""
