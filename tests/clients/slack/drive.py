"""Runs in a network of its own: starts the Slack emulator, which listens everywhere, and sends to it.

`python -m tests.clients.slack.drive DIRECTORY` prints what the emulator has at the end of each step, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import aiohttp

from hxp_enterprise_llm.config.delivery import SlackConfig
from hxp_enterprise_llm.event.notifications.channels.model import Dead
from hxp_enterprise_llm.event.notifications.channels.slack import SlackChannel
from hxp_enterprise_llm.event.notifications.model import Kept
from tests.unit.notifications.support import delivery
from tests.unit.notifications.test_email import Password

PORT = 14003
BASE = f"http://127.0.0.1:{PORT}"


async def call(session: aiohttp.ClientSession, method: str, **data: Any) -> dict[str, Any]:
    """A method of the Web API. The emulator knows POST alone."""
    async with session.post(f"{BASE}/api/{method}", json=data, headers={"Authorization": "Bearer x"}) as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def up(session: aiohttp.ClientSession) -> None:
    """Wait until the emulator answers."""
    async with asyncio.timeout(20):
        while True:
            try:
                await call(session, "auth.test")
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
            else:
                return


async def texts(session: aiohttp.ClientSession, kept: Kept) -> list[str]:
    """The texts of a thread, its root first."""
    answer = await call(session, "conversations.replies", channel=kept["channel"], ts=kept["ts"])
    return [message["text"] for message in answer["messages"]]


async def steps(session: aiohttp.ClientSession) -> dict[str, Any]:
    """An incident from its beginning to its end, and one whose message is taken away."""
    channel = SlackChannel(SlackConfig(channel="general", api_url=f"{BASE}/api/"), Password("xoxb-local-test"))
    kept = await channel.send(delivery("general", "slack"), 5)
    assert kept is not None
    seen: dict[str, Any] = {"firing": await texts(session, kept)}
    end = delivery("general", "slack", kind="resolved")
    assert await channel.send(end._replace(kept=kept), 5) == kept
    seen["resolved"] = await texts(session, kept)
    await call(session, "chat.delete", channel=kept["channel"], ts=kept["ts"])
    again = await channel.send(end._replace(kept=kept), 5)
    assert again is not None
    seen["a new one"] = (again["ts"] != kept["ts"], await texts(session, again))
    try:
        await channel.send(delivery("nowhere", "slack"), 5)
    except Dead as refusal:
        seen["refusal"] = str(refusal)
    hook = SlackChannel(SlackConfig(), webhook_url=Password(f"{BASE}/services/T000000001/B000000001/x"))
    seen["webhook"] = await channel_history(session, kept["channel"], hook)
    return seen


async def channel_history(session: aiohttp.ClientSession, name: str, hook: SlackChannel) -> str:
    """What the webhook has put into the channel, or what was said against it."""
    before = {each["ts"] for each in (await call(session, "conversations.history", channel=name))["messages"]}
    await hook.send(delivery("", "slack", kind="message", rule="", title="by hook"), 5)
    after = (await call(session, "conversations.history", channel=name))["messages"]
    return next((each["text"] for each in after if each["ts"] not in before), "")


async def main(directory: str) -> None:
    """Start it, go through the steps, end it."""
    program = [f"{directory}/node_modules/emulate/dist/index.js", "start", "--service", "slack", "--port", str(PORT)]
    emulator = await asyncio.create_subprocess_exec(
        "node", *program, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with aiohttp.ClientSession() as session:
            await up(session)
            sys.stdout.write(json.dumps(await steps(session)))
    finally:
        emulator.kill()
        await emulator.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
