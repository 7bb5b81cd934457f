"""`hxp top`: a gateway in the terminal, as it is now."""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import click
import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hxp_enterprise_llm.cli.addresses import gateway_url
from hxp_enterprise_llm.cli.credentials import credentials, key_file
from hxp_enterprise_llm.cli.errors import failures
from hxp_enterprise_llm.client import ClientError
from hxp_enterprise_llm.client.top import ChannelView, View, look
from hxp_enterprise_llm.telemetry.text import clean

TIMEOUT_SECONDS = 5.0
_ALERTS_SHOWN = 8


@click.command()
@gateway_url()
@click.option(
    "--interval", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds between looks."
)
@click.option("--once", is_flag=True, help="One look, then end; so it is, too, when the output is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; implies --once.")
@key_file
def top(url: str, interval: float, once: bool, as_json: bool, key_file: str) -> None:
    """Show channels, connections, log and alerts of a gateway, live until Ctrl-C."""
    console = Console(highlight=False)
    with failures("hxp up"):
        headers = credentials(key_file)
        if as_json:
            sys.stdout.write(msgspec.json.encode(asyncio.run(_once(url, headers))).decode() + "\n")
        elif once or not console.is_terminal:
            console.print(page(asyncio.run(_once(url, headers))))
        else:
            try:
                asyncio.run(watch(url, interval, console, headers))
            except KeyboardInterrupt:
                # Ctrl-C is how one stops watching, no failure.
                click.echo(err=True)


def _session(headers: dict[str, str]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS), headers=headers)


async def _once(url: str, headers: dict[str, str]) -> View:
    async with _session(headers) as session:
        return await look(session, url)


async def watch(url: str, interval: float, console: Console, headers: dict[str, str]) -> None:
    """Look again and again. The first look must succeed; later the last picture stays, with why it is old."""
    async with _session(headers) as session:
        view = await look(session, url)
        with Live(page(view), console=console, screen=True, auto_refresh=False) as live:
            while True:
                await asyncio.sleep(interval)
                note = ""
                try:
                    view = await look(session, url)
                except ClientError as error:
                    note = clean(str(error), 200)
                live.update(page(view, note), refresh=True)


def page(view: View, note: str = "") -> RenderableType:
    """The picture of one look; `note` says why it is an old one."""
    parts: list[RenderableType] = [_head(view)]
    if note:
        parts.append(Text(note, "bold red"))
    elif view.reason:
        parts.append(Text(clean(view.reason, 200), "yellow"))
    return Group(*parts, _channels(view), *_alerts(view))


def _head(view: View) -> Text:
    cpu = "not measured" if view.cpu_percent is None else f"{view.cpu_percent:.0f} %"
    line = Text.assemble((clean(view.status), "green" if view.status == "ok" else "bold red"))
    line.append(f"   log head {view.head:,}")
    if view.head > view.offset:
        line.append(f" ({view.head - view.offset:,} not read yet)", "yellow")
    for transport, count in view.connections.items():
        limit = view.max_connections.get(transport, 0)
        line.append(f"   {clean(transport)} {count:,}/{limit:,}", "yellow" if count >= 0.8 * limit > 0 else "")
    return line.append(f"   host CPU {cpu}")


def _channels(view: View) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("channel")
    for title in ("messages/s", "messages", "subscribers", "behind", "lag"):
        table.add_column(title, justify="right")
    for name, channel in sorted(view.channels.items(), key=_busiest):
        table.add_row(
            clean(name),
            f"{channel.messages_per_second:,.1f}",
            f"{channel.messages:,}",
            f"{channel.subscribers:,}",
            f"{channel.behind:,}",
            f"{channel.lag:,}",
            style="yellow" if channel.behind else "" if channel.subscribers else "dim",
        )
    return table


def _busiest(item: tuple[str, ChannelView]) -> tuple[int, float, str]:
    name, channel = item
    return -channel.subscribers, -channel.messages_per_second, name


def _alerts(view: View) -> list[Text]:
    lines = []
    for alert in view.alerts[:_ALERTS_SHOWN]:
        style = "bold red" if alert.state == "firing" else "yellow"
        lines.append(
            Text(f"{clean(alert.state)}  {clean(alert.name)}  {clean(alert.priority)}  {alert.since or ''}", style)
        )
    if len(view.alerts) > _ALERTS_SHOWN:
        lines.append(Text(f"and {len(view.alerts) - _ALERTS_SHOWN} more alerts", "yellow"))
    return lines
