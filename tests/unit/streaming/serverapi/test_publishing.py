"""Publish, broadcast, batch: what is stored, what is answered, what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import cent
import msgspec
import pytest

from hxp_enterprise_llm.config.streaming import ChannelConfig, StreamingConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import Limits, LogFull, LogUnavailable
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from tests.unit.streaming.gateways import read_sse
from tests.unit.streaming.serverapi.serving import BACKEND, READER, WRITER, serving

CHANNELS = {
    "chat": ChannelConfig(types=["chat.message"]),
    "news": ChannelConfig(types=["news.item"]),
    "readings": ChannelConfig(types=["reading.taken"], publications=False),
}
CONFIG = StreamingConfig(channels=CHANNELS)


async def test_a_publication_is_an_event_in_the_log() -> None:
    async with serving(CONFIG) as api:
        answer = await api.ask("publish", channel="chat", data={"text": "hello"}, tags={"lang": "en"})
        (event,) = await api.events()
        bounds = await api.log.bounds()
        assert answer == {"result": {"offset": event["offset"], "epoch": bounds.epoch}}
        assert (event["type"], event["subject"], event["source"]) == ("stream.publication", "chat", "/api/backend")
        assert event["data"] == {"channel": "chat", "data": {"text": "hello"}, "tags": {"lang": "en"}}
        assert SchemaCatalogue.load().check("stream.publication", event["data"]) == ()


@pytest.mark.parametrize("data", [None, 0, False, "", [], {}, 1.5, "é\u2028", 2**63 - 1])
async def test_data_is_any_json(data: Any) -> None:
    async with serving(CONFIG) as api:
        assert "result" in await api.ask("publish", channel="chat", data=data)
        (event,) = await api.events()
        assert event["data"] == {"channel": "chat", "data": data}
        assert SchemaCatalogue.load().check("stream.publication", event["data"]) == ()


async def test_without_a_key_loopback_may_publish_and_has_no_name() -> None:
    async with serving(CONFIG) as api, aiohttp.ClientSession() as session:
        async with session.post(f"{api.url}/api/publish", json={"channel": "chat", "data": 1}) as answer:
            assert answer.status == 200
        assert [event["source"] for event in await api.events()] == ["/api"]


async def test_the_channel_carries_it_and_no_other_but_those_of_everything() -> None:
    async with serving(CONFIG) as api, aiohttp.ClientSession() as session:
        chat = await session.get(f"{api.url}/sse/chat")
        everything = await session.get(f"{api.url}/sse/events")
        news = await session.get(f"{api.url}/sse/news")
        for channel in ("chat", "news"):
            await api.ask("publish", channel=channel, data=channel)
        for stream, wanted in ((chat, ["chat"]), (news, ["news"]), (everything, ["chat", "news"])):
            blocks = await read_sse(stream.content, len(wanted))
            assert [msgspec.json.decode(block["data"])["data"]["data"] for block in blocks] == wanted
            stream.close()
        ring = api.gateway.hub.channels["chat"].ring
        assert [message.address for message in ring] == ["chat"]


async def test_who_comes_later_reads_it_from_the_log() -> None:
    """The scan of the log knows publications, too; those of other channels are left out."""
    config = msgspec.structs.replace(
        CONFIG, high_frequency_streams=msgspec.structs.replace(CONFIG.high_frequency_streams, buffer_size=1)
    )
    async with serving(config) as api, aiohttp.ClientSession() as session:
        for n in range(4):
            await api.ask("broadcast", channels=["chat", "news"], data=n)
        async with session.get(f"{api.url}/sse/chat?after=0") as answer:
            blocks = await read_sse(answer.content, 4)
        decoded = [msgspec.json.decode(block["data"])["data"] for block in blocks]
        assert decoded == [{"channel": "chat", "data": n} for n in range(4)]


async def test_a_filter_looks_into_publications_and_a_type_leaves_them_out() -> None:
    async with serving(CONFIG) as api, aiohttp.ClientSession() as session:
        filtered = await session.get(f"{api.url}/sse/chat?filter=data.data.n>1")
        narrowed = await session.get(f"{api.url}/sse/chat?type=chat.message")
        for n in (1, 2):
            await api.ask("publish", channel="chat", data={"n": n})
        await api.append("chat.message", "m", data={"data": {"n": 0}})
        (block,) = await read_sse(filtered.content, 1)
        assert msgspec.json.decode(block["data"])["data"]["data"] == {"n": 2}
        (block,) = await read_sse(narrowed.content, 1)
        assert msgspec.json.decode(block["data"])["type"] == "chat.message"
        filtered.close()
        narrowed.close()


async def test_an_event_posted_in_this_form_is_a_publication() -> None:
    async with serving(CONFIG) as api:
        await api.append("stream.publication", "a", subject="chat", data={"channel": "chat", "data": 1})
        await api.append("stream.publication", "b", subject=None, data=1)
        assert len(api.gateway.hub.channels["chat"].ring) == 1
        assert len(api.gateway.hub.channels["events"].ring) == 2


async def test_a_repeated_key_answers_the_first_offset() -> None:
    async with serving(CONFIG) as api:
        first = await api.ask("publish", channel="chat", data=1, idempotency_key="k")
        assert await api.ask("publish", channel="chat", data=2, idempotency_key="k") == first
        other = await api.ask("publish", channel="news", data=3, idempotency_key="k")
        assert other["result"]["offset"] > first["result"]["offset"]
        # Another principal's key is another key.
        theirs = await api.ask("publish", key=WRITER, channel="chat", data=4, idempotency_key="k")
        assert theirs["result"]["offset"] > other["result"]["offset"]
        assert [event["data"]["data"] for event in await api.events()] == [1, 3, 4]
        assert [event["id"] for event in await api.events()] == ["chat:k", "news:k", "chat:k"]


async def test_a_broadcast_answers_for_each_channel() -> None:
    async with serving(CONFIG) as api:
        answer = await api.ask("broadcast", channels=["chat", "nowhere", "news"], data=1, idempotency_key="k")
        first, unknown, second = answer["result"]["responses"]
        assert unknown["error"]["code"] == 102
        assert [event["offset"] for event in await api.events()] == [
            first["result"]["offset"],
            second["result"]["offset"],
        ]
        again = await api.ask("broadcast", channels=["chat", "nowhere", "news"], data=1, idempotency_key="k")
        assert again == answer
        assert (await api.ask("broadcast", channels=[], data=1)) == {"result": {"responses": []}}


@pytest.mark.parametrize(
    ("members", "code", "message"),
    [
        ({"channel": "nowhere", "data": 1}, 102, "unknown channel: 'nowhere'; GET /streams lists all"),
        ({"channel": "readings", "data": 1}, 108, "not available: channels.readings.publications is off"),
        ({"channel": "chat"}, 107, "bad request: data is missing"),
        ({"data": 1}, 107, "bad request: publish: channel: is required and missing"),
        ({"channel": 1, "data": 1}, 107, "bad request: publish: channel: must be text, is a whole number"),
        ({"channel": "chat", "data": 1, "dat": 1}, 107, "bad request: publish: dat: unknown key (did you mean data?)"),
        ({"channel": "chat", "b64data": "AA=="}, 108, "not available: b64data; channels carry JSON"),
        ({"channel": "chat", "data": 1, "version": 3}, 108, "not available: version; the log keeps"),
        ({"channel": "chat", "data": 1, "tags": {"a": 1}}, 107, "bad request: publish: tags[...]: must be text"),
        ({"channel": "chat", "data": 1, "idempotency_key": "x" * 129}, 107, "bad request: idempotency_key is at most"),
        ({"channel": "chat", "data": 1, "idempotency_key": "a\n"}, 107, "bad request: idempotency_key is at most"),
    ],
)
async def test_what_is_refused_says_why(members: dict[str, Any], code: int, message: str) -> None:
    async with serving(CONFIG) as api:
        found = await api.error("publish", **members)
        assert found[0] == code
        assert found[1].startswith(message)
        assert await api.events() == []


async def test_a_broadcast_to_one_channel_twice_is_refused() -> None:
    async with serving(CONFIG) as api:
        code, message = await api.error("broadcast", channels=["chat", "chat"], data=1)
        assert (code, message) == (107, "bad request: a channel is there twice in channels")


@pytest.mark.parametrize("body", [b"{", b'{"channel":"chat","data":1,"data":2}', b"\xff", b'{"data":' + b"[" * 100])
@pytest.mark.parametrize("method", ["publish", "batch"])
async def test_what_is_no_json_is_answered_400(method: str, body: bytes) -> None:
    async with serving(CONFIG) as api:
        if method == "batch":
            body = body.replace(b'"channel":"chat"', b'"commands":[}').replace(b'"data":', b'"commands":')
        status, answer = await api.send(method, body)
        assert (status, answer["error"]["code"]) == (400, "invalid_json")


async def test_a_batch_is_answered_command_by_command() -> None:
    async with serving(CONFIG) as api:
        commands: list[Any] = [
            {"publish": {"channel": "chat", "data": 1}},
            {"publish": {"channel": "nowhere", "data": 1}},
            {"history": {"channel": "chat", "limit": 5}},
            {"broadcast": {"channels": ["chat", "news"], "data": 2}},
            {"subscribe": {"channel": "chat", "user": "1"}},
            {"shout": {}},
            {"publish": {}, "info": {}},
            7,
            {"info": {}},
        ]
        replies = (await api.ask("batch", commands=commands, parallel=True))["replies"]
        first, second, third = [event["offset"] for event in await api.events()]
        assert replies[0]["publish"]["offset"] == first
        assert replies[2]["history"]["publications"] == [{"data": 1, "offset": first}]
        assert [one["result"]["offset"] for one in replies[3]["broadcast"]["responses"]] == [second, third]
        assert [reply["error"]["code"] for reply in replies if "error" in reply] == [102, 108, 104, 107, 107]
        assert replies[4]["error"]["message"] == "not available: subscribe"
        assert replies[5]["error"]["message"].startswith("method not found: 'shout'; methods are publish, ")
        assert replies[8]["info"]["nodes"][0]["name"] == "here"
        assert api.sample("citadel_api_commands_total", method="publish", code="0") == 1
        assert api.sample("citadel_api_commands_total", method="publish", code="102") == 1
        assert api.sample("citadel_api_commands_total", method="unread", code="107") == 2


async def test_a_batch_is_read_strictly_command_by_command() -> None:
    async with serving(CONFIG) as api:
        twice, once = (b'{"publish":{"channel":"chat","data":%b}}' % data for data in (b'{"a":1,"a":2}', b"3"))
        body = b'{"commands":[%b,%b]}' % (twice, once)
        status, answer = await api.send("batch", body)
        assert status == 200
        assert "the key 'a' is there twice" in answer["replies"][0]["error"]["message"]
        assert [event["data"]["data"] for event in await api.events()] == [3]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "bad request: batch: commands: is required and missing"),
        (b'{"commands":{}}', "bad request: batch: commands: must be a list, is an object"),
        (b'{"commands":[' + b",".join([b"{}"] * 10_001) + b"]}", "bad request: batch: 10,001 commands, at most 10,000"),
    ],
)
async def test_a_batch_that_is_none(body: bytes, message: str) -> None:
    async with serving(CONFIG) as api:
        status, answer = await api.send("batch", body)
        assert (status, answer["error"]["code"]) == (200, 107)
        assert answer["error"]["message"].startswith(message)


class Counting(MemoryLog):
    """Counts appends, and refuses when told to."""

    appends = 0
    refuse: Exception | None = None

    async def append(self, events, *, deadline=10.0):  # type: ignore[no-untyped-def]
        self.appends += 1
        if self.refuse is not None:
            raise self.refuse
        return await super().append(events, deadline=deadline)


async def test_publications_that_follow_each_other_are_one_append_of_the_log() -> None:
    log = Counting()
    await log.open()
    async with serving(CONFIG, log) as api:
        commands = [{"publish": {"channel": "chat", "data": n}} for n in range(100)]
        replies = (await api.ask("batch", commands=commands))["replies"]
        assert log.appends == 1
        offsets = [reply["publish"]["offset"] for reply in replies]
        assert offsets == sorted(set(offsets))
        assert [event["data"]["data"] for event in await api.events()] == list(range(100))


async def test_what_one_append_cannot_carry_is_stored_in_several() -> None:
    log = Counting(limits=Limits(max_batch_events=3, max_batch_bytes=1200, max_event_bytes=700))
    await log.open()
    async with serving(CONFIG, log) as api:
        commands = [{"publish": {"channel": "chat", "data": "x" * size}} for size in (1, 1, 1, 1, 400, 400, 700)]
        replies = (await api.ask("batch", commands=commands))["replies"]
        assert ["publish" in reply for reply in replies] == [True] * 6 + [False]
        code, message = replies[-1]["error"].values()
        assert code == 106
        assert message.startswith("limit exceeded: the event has ")
        assert len(await api.events()) == 6
        assert log.appends == 3


@pytest.mark.parametrize("refusal", [LogFull("no room"), LogUnavailable("the disk is slow", maybe_stored=True)])
async def test_a_log_that_takes_nothing_is_named(refusal: Exception) -> None:
    log = Counting()
    await log.open()
    async with serving(CONFIG, log) as api:
        log.refuse = refusal
        assert await api.error("publish", channel="chat", data=1) == (100, f"internal server error: {refusal}")
        answer = await api.ask("broadcast", channels=["chat", "nowhere"], data=1)
        assert [one["error"]["code"] for one in answer["result"]["responses"]] == [100, 102]
        log.refuse = None
        assert "result" in await api.ask("publish", channel="chat", data=1)


class Unreachable(MemoryLog):
    async def bounds(self):  # type: ignore[no-untyped-def]
        raise LogUnavailable("nobody answers", maybe_stored=False)


async def test_before_the_log_is_reached_nothing_is_taken() -> None:
    log = Unreachable()
    await log.open()
    async with serving(CONFIG, log, start_within=0.05) as api:
        code, message = await api.error("publish", channel="chat", data=1)
        assert (code, message) == (100, "internal server error: the log is not available: nobody answers")
        assert (await api.error("history", channel="chat"))[0] == 100


async def test_scopes() -> None:
    async with serving(CONFIG) as api:
        publish = msgspec.json.encode({"channel": "chat", "data": 1})
        for method in ("publish", "broadcast", "batch"):
            status, answer = await api.send(method, publish, READER)
            assert (status, answer["error"]["code"]) == (403, "scope")
        status, answer = await api.send("history", b'{"channel":"chat"}', WRITER)
        assert (status, answer["error"]["code"]) == (403, "scope")
        commands = [{"history": {"channel": "chat"}}, {"publish": {"channel": "chat", "data": 1}}]
        denied, done = (await api.ask("batch", key=WRITER, commands=commands))["replies"]
        assert denied == {"error": {"code": 103, "message": "permission denied: history takes the scope 'read'"}}
        assert "publish" in done
        assert (await api.send("publish", publish, "hxk_backend_2"))[0] == 401


async def test_many_at_once_each_get_their_own_offset() -> None:
    async with serving(CONFIG) as api:
        answers = await asyncio.gather(*(api.ask("publish", channel="chat", data=n) for n in range(50)))
        events = {event["offset"]: event["data"]["data"] for event in await api.events()}
        assert [events[answer["result"]["offset"]] for answer in answers] == list(range(50))


async def test_switching_publications_off_sends_clients_of_the_channel_away() -> None:
    async with serving(CONFIG) as api:
        off = {**CHANNELS, "chat": ChannelConfig(types=["chat.message"], publications=False)}
        before = api.gateway.hub.channels["news"]
        api.gateway.prepare(msgspec.structs.replace(CONFIG, channels=off))()
        assert (await api.error("publish", channel="chat", data=1))[0] == 108
        assert api.gateway.hub.channels["news"] is before
        assert not api.gateway.hub.channels["chat"].publications


async def test_the_published_client_of_centrifugo_works_unmodified() -> None:
    async with serving(CONFIG) as api:
        client = cent.AsyncClient(f"{api.url}/api", BACKEND)
        try:
            published = await client.publish(cent.PublishRequest(channel="chat", data={"n": 1}, tags={"a": "b"}))
            done = await client.broadcast(cent.BroadcastRequest(channels=["chat", "news"], data={"n": 2}))
            assert [one.error for one in done.responses] == [None, None]
            await api.settled(done.responses[1].result.offset)
            history = await client.history(cent.HistoryRequest(channel="chat", limit=10))
            assert [one.data for one in history.publications] == [{"n": 1}, {"n": 2}]
            assert (history.publications[0].offset, history.publications[0].tags) == (published.offset, {"a": "b"})
            assert history.epoch == published.epoch
            stats = await client.presence_stats(cent.PresenceStatsRequest(channel="chat"))
            assert (stats.num_clients, stats.num_users) == (0, 0)
            assert (await client.presence(cent.PresenceRequest(channel="chat"))).presence == {}
            assert (await client.channels(cent.ChannelsRequest())).channels == {}
            assert (await client.info(cent.InfoRequest())).nodes[0].name == "here"
            orders = [cent.PublishRequest(channel=name, data={"n": 3}) for name in ("chat", "news")]
            batch = await client.batch(cent.BatchRequest(requests=orders, parallel=True))
            offsets = [reply.offset for reply in batch.replies]
            assert [event["offset"] for event in await api.events()][-2:] == offsets
            with pytest.raises(cent.CentApiResponseError) as caught:
                await client.publish(cent.PublishRequest(channel="nowhere", data={}))
            assert caught.value.code == 102
        finally:
            await client.close()
