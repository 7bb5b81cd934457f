"""Values of others that join the snapshot: what follows the log beside the engine hands them in as plain functions.

A provider is called for each snapshot and must not wait. Its names stand in `config/extras.py`, so that rules that
refer to them are checked; a value that is not known is None. A declared metric of the same name goes before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from hxp_enterprise_llm.config.extras import EXTRA_METRICS
from hxp_enterprise_llm.event.processing.analytics import LabelledValue

ExtraValues = Callable[[], Mapping[str, float | None]]
"""Values by name."""
ExtraGroups = Callable[[], Mapping[str, list[LabelledValue]]]
"""Values by name and label set."""

V = TypeVar("V")


def joined(providers: Iterable[Callable[[], Mapping[str, V]]]) -> dict[str, V]:
    """What all providers say, in one."""
    return {name: value for provider in providers for name, value in provider().items()}


def units(values: Iterable[str]) -> dict[str, str]:
    """The unit of each of these values."""
    return {name: EXTRA_METRICS[name].unit for name in values if name in EXTRA_METRICS}
