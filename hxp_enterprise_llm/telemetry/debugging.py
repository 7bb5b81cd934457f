"""Whether lines at DEBUG are written, asked before their values are put together on the hot paths."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import structlog


def debugging() -> bool:
    """Costs a tenth of a line that is left out in the end."""
    return _writes_debug(structlog.get_config()["wrapper_class"])


@lru_cache(maxsize=8)
def _writes_debug(wrapper: Callable[..., Any]) -> bool:
    # Asked of the class: an instance of another kind makes a method of any name.
    if not hasattr(wrapper, "is_enabled_for"):
        return True
    return bool(wrapper(None, (), {}).is_enabled_for(logging.DEBUG))
