"""How often Python looks for cycles of objects."""

from __future__ import annotations

import gc


def collect_seldom() -> None:
    """Look for cycles seldom: the newest events are a hundred thousand tuples without any, walked in vain each time.

    At the usual thresholds that is a fifth of the work of taking events in.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
