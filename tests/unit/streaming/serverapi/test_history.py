"""History: forwards, backwards, in pieces, over places that the log no longer has."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.config.streaming import ChannelConfig, StreamingConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.streaming.serverapi import history
from tests.unit.streaming.serverapi.serving import Api, serving

CONFIG = StreamingConfig(channels={"chat": ChannelConfig(types=["chat.message"])})


def numbers(answer: Any) -> list[Any]:
    return [one["data"] for one in answer["result"]["publications"]]


async def fill(api: Api, count: int, others: int = 0) -> list[int]:
    """Publications numbered from 0 with events of no concern between them; answers the offsets."""
    offsets = []
    for n in range(count):
        if others:
            await api.append("host.cpu", *(f"{n}-{m}" for m in range(others)))
        answer = await api.ask("publish", channel="chat", data=n)
        offsets.append(answer["result"]["offset"])
    return offsets


async def test_without_a_limit_only_the_place_is_told() -> None:
    async with serving(CONFIG) as api:
        offsets = await fill(api, 3)
        bounds = await api.log.bounds()
        answer = await api.ask("history", channel="chat")
        assert answer == {"result": {"publications": [], "epoch": bounds.epoch, "offset": offsets[-1]}}


async def test_forwards_and_backwards() -> None:
    async with serving(CONFIG) as api:
        offsets = await fill(api, 10, others=3)
        assert numbers(await api.ask("history", channel="chat", limit=3)) == [0, 1, 2]
        assert numbers(await api.ask("history", channel="chat", limit=3, reverse=True)) == [9, 8, 7]
        assert numbers(await api.ask("history", channel="chat", limit=-1)) == list(range(10))
        since = {"offset": offsets[4]}
        assert numbers(await api.ask("history", channel="chat", limit=2, since=since)) == [5, 6]
        assert numbers(await api.ask("history", channel="chat", limit=2, since=since, reverse=True)) == [3, 2]
        end = {"offset": offsets[-1], "epoch": (await api.log.bounds()).epoch}
        assert numbers(await api.ask("history", channel="chat", limit=2, since=end)) == []
        assert numbers(await api.ask("history", channel="chat", limit=2, since={"offset": 0}, reverse=True)) == []


async def test_other_events_of_the_channel_are_told_whole() -> None:
    async with serving(CONFIG) as api:
        (offset,) = await api.append("chat.message", "m", data={"text": "x"})
        await api.append("stream.publication", "odd", subject="chat", data=7)
        first, odd = (await api.ask("history", channel="chat", limit=5))["result"]["publications"]
        assert first["offset"] == offset
        assert (first["data"]["type"], first["data"]["data"]) == ("chat.message", {"text": "x"})
        assert (odd["data"]["id"], odd["data"]["data"]) == ("odd", 7)


async def test_skip_history() -> None:
    """Such a publication is delivered and in the log; the history leaves it out."""
    async with serving(CONFIG) as api:
        await api.ask("publish", channel="chat", data=1, skip_history=True)
        await api.ask("publish", channel="chat", data=2)
        assert numbers(await api.ask("history", channel="chat", limit=5)) == [2]
        assert numbers(await api.ask("history", channel="chat", limit=1, reverse=True)) == [2]
        assert [event["data"]["data"] for event in await api.events()] == [1, 2]


async def test_an_answer_is_bounded_in_bytes_and_goes_on_with_since(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_BYTES", 3000)
    async with serving(CONFIG) as api:
        for n in range(6):
            await api.ask("publish", channel="chat", data={"n": n, "text": "x" * 1000})
        for reverse in (False, True):
            found: list[int] = []
            since: dict[str, Any] = {}
            while True:
                answer = await api.ask("history", channel="chat", limit=-1, reverse=reverse, **since)
                page = answer["result"]["publications"]
                if not page:
                    break
                assert 1 <= len(page) <= 2
                found += [one["data"]["n"] for one in page]
                since = {"since": {"offset": page[-1]["offset"]}}
            assert found == sorted(range(6), reverse=reverse)


async def test_one_that_is_larger_than_an_answer_is_given_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_BYTES", 100)
    async with serving(CONFIG) as api:
        await fill(api, 2)
        assert numbers(await api.ask("history", channel="chat", limit=-1)) == [0]
        assert numbers(await api.ask("history", channel="chat", limit=-1, reverse=True)) == [1]


@pytest.mark.parametrize(
    ("members", "code", "message"),
    [
        ({"channel": "nowhere"}, 102, "unknown channel: 'nowhere'"),
        ({"channel": "chat", "limit": 1001}, 107, "bad request: limit is 1,001, not -1 to 1,000"),
        ({"channel": "chat", "limit": -2}, 107, "bad request: limit is -2"),
        ({"channel": "chat", "limit": 1, "since": {"offset": -1}}, 107, "bad request: since.offset is below 0"),
        ({"channel": "chat", "limit": 1, "since": {}}, 107, "bad request: history: since.offset: is required"),
        ({"channel": "chat", "limit": 1, "since": {"offset": 0, "epoch": "x"}}, 112, "unrecoverable position: the log"),
        ({"channel": "chat", "limit": 1, "since": {"offset": 9}}, 112, "unrecoverable position: the log ends at 2"),
        (
            {"channel": "chat", "limit": 1, "since": {"offset": 9}, "reverse": True},
            112,
            "unrecoverable position: the log ends at 2",
        ),
    ],
)
async def test_what_cannot_be_told(members: dict[str, Any], code: int, message: str) -> None:
    async with serving(CONFIG) as api:
        await fill(api, 2)
        found = await api.error("history", **members)
        assert found[0] == code
        assert found[1].startswith(message)


async def test_what_the_log_has_dropped_is_said() -> None:
    async with serving(CONFIG) as api:
        offsets = await fill(api, 4)
        await api.log.trim(offsets[1])
        code, message = await api.error("history", channel="chat", limit=1, since={"offset": 0})
        assert (code, message) == (112, "unrecoverable position: offset 0 is no longer in the log, which begins at 3")
        assert numbers(await api.ask("history", channel="chat", limit=9)) == [2, 3]
        assert numbers(await api.ask("history", channel="chat", limit=9, reverse=True)) == [3, 2]


class Trimming(MemoryLog):
    """Drops its beginning while it is read."""

    drops = False

    async def read(self, after, limit=1000, *, types=None, epoch=None):  # type: ignore[no-untyped-def]
        if self.drops:
            await self.trim((await self.bounds()).head)
        return await super().read(after, limit, types=types, epoch=epoch)


async def test_what_is_dropped_while_it_is_read() -> None:
    log = Trimming()
    await log.open()
    async with serving(CONFIG, log) as api:
        offsets = await fill(api, 3)
        await api.settled(offsets[-1])
        log.drops = True
        assert numbers(await api.ask("history", channel="chat", limit=9, reverse=True)) == []


class Slow(MemoryLog):
    hold = False

    async def read(self, after, limit=1000, *, types=None, epoch=None):  # type: ignore[no-untyped-def]
        if self.hold:
            await asyncio.Event().wait()
        return await super().read(after, limit, types=types, epoch=epoch)


async def test_a_history_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "SECONDS", 0.05)
    log = Slow()
    await log.open()
    async with serving(CONFIG, log) as api:
        await fill(api, 1)
        log.hold = True
        code, message = await api.error("history", channel="chat", limit=1)
        assert code == 100
        assert message.endswith("the history took more than 0.05 s to read; ask with since")
        log.hold = False


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_pages_are_what_a_list_would_give(data: st.DataObject) -> None:
    """Against a plain list: any mix of events, any page size, both directions, small steps backwards."""
    kinds = data.draw(st.lists(st.sampled_from(["chat", "other", "hidden"]), max_size=40))
    limit, reverse = data.draw(st.integers(1, 12)), data.draw(st.booleans())
    window = data.draw(st.integers(1, 5))

    async def check() -> None:
        async with serving(CONFIG) as api:
            expected = []
            for n, kind in enumerate(kinds):
                if kind == "other":
                    await api.append("host.cpu", str(n))
                    continue
                answer = await api.ask("publish", channel="chat", data=n, skip_history=kind == "hidden")
                if kind == "chat":
                    expected.append((answer["result"]["offset"], n))
            if reverse:
                expected.reverse()
            found: list[tuple[int, int]] = []
            since: dict[str, Any] = {}
            while page := (await api.ask("history", channel="chat", limit=limit, reverse=reverse, **since))["result"][
                "publications"
            ]:
                assert len(page) <= limit
                found += [(one["offset"], one["data"]) for one in page]
                since = {"since": {"offset": page[-1]["offset"]}}
            assert found == expected

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "_WINDOW", (window, 2 * window))
        asyncio.run(check())
