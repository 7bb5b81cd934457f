"""`hxp notify`: send a notification by hand, to see that it arrives."""

from __future__ import annotations

import asyncio

import aiohttp
import click

from hxp_enterprise_llm.cli.credentials import credentials, key_file
from hxp_enterprise_llm.cli.errors import failures
from hxp_enterprise_llm.cli.notify_why import why
from hxp_enterprise_llm.client import send_notification
from hxp_enterprise_llm.client.notify import Sent
from hxp_enterprise_llm.telemetry.text import clean


@click.group()
def notify() -> None:
    """Notifications."""


notify.add_command(why)


@notify.command()
@click.option("--channel", default="websocket", show_default=True, help="websocket, sse, email, slack, or all.")
@click.option("--message", default="Test notification", show_default=True, help="The text.")
@click.option("--url", default="http://127.0.0.1:9102", show_default=True, help="The gateway.")
@key_file
def test(channel: str, message: str, url: str, key_file: str) -> None:
    """Send a test notification and print what becomes of it."""
    with failures("hxp up"):
        sent = asyncio.run(_send(url, {"type": "test", "message": message, "channel": channel}, credentials(key_file)))
    click.echo(f"notification {clean(sent.id)}")
    for delivery in sent.deliveries:
        click.echo(f"  {clean(delivery.channel)}: {clean(delivery.state)}")


async def _send(url: str, notification: dict[str, str], headers: dict[str, str]) -> Sent:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30), headers=headers) as session:
        return await send_notification(session, url, notification)
