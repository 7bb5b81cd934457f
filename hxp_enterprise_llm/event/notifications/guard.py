"""What the routes of this room answer when the store cannot be asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.store.errors import StoreUnavailable

T = TypeVar("T")


async def stored(ask: Callable[[], Awaitable[T]]) -> T:
    """What the store answers. Raises Problem 503."""
    try:
        return await ask()
    except StoreUnavailable as error:
        raise Problem(503, "store_unavailable", str(error), "try again", headers={"Retry-After": "5"}) from None
