"""`hxp notify`: try out a channel, and look after what was given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp
import click

from hxp_enterprise_llm.cli.addresses import gateway_url
from hxp_enterprise_llm.cli.credentials import credentials, key_file
from hxp_enterprise_llm.cli.errors import EX_REFUSED, failures
from hxp_enterprise_llm.cli.groups import Group
from hxp_enterprise_llm.cli.notify_why import why
from hxp_enterprise_llm.cli.rendering import render
from hxp_enterprise_llm.client.notify import DeadLetter, dead_letters, try_out
from hxp_enterprise_llm.client.notify import replay as replay_letters
from hxp_enterprise_llm.telemetry.text import clean

T = TypeVar("T")
_TIMEOUT_SECONDS = 60
"""Longer than a drill waits for its outcome."""


@click.group(cls=Group)
def notify() -> None:
    """Try out channels, look after what was given up, and explain who was told what."""


notify.add_command(why)


@notify.command()
@click.argument("channel", required=False)
@click.option("--channel", "named", help="The same as CHANNEL.")
@click.option("--receiver", default="", help="Whoever is behind the name of a receiver, in place of a channel.")
@click.option("--target", default="", help="One recipient of several: an address, a Slack channel, a webhook's name.")
@click.option("--message", default="", help="The text.")
@gateway_url()
@key_file
def test(
    channel: str | None, named: str | None, receiver: str, target: str, message: str, url: str, key_file: str
) -> None:
    """Send a test by CHANNEL (websocket, sse, email, slack, webhook, alertmanager), wait, and say what became of it.

    Without CHANNEL by websocket. It is marked [TEST] wherever it is shown. The exit status is 1 when somebody did not
    get it.

        hxp notify test email --target oncall@example.org
    """
    if (channel or named) and receiver:
        raise click.UsageError("Name either a channel or --receiver.")
    wish = {"receiver": receiver} if receiver else {"channel": channel or named or "websocket"}
    drill = wish | {key: text for key, text in (("target", target), ("message", message)) if text}
    outcome = _talk(key_file, lambda session: try_out(session, url, drill))
    click.echo(f"notification {clean(outcome.id)}")
    for delivery in outcome.deliveries:
        whom = f"{clean(delivery.channel)} {clean(delivery.target)}".strip()
        why = f": {clean(delivery.reason, 500)}" if delivery.reason else ""
        click.echo(f"  {whom}: {clean(delivery.state)}{why}")
    if not outcome.delivered:
        raise click.exceptions.Exit(EX_REFUSED)


@notify.command()
@gateway_url()
@key_file
def dead(url: str, key_file: str) -> None:
    """List the deliveries that were given up, the newest first."""
    letters = _talk(key_file, lambda session: dead_letters(session, url)).dead
    if not letters:
        click.echo("nothing was given up")
    for letter in letters:
        click.echo(_line(letter))


notify.add_command(render)


def _line(letter: DeadLetter) -> str:
    whom = f"{letter.channel} {letter.target}".strip()
    several = f" (tells {letter.tells})" if letter.tells > 1 else ""
    attempts = f"{letter.attempts} {'attempt' if letter.attempts == 1 else 'attempts'}"
    text = f"{letter.id}  {letter.given_up_at}  {whom}  {letter.title}{several}: {letter.reason} ({attempts})"
    return clean(text, 500)


@notify.command()
@click.argument("ids", nargs=-1, metavar="ID…")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@gateway_url()
@key_file
def replay(ids: tuple[str, ...], everything: bool, url: str, key_file: str) -> None:
    """Send again what was given up: the IDs that `hxp notify dead` shows, or --all."""
    if bool(ids) == everything:
        raise click.UsageError("Name IDs of `hxp notify dead`, or --all.")
    if strange := [text for text in ids if not text.isdecimal()]:
        raise click.UsageError(f"{strange[0]!r} is no ID: they are the numbers at the beginning of `hxp notify dead`.")
    chosen = None if everything else [int(text) for text in ids]
    answer = _talk(key_file, lambda session: replay_letters(session, url, chosen))
    click.echo(f"queued again: {', '.join(map(str, answer.replayed)) or 'none'}")
    if answer.unknown:
        click.echo(f"not given up: {', '.join(map(str, answer.unknown))}", err=True)
        raise click.exceptions.Exit(EX_REFUSED)


def _talk(key_file: str, ask: Callable[[aiohttp.ClientSession], Awaitable[T]]) -> T:
    async def talk() -> T:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, headers=credentials(key_file)) as session:
            return await ask(session)

    with failures("hxp up"):
        return asyncio.run(talk())
