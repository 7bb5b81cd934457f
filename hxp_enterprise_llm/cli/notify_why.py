"""`hxp notify why`: what was decided about an alert, told in its order."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Any

import aiohttp
import click

from hxp_enterprise_llm.cli.credentials import credentials, key_file
from hxp_enterprise_llm.cli.errors import failures
from hxp_enterprise_llm.client import notification_log
from hxp_enterprise_llm.telemetry.text import clean

_EPISODE = re.compile(r"[0-9a-f]{16}-[0-9]+")
_VERBS = {
    "grouped": "was put into a group",
    "waits": "waits",
    "held": "was held back",
    "released": "was held back no longer",
    "told": "was told",
    "unheard": "was told to nobody",
    "dropped": "was not told",
    "acknowledged": "was acknowledged",
    "lapsed": "is acknowledged no longer",
}


@click.command()
@click.argument("what", metavar="EPISODE|RULE")
@click.option("--since", default="", help="Only decisions from then on, RFC 3339.")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 1000), help="At most so many.")
@click.option("--url", default="http://127.0.0.1:9102", show_default=True, help="The gateway.")
@key_file
def why(what: str, since: str, limit: int, url: str, key_file: str) -> None:
    """Explain who was told of an alert, who was not, and why."""
    key = "episode" if _EPISODE.fullmatch(what) else "alertname"
    asked = {key: what, "limit": str(limit)} | ({"since": since} if since else {})
    with failures("hxp up"):
        decisions = asyncio.run(_ask(url, asked, credentials(key_file)))
    if not decisions:
        click.echo(f"Nothing has been decided about {clean(what)}: it has not fired, or too long ago.", err=True)
        raise SystemExit(1)
    for line in explained(decisions):
        click.echo(line)


async def _ask(url: str, asked: dict[str, str], headers: dict[str, str]) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30), headers=headers) as session:
        return await notification_log(session, url, asked)


def explained(decisions: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The decisions as text: a heading for each episode, a line for each decision."""
    last = ""
    for decision in decisions:
        if decision["episode"] != last:
            last = decision["episode"]
            yield f"{clean(decision['alertname'])}, episode {clean(last)}"
        verb = _VERBS.get(decision["outcome"], clean(decision["outcome"]))
        whom = f" for {clean(decision['receiver'])}" if decision.get("receiver") else ""
        yield f"  {clean(decision['at'])}  {verb}{whom}: {clean(decision['reason'], 500)}"
