"""Publishing and notifying against a small real server that refuses, stalls and lies."""

from __future__ import annotations

import asyncio
import json
import pickle
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from hxp_enterprise_llm.client import (
    BadAnswer,
    ClientError,
    Publisher,
    Refused,
    Unreachable,
    send_notification,
)
from hxp_enterprise_llm.client.answers import refusal, words
from hxp_enterprise_llm.client.export import Download
from tests.ports import free_port

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LIMIT = 64 * 1024 * 1024


class Service:
    """Answers the next prepared handler; when none is left, stores events like event processing."""

    def __init__(self) -> None:
        self.stored: dict[str, int] = {}
        self.bodies: list[list[dict[str, Any]]] = []
        self.types: list[str] = []
        self.next: list[Handler] = []

    async def events(self, request: web.Request) -> web.StreamResponse:
        lines = [json.loads(line) for line in (await request.read()).splitlines()]
        self.bodies.append(lines)
        self.types.append(request.content_type)
        if self.next:
            return await self.next.pop(0)(request)
        return self.accept(lines)

    def accept(self, lines: list[dict[str, Any]]) -> web.Response:
        answers = []
        for line in lines:
            duplicate = line["id"] in self.stored
            offset = self.stored.setdefault(line["id"], len(self.stored) + 1)
            answers.append({"offset": offset, "duplicate": duplicate})
        return web.json_response({"events": answers, "epoch": "e1"}, status=202)


