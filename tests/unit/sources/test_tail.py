"""Which events are among the newest of the log."""

from __future__ import annotations

from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.model import Event, encode
from hxp_enterprise_llm.event.sources.tail import found_in


async def test_those_that_are_stored_are_found() -> None:
    log = MemoryLog()
    await log.open()
    assert await found_in(log, [("/a", "1")]) == set()
    for number in range(2500):
        await log.append([encode(Event(id=str(number), source="/a", type="t", time="2026-11-30T00:00:00Z", data={}))])
    wanted = [("/a", "3"), ("/a", "2400"), ("/b", "2400"), ("/a", "9999")]
    assert await found_in(log, wanted) == {("/a", "3"), ("/a", "2400")}
    assert await found_in(log, wanted, newest=200) == {("/a", "2400")}
    await log.close()
