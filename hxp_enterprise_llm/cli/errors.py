"""Exit codes, and how a failure is said: what went wrong on one line, what to do on the next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from hxp_enterprise_llm.client import BadAnswer, Refused, Unreachable
from hxp_enterprise_llm.telemetry.text import MESSAGE_LIMIT, clean

EX_REFUSED = 1
EX_UNAVAILABLE = 69
EX_PROTOCOL = 76
EX_CONFIG = 78

_ITEMS_SHOWN = 20
_OTHER_SERVICE = (
    "--url names another service: publish, export, log and rules ask event processing (port 9100 as shipped), "
    "tail, top and notify the gateway (9102)"
)
"""A command asks for no address that its service does not have, so what the service itself proposes leads astray."""


class Failure(click.ClickException):
    """Ends the command; the message goes to stderr as it is, one or several lines."""

    exit_code = EX_REFUSED

    def show(self, file: IO[Any] | None = None) -> None:
        for line in self.message.splitlines():
            click.echo(line, err=True)


class Unavailable(Failure):
    """Nobody answers."""

    exit_code = EX_UNAVAILABLE


class WrongPeer(Failure):
    """Somebody answers who is no such service."""

    exit_code = EX_PROTOCOL


@contextmanager
def rights(failure: type[Failure] = Failure) -> Iterator[None]:
    """Say in one line what this user may not touch."""
    try:
        yield
    except PermissionError as error:
        raise failure(no_right(error.filename or error)) from None


def no_right(place: object) -> str:
    """That this user may not touch a place, and what to do."""
    return f"{clean(str(place))}: no right to use it; be the user that it belongs to, or use sudo"


@contextmanager
def failures(start: str) -> Iterator[None]:
    """Say what the client raises. `start` is the command that starts the service when nobody answers."""
    try:
        yield
    except Unreachable as error:
        what = f"{clean(error.url)} does not answer: {clean(error.reason)}"
        raise Unavailable(f"{what}. Is it running? Start it with `{start}`, or name another with --url.") from None
    except Refused as error:
        raise Failure("\n".join(_refusal(error))) from None
    except BadAnswer as error:
        raise WrongPeer(clean(str(error), MESSAGE_LIMIT)) from None


def _refusal(error: Refused) -> Iterator[str]:
    yield f"refused: {clean(error.summary, MESSAGE_LIMIT)}"
    items = error.details.get("items")
    for item in items[:_ITEMS_SHOWN] if isinstance(items, list) else []:
        if isinstance(item, dict):
            place = " ".join(str(item[key]) for key in ("index", "path") if item.get(key) not in (None, ""))
            yield "  " + clean(f"{place}: {item.get('message', '')}", MESSAGE_LIMIT)
    hint = _OTHER_SERVICE if error.code == "not_found" else error.hint
    if hint:
        yield f"hint: {clean(hint, MESSAGE_LIMIT)}"