class Waits:
    """Takes the place of sleeping, and of time."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self._ids = 0

    async def sleep(self, seconds: float) -> None:
        self.taken.append(seconds)

    def time(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return sum(self.taken)

    def new_id(self) -> str:
        self._ids += 1
        return f"id-{self._ids}"


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def url(service: Service) -> AsyncIterator[str]:
    app = web.Application(client_max_size=LIMIT)
    app.router.add_post("/events", service.events)
    app.router.add_post("/notifications/send", service.events)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


def status(code: int, body: object, headers: dict[str, str] | None = None) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=code, text=body if isinstance(body, str) else json.dumps(body), headers=headers)

    return answer


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def test_each_event_gets_an_id_and_an_offset(service: Service, url: str, session: aiohttp.ClientSession) -> None:
    publisher = Publisher(url, session, clock=Waits())
    receipt = await publisher.publish([{"type": "a", "data": {"x": 1}}, {"type": "b", "id": "mine"}])
    assert [event.offset for event in receipt.events] == [1, 2]
    assert receipt.epoch == "e1"
    assert service.bodies == [[{"id": "id-1", "type": "a", "data": {"x": 1}}, {"type": "b", "id": "mine"}]]
    assert service.types == ["application/x-ndjson"]
    again = await publisher.publish([{"type": "b", "id": "mine"}])
    assert again.events[0].duplicate


@pytest.mark.parametrize(
    "first",
    [
        hang_up,
        status(503, {"error": {"code": "log_unavailable", "message": "wait"}}),
        *(status(code, "<h1>a proxy</h1>") for code in (429, 502, 504)),
    ],
)
async def test_a_lost_answer_is_asked_for_again_with_the_same_ids(
    service: Service, url: str, session: aiohttp.ClientSession, first: Handler
) -> None:
    service.next = [first, first]
    waits = Waits()
    receipt = await Publisher(url, session, clock=waits, sleep=waits.sleep).publish([{"type": "a"}])
    assert receipt.events[0].offset == 1
    assert len({body[0]["id"] for body in service.bodies}) == 1
    assert waits.taken == [0.25, 0.5]


async def test_what_was_stored_before_the_answer_was_lost_is_a_repeat(
    service: Service, url: str, session: aiohttp.ClientSession
) -> None:
    async def store_and_vanish(request: web.Request) -> web.StreamResponse:
        service.accept(service.bodies[-1])
        return await hang_up(request)

    service.next = [store_and_vanish]
    waits = Waits()
    receipt = await Publisher(url, session, clock=waits, sleep=waits.sleep).publish([{"type": "a"}])
    assert receipt.events[0].duplicate
    assert service.stored == {"id-1": 1}


async def test_retry_after_is_heeded_and_the_deadline_ends_it(
    service: Service, url: str, session: aiohttp.ClientSession
) -> None:
    full = {"error": {"code": "log_full", "message": "the log is full", "hint": "make room"}}
    service.next = [status(503, full, {"Retry-After": "6"})] * 9
    waits = Waits()
    with pytest.raises(Refused) as caught:
        await Publisher(url, session, clock=waits, sleep=waits.sleep, deadline=15).publish([{"type": "a"}])
    assert waits.taken == [6.0, 6.0]
    assert (caught.value.code, caught.value.hint) == ("log_full", "make room")
    assert str(caught.value) == "the log is full (503 log_full)"


async def test_a_service_that_always_hangs_up_is_given_up(
    service: Service, url: str, session: aiohttp.ClientSession
) -> None:
    service.next = [hang_up] * 99
    waits = Waits()
    with pytest.raises(Unreachable, match="Server disconnected"):
        await Publisher(url, session, clock=waits, sleep=waits.sleep, deadline=3).publish([{"type": "a"}])
    assert waits.taken == [0.25, 0.5, 1.0]


async def test_a_service_that_was_there_is_waited_for_while_it_is_started_again(
    service: Service, session: aiohttp.ClientSession
) -> None:
    app = web.Application()
    app.router.add_post("/events", service.events)
    port = free_port()
    await (first := TestServer(app, port=port)).start_server()
    tries = 0

    async def sleep(seconds: float) -> None:
        nonlocal tries
        tries += 1
        if tries == 3:
            await second.start_server()

    publisher = Publisher(f"http://127.0.0.1:{port}", session, sleep=sleep)
    await publisher.publish([{"type": "a", "id": "one"}])
    await first.close()
    again = web.Application()
    again.router.add_post("/events", service.events)
    second = TestServer(again, port=port)
    receipt = await publisher.publish([{"type": "a", "id": "two"}])
    assert (receipt.events[0].offset, tries) == (2, 3)
    await second.close()


async def test_a_service_that_hangs_is_not_waited_for_beyond_the_deadline(
    service: Service, url: str, session: aiohttp.ClientSession
) -> None:
    release = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    service.next = [hang] * 9
    with pytest.raises(Unreachable, match=r"does not answer: Timeout on reading"):
        await asyncio.wait_for(Publisher(url, session, deadline=0.2).publish([{"type": "a"}]), 30)
    release.set()


async def test_no_events_are_a_batch_as_well(service: Service, url: str, session: aiohttp.ClientSession) -> None:
    service.next = [status(202, {"events": [], "epoch": "e1"})]
    receipt = await Publisher(url, session).publish([])
    assert (receipt.events, receipt.epoch) == ((), "e1")
    assert [*service.bodies, *service.types] == [[[]], "application/json"]


async def test_one_event_in_place_of_a_list_is_said(url: str, session: aiohttp.ClientSession) -> None:
    event: Any = {"type": "a"}
    with pytest.raises(TypeError, match=r"publish takes a list of events; put the one into a list: publish\(\[event"):
        await Publisher(url, session).publish(event)


@pytest.mark.filterwarnings("error")
async def test_a_large_batch_does_not_hold_the_loop_up(url: str, session: aiohttp.ClientSession) -> None:
    receipt = await Publisher(url, session).publish([{"type": "a", "data": "x" * 1_000_000}] * 3)
    assert len(receipt.events) == 3


async def test_a_service_that_never_answers_is_given_up(service: Service, url: str) -> None:
    release = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    service.next = [hang] * 9
    waits = Waits()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.05)) as session:
        with pytest.raises(Unreachable):
            await Publisher(url, session, clock=waits, sleep=waits.sleep, deadline=0.3).publish([{"type": "a"}])
    release.set()


async def test_a_refusal_is_not_repeated(service: Service, url: str, session: aiohttp.ClientSession) -> None:
    error = {"code": "invalid_event", "message": "1 event is faulty", "hint": "h", "items": [{"index": 0}]}
    service.next = [status(400, {"error": error})]
    with pytest.raises(Refused) as caught:
        await Publisher(url, session).publish([{"type": "a"}])
    assert caught.value.details == {"items": [{"index": 0}]}
    assert len(service.bodies) == 1


@pytest.mark.parametrize(
    "body", ["<html>", "{}", {"events": [], "epoch": "e"}, {"events": [{"offset": "1"}], "epoch": "e"}]
)
async def test_a_lying_service_is_named(service: Service, url: str, session: aiohttp.ClientSession, body: Any) -> None:
    service.next = [status(202, body)]
    with pytest.raises(BadAnswer, match="does not answer as this service does"):
        await Publisher(url, session).publish([{"type": "a"}])


async def test_nobody_there_is_said_at_once(session: aiohttp.ClientSession) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable) as caught:
        await Publisher(url, session).publish([{"type": "a"}])
    assert str(caught.value) == f"{url}/events does not answer: Connection refused"
    with pytest.raises(Unreachable, match=r"/notifications/send does not answer: Connection refused"):
        await send_notification(session, url, {})


async def test_an_address_that_is_none(session: aiohttp.ClientSession) -> None:
    for base in ("nonsense", "htp://127.0.0.1:9100"):
        for call in (Publisher(base, session).publish([{"type": "a"}]), send_notification(session, base, {})):
            with pytest.raises(Unreachable, match="this is no address; it begins with http:// or https://"):
                await call


async def test_a_notification(service: Service, url: str, session: aiohttp.ClientSession) -> None:
    answer = {"id": "n1", "deliveries": [{"channel": "websocket", "state": "queued"}]}
    service.next = [status(202, answer), status(409, {"error": {"code": "off", "message": "no"}}), status(202, "[]")]
    sent = await send_notification(session, url, {"message": "hello"})
    assert (sent.id, sent.deliveries[0].channel, sent.deliveries[0].state) == ("n1", "websocket", "queued")
    assert service.bodies == [[{"message": "hello"}]]
    with pytest.raises(Refused):
        await send_notification(session, url, {})
    with pytest.raises(BadAnswer):
        await send_notification(session, url, {})
    service.next = [hang_up]
    with pytest.raises(Unreachable, match="disconnected"):
        await send_notification(session, url, {})


def test_a_refusal_says_what_is_wrong_with_which_event() -> None:
    items = [{"index": at, "path": "data.value", "message": f"is {at}"} for at in range(5)]
    items[1] = {"index": 1, "path": "", "message": "the JSON is cut off"}
    error = {"code": "invalid_events", "message": "5 of 9 events are not valid", "hint": "h", "items": items}
    refused = refusal(400, json.dumps({"error": error}).encode())
    assert refused.summary == "5 of 9 events are not valid (400 invalid_events)"
    assert refused.faults[:2] == ["event 0, data.value: is 0", "event 1: the JSON is cut off"]
    assert len(refused.faults) == 5
    assert str(refused) == "; ".join([refused.summary, *refused.faults[:3]])


@pytest.mark.parametrize(
    "error",
    [
        Refused(400, "c", "m", "h", {"items": [{"index": 0, "message": "x"}]}),
        Unreachable("http://127.0.0.1:1", "Connection refused"),
        BadAnswer("http://127.0.0.1:1", "'x'"),
    ],
)
def test_errors_reach_other_processes_whole(error: ClientError) -> None:
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), vars(copied)) == (str(error), vars(error))


def test_a_refusal_in_another_form_is_quoted() -> None:
    for body, text in (
        (b"<h1>Bad Gateway</h1>", "<h1>Bad Gateway</h1>"),
        (b"", "no reason was given"),
        (b'{"error":"text"}', '{"error":"text"}'),
        (b'{"error":{"code":"x"}}', '{"error":{"code":"x"}}'),
    ):
        refused = refusal(502, body)
        assert refused.message == text
        assert str(refused) == f"{text} (502)"
        assert isinstance(refused, ClientError)


@pytest.mark.parametrize(
    ("has_tls", "why"),
    [
        (True, "its certificate is not trusted: "),
        (False, "it speaks no TLS that we know (WRONG_VERSION_NUMBER); an address of plain HTTP begins with http://"),
    ],
)
async def test_tls_that_fails_is_said(session: aiohttp.ClientSession, tmp_path: Path, has_tls: bool, why: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context if has_tls else None) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(Unreachable) as published:
            await Publisher(url, session).publish([{"type": "a"}])
        with pytest.raises(Unreachable) as exported:
            await Download(session, url, {"what": "metrics"}, attempts=1).into(tmp_path / "metrics.csv")
    assert published.value.reason.startswith(why)
    assert exported.value.reason.startswith(why)


def test_words_of_an_error() -> None:
    assert words(ConnectionRefusedError(111, "Connect call failed ('::1', 1)")) == "Connection refused"
    assert words(OSError(-2, "Name or service not known")) == "Name or service not known"
    assert words(ValueError("x")) == "x"
    assert words(TimeoutError()) == "TimeoutError"
