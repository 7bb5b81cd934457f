"""Where a command finds the services: --url, a variable of the environment, else the ports as shipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click

PROCESSING, GATEWAY = "http://127.0.0.1:9100", "http://127.0.0.1:9102"
PROCESSING_VARIABLE, GATEWAY_VARIABLE = "HXP_PROCESSING_URL", "HXP_GATEWAY_URL"

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def address(text: str) -> str:
    """The base address that somebody wrote: HOST:PORT alone is one of plain HTTP, and WebSocket's scheme is as good.

    Raises click.BadParameter.
    """
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        whole = parts.hostname and parts.port != 0 and not parts.netloc.endswith(":")
        scheme = _SCHEMES.get(parts.scheme, "") if whole else ""
    except ValueError:
        scheme = ""
    if not scheme:
        raise click.BadParameter(f"{text!r} is no address: write one such as {PROCESSING}")
    return urlunsplit(parts._replace(scheme=scheme)).rstrip("/")


def processing_url(what: str = "Event processing.") -> Decorator:
    """The option --url of a command that asks event processing."""
    return _option(PROCESSING_VARIABLE, PROCESSING, what)


def gateway_url(what: str = "The gateway.") -> Decorator:
    """The option --url of a command that asks the gateway."""
    return _option(GATEWAY_VARIABLE, GATEWAY, what)


def _option(variable: str, default: str, what: str) -> Decorator:
    return click.option(
        "--url",
        metavar="URL",
        callback=lambda _context, _option, text: address(text),
        default=default,
        envvar=variable,
        show_default=True,
        show_envvar=True,
        help=what,
    )
