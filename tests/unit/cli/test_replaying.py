"""The replay of `hxp up`: read before anything starts, then appended at its pace."""

from __future__ import annotations

import click
import pytest

from hxp_enterprise_llm.cli.replaying import Replay
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.model import EARLIEST, decode

TRACE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"
)


async def test_every_request_of_the_trace_is_appended(tmp_path):
    """At speed 0 all at once, in order, each marked."""
    trace = tmp_path / "trace.csv"
    trace.write_text(TRACE)
    log = MemoryLog()
    await log.open()
    await Replay.of(trace, 0).play(log.append)
    events = [decode(stored.raw) for stored in (await log.read(EARLIEST)).events]
    assert [event.data["input_tokens"] for event in events] == [374, 396]
    assert all(event.data["replay"] is True for event in events)


def test_a_faulty_trace_ends_the_command_with_its_place(tmp_path):
    """File and line, said as the command line says it."""
    trace = tmp_path / "trace.csv"
    trace.write_text(TRACE.replace("374", "many"))
    with pytest.raises(click.ClickException) as refused:
        Replay.of(trace, 1)
    assert f"{trace}:2:" in refused.value.message
