"""Who delivers: a row of the store with a number that grows with each holder. Runs within a transaction of the caller.

A process that was paused and comes back finds the number changed: it can neither take a delivery nor settle one.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, select, update

from hxp_enterprise_llm.store.tables import lease

NAME = "deliveries"
SECONDS = 15.0
"""How long a holder is waited for that says nothing."""
RENEW_SECONDS = 5.0


_HOLDER = select(lease.c.token, lease.c.holder).where(lease.c.name == NAME)


class LeaseLost(Exception):
    """Another process delivers. `holder` is who."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder

    def __str__(self) -> str:
        return f"{self.holder} delivers now"


class Answer(NamedTuple):
    """The number under which the asker delivers; or None, who does, and the seconds after which to ask again."""

    token: int | None
    holder: str
    wait: float = 0.0


def acquire(connection: Connection, node: str, run: str, now: float, *, starts: bool) -> Answer:
    """Become the holder, unless another one is alive. `run` tells the runs of a process on one node apart.

    A process that `starts` does not wait for an earlier run on its node: that one has ended, or is fenced off by this.
    """
    mine = f"{node}/{run}"
    row = connection.execute(select(lease).where(lease.c.name == NAME)).first()
    if row is None:
        connection.execute(lease.insert().values(name=NAME, holder=mine, token=1, expires_at=now + SECONDS))
        return Answer(1, mine)
    # A clock that was set back must not make a lease outlive its time.
    left = min(row.expires_at - now, SECONDS)
    if row.holder != mine and left > 0 and not (starts and row.holder.rpartition("/")[0] == node):
        return Answer(None, row.holder, left)
    values = {"holder": mine, "token": row.token + 1, "expires_at": now + SECONDS}
    connection.execute(update(lease).where(lease.c.name == NAME).values(values))
    return Answer(row.token + 1, mine)


def check(connection: Connection, token: int) -> None:
    """Raises LeaseLost unless the token is still the holder's."""
    row = connection.execute(_HOLDER).first()
    if row is None or row.token != token:
        raise LeaseLost("nobody" if row is None else row.holder)


def renew(connection: Connection, token: int, now: float) -> None:
    """Hold it for another while. Raises LeaseLost."""
    check(connection, token)
    connection.execute(update(lease).where(lease.c.name == NAME).values(expires_at=now + SECONDS))


def release(connection: Connection, token: int) -> None:
    """An orderly end: whoever waits need wait no longer."""
    values = {"expires_at": 0.0}
    connection.execute(update(lease).where(lease.c.name == NAME, lease.c.token == token).values(values))
