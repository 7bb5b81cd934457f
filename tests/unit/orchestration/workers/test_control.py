"""Messages between the first process and a worker."""

from __future__ import annotations

import asyncio
import socket

from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.rules import RuleConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.streaming.centrifuge.presence import Info, Move
from hxp_enterprise_llm.orchestration.workers.control import (
    MOST_UNREAD_BYTES,
    Alive,
    Control,
    Moves,
    Ready,
    Reload,
    ReloadAggregation,
    Start,
    StartAggregation,
    Stop,
)


async def test_messages_arrive_whole_and_in_order():
    """A configuration is the same on the other side, keys that are Python's words too."""
    ours, theirs = [await Control.over(sock) for sock in socket.socketpair()]
    rule = RuleConfig(name="r", condition="latency > 1", for_="5m")
    config = StreamingConfig()
    config.real_time_notifications.notification_rules.append(rule)
    moves = Moves([Move("a", "c", Info("u", "c")), Move("a", "d")], news=False)
    sent = [Start(1, config, "node", "/run/x", own_log=True), Reload(config), Stop(), Ready(), Alive(7), moves]
    processing = ProcessingConfig()
    sent += [StartAggregation(processing, "node", "/run/x"), ReloadAggregation(processing)]
    for message in sent:
        ours.send(message)
    assert [await theirs.receive() for _ in sent] == sent
    ours.close()
    assert await theirs.receive() is None
    theirs.close()


async def test_what_is_sent_to_one_that_is_gone_is_for_nobody():
    """No error: its end is seen where messages are read."""
    ours, theirs = [await Control.over(sock) for sock in socket.socketpair()]
    theirs.close()
    assert await ours.receive() is None
    for _ in range(3):
        ours.send(Stop())
        await asyncio.sleep(0)
    ours.close()
    ours.send(Stop())


async def test_one_who_reads_nothing_is_given_up():
    """What waits for it is bounded; then it is as if it were gone, on both sides."""
    ours, theirs = [await Control.over(sock) for sock in socket.socketpair()]
    for _ in range(3):
        ours.write(bytes(MOST_UNREAD_BYTES))
    async with asyncio.timeout(10):
        assert await ours.receive() is None
    ours.write(b"more")
    theirs.close()
