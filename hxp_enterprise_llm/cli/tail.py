"""`hxp tail`: follow a channel in a terminal."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from itertools import islice
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.text import Text

from hxp_enterprise_llm.cli.addresses import gateway_url
from hxp_enterprise_llm.cli.credentials import credentials, key_file
from hxp_enterprise_llm.cli.errors import failures
from hxp_enterprise_llm.client import Control, Item, Lost, Received, Subscription
from hxp_enterprise_llm.telemetry.text import clean, pair

_PAIRS_SHOWN = 32
_NESTED_SHOWN = 120
_STYLES = (
    ("alert.resolved", "green"),
    ("alert.", "bold red"),
    ("notification.", "magenta"),
    ("llm.request.failed", "red"),
    ("agent.failed", "red"),
    ("llm.", "cyan"),
    ("agent.", "blue"),
    ("tool.", "blue"),
    ("host.", "bright_black"),
    ("analytics.", "bright_black"),
)


@click.command()
@click.argument("channel", default="events")
@click.option("--after", default="", help="Begin after this place: EPOCH.OFFSET, or an offset; 0 for the beginning.")
@click.option("--last", type=click.IntRange(1, 10_000), help="Begin with so many recent events.")
@click.option("--type", "types", multiple=True, help="Only these types: llm.request.failed, 'llm.*'. May be repeated.")
@click.option("--filter", default="", help="Only events for which this holds: 'data.latency_ms > 500'.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many events.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as it comes, one JSON object a line.")
@gateway_url()
@key_file
def tail(
    channel: str,
    after: str,
    last: int | None,
    types: tuple[str, ...],
    filter: str,
    count: int | None,
    as_json: bool,
    url: str,
    key_file: str,
) -> None:
    """Print the events of CHANNEL as they happen, until Ctrl-C. A lost connection goes on where it was.

    Without CHANNEL all events, the channel `events`; GET /streams of the gateway lists the channels.

        hxp tail --type 'llm.*' --last 20

        hxp tail system_alerts --json | jq .data
    """
    headers = credentials(key_file)
    subscription = Subscription(url, channel, after=after, last=last, types=types, filter=filter, headers=headers)
    with failures("hxp up"):
        try:
            asyncio.run(_follow(subscription, Printer(as_json), count))
        except KeyboardInterrupt:
            # Ctrl-C is how one stops watching, no failure.
            click.echo(err=True)


async def _follow(subscription: Subscription, printer: Printer, count: int | None) -> None:
    left = count
    async with aclosing(aiter(subscription)) as items:
        async for item in items:
            printer.show(item)
            if isinstance(item, Received) and left is not None:
                left -= 1
                if left == 0:
                    return


class Printer:
    """Events to stdout, everything about the stream to stderr."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._out = Console(highlight=False, soft_wrap=True)
        self._notes = Console(stderr=True, highlight=False, soft_wrap=True)

    def show(self, item: Item) -> None:
        """Print one item at once."""
        if isinstance(item, Lost):
            self._notes.print(Text(_lost(item), "yellow"))
        elif isinstance(item, Control):
            self._notes.print(Text(_control(item), "yellow"))
        elif self._as_json:
            sys.stdout.write(item.text + "\n")
            sys.stdout.flush()
        else:
            self._event(event_line(item))

    def _event(self, line: Text) -> None:
        if self._out.is_terminal:
            # One event, one line: what does not fit is cut.
            self._out.print(line, soft_wrap=False, no_wrap=True, overflow="ellipsis", crop=True)
        else:
            self._out.print(line)
            self._out.file.flush()


def event_line(item: Received) -> Text:
    """`17:34:31.250 1234 llm.request.completed /source model=… latency_ms=840`, safe for a terminal."""
    event = item.event
    type, time = clean(str(event.get("type", ""))), clean(str(event.get("time", "")), 40)
    style = next((style for prefix, style in _STYLES if type.startswith(prefix)), "")
    line = Text.assemble((f"{time[11:23]:<12} ", "dim"), (f"{item.position.offset} ", "dim"), (type, style))
    for key in ("source", "subject"):
        if event.get(key):
            line.append(" " + clean(str(event[key])), "dim")
    data = _data(event.get("data"))
    return line.append(" " + data) if data else line


def _data(data: Any) -> str:
    if data is None:
        return ""
    if not isinstance(data, dict):
        return clean(_text(data))
    shown = " ".join(_member(clean(key, 64), value) for key, value in islice(data.items(), _PAIRS_SHOWN))
    return shown if len(data) <= _PAIRS_SHOWN else f"{shown} …(+{len(data) - _PAIRS_SHOWN})"


def _member(key: str, value: Any) -> str:
    if isinstance(value, dict | list):
        return f"{key}={clean(_text(value), _NESTED_SHOWN)}"
    return pair(key, clean(_text(value)))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _lost(item: Lost) -> str:
    text = f"connection lost: {clean(item.reason)}; next try in {item.delay:.1f} s"
    if item.position is None:
        return f"{text}, from then on: what happens meanwhile is not seen"
    return f"{text}, after {clean(str(item.position))}"


def _control(item: Control) -> str:
    fields = {key: value for key, value in item.fields.items() if key != "control"}
    if item.kind != "reset":
        return f"{clean(item.kind)}: {_data(fields)}"
    return f"reset: events were lost to this client ({_data(fields)})"
