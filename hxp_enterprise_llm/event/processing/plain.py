"""A memory as plain values and back, nothing lost: what the files of analytics and of the history are made of."""

from __future__ import annotations

from typing import Any

from hxp_enterprise_llm.event.processing.aggregates import Aggregate, Count, Distinct, Numbers
from hxp_enterprise_llm.event.processing.metrics import Accumulator
from hxp_enterprise_llm.event.processing.sketch import Sketch

_INTEGERS = range(-(2**63), 2**64)
"""Those of MessagePack; a sum of many may lie beyond."""


def values_of(memory: Any) -> Any:
    """What a memory without labels holds."""
    if isinstance(memory, Numbers):
        total = memory.total
        exact = str(total) if type(total) is int and total not in _INTEGERS else total
        return [memory.n, exact, memory.minimum, memory.maximum, memory.last]
    return memory.dump() if isinstance(memory, Sketch | Distinct) else memory.n


def memory_of(accumulator: Accumulator, values: Any) -> Aggregate:
    """The memory that `values_of` was given. Raises TypeError, ValueError for what it has not made."""
    match accumulator.family:
        case "quantiles":
            return Sketch.load(values)
        case "distinct":
            return Distinct.load(values)
        case "numbers":
            return restored(Numbers(), values)
        case _:
            count = Count()
            count.n = values
            return count


def restored(numbers: Numbers, values: Any) -> Numbers:
    """The same numbers, with these values."""
    numbers.n, total, numbers.minimum, numbers.maximum, numbers.last = values
    numbers.total = int(total) if isinstance(total, str) else total
    return numbers
