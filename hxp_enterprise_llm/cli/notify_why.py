"""`hxp notify why`: what was decided about an alert, told in its order."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Any

import aiohttp
import click

from hxp_enterprise_llm.cli.addresses import gateway_url
from hxp_enterprise_llm.cli.credentials import credentials, key_file
from hxp_enterprise_llm.cli.errors import failures
from hxp_enterprise_llm.client.notify import Explanation, explanation, rule_states
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
_STATES = {
    "queued": "not yet sent",
    "in_flight": "being sent",
    "retry": "failed, will be tried again",
    "merged": "told by another message",
    "dead": "given up (hxp notify dead)",
}
_NAMES = 20


@click.command()
@click.argument("what", metavar="EPISODE|RULE")
@click.option("--since", default="", help="Only decisions from then on, RFC 3339.")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 1000), help="At most so many.")
@gateway_url()
@key_file
def why(what: str, since: str, limit: int, url: str, key_file: str) -> None:
    """Explain who was told of an alert, who was not, and why.

    An episode is one alert from its beginning to its end: `episode` in `hxp tail system_alerts`.

        hxp notify why critical_alert
    """
    key = "episode" if _EPISODE.fullmatch(what) else "alertname"
    asked = {key: what, "limit": str(limit)} | ({"since": since} if since else {})
    with failures("hxp up"):
        found, rules = asyncio.run(_ask(url, asked, credentials(key_file)))
    if not found.decisions:
        click.echo(f"Nothing has been decided about {clean(what)}: it has not fired, or too long ago.", err=True)
        click.echo(_hint(what, rules), err=True)
        raise SystemExit(1)
    for line in (*explained(found.decisions), *delivered(found.deliveries)):
        click.echo(line)


async def _ask(
    url: str, asked: dict[str, str], headers: dict[str, str]
) -> tuple[Explanation, Sequence[dict[str, Any]]]:
    """The explanation; where there is none, the rules as well."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30), headers=headers) as session:
        found = await explanation(session, url, asked)
        return found, [] if found.decisions else await rule_states(session, url)


def _hint(what: str, rules: Sequence[dict[str, Any]]) -> str:
    """What there is to know of a rule that has not fired; of another name, which rules there are."""
    rule = next((each for each in rules if each.get("name") == what), None)
    if rule is None:
        names = ", ".join(clean(str(each.get("name"))) for each in rules[:_NAMES])
        more = f" and {len(rules) - _NAMES} more" if len(rules) > _NAMES else ""
        return f"hint: no rule has this name; rules are: {names or 'none'}{more}"
    values = ", ".join(f"{clean(name)} is {value}" for name, value in rule.get("values", {}).items())
    facts = [f"state {rule.get('state')}", f"health {rule.get('health')}", rule.get("reason") or "", values]
    return f"hint: the rule says {clean(rule.get('condition', ''), 200)}: " + "; ".join(
        clean(str(fact), 200) for fact in facts if fact
    )


def delivered(deliveries: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What has become of what was told: a line for each delivery."""
    if deliveries:
        yield "deliveries"
    for each in deliveries:
        whom = f"{clean(each['channel'])} {clean(each['target'])}".strip()
        error = f": {clean(each['error'], 500)}" if each.get("error") else ""
        tries = "once" if each["attempts"] == 1 else f"{each['attempts']} times"
        state = clean(_STATES.get(each["state"], each["state"]))
        yield f"  {clean(each['at'])}  {clean(each['kind'])} to {whom}: {state}, tried {tries}{error}"


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
