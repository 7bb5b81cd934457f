"""Every decoder that reads what others have written, as a target: what it takes, what it may raise, what must hold."""

from __future__ import annotations

import base64
import hmac
import itertools
import os
import random
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from multidict import CIMultiDict, MultiDict

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.loader import parse as parse_config
from hxp_enterprise_llm.config.secrets import Secret
from hxp_enterprise_llm.config.streaming import CentrifugeConfig
from hxp_enterprise_llm.event.dashboards.definitions import load_text
from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.log.packing import Damaged, Record, identities_of, pack, unpack
from hxp_enterprise_llm.event.log.remote.answers import read_appended, read_bounds, read_refusal
from hxp_enterprise_llm.event.log.remote.blocks import BlockDecoder
from hxp_enterprise_llm.event.log.remote.lines import StreamDecoder
from hxp_enterprise_llm.event.model import Offset, identity
from hxp_enterprise_llm.event.notifications.rules.conditions import compile_condition
from hxp_enterprise_llm.event.sources import query
from hxp_enterprise_llm.event.sources.batch import decode_array
from hxp_enterprise_llm.event.sources.decode import Terms, decode_item
from hxp_enterprise_llm.event.sources.forms import Elements, split
from hxp_enterprise_llm.event.sources.schema_files import parse_schema
from hxp_enterprise_llm.event.sources.strict_json import read
from hxp_enterprise_llm.event.streaming.centrifuge.model import AskBounds, AskHistory
from hxp_enterprise_llm.event.streaming.centrifuge.signatures import hmac_key
from hxp_enterprise_llm.event.streaming.centrifuge.tags import TagsFilter
from hxp_enterprise_llm.event.streaming.centrifuge.tokens import Verifier
from hxp_enterprise_llm.event.streaming.compress import agree, choose_coding
from hxp_enterprise_llm.event.streaming.cursor import parse_wish
from hxp_enterprise_llm.event.streaming.encode import Message
from hxp_enterprise_llm.event.streaming.filters import Filter
from hxp_enterprise_llm.event.streaming.publication import content_of
from hxp_enterprise_llm.event.streaming.serverapi.commands import Batch, parse_entry
from hxp_enterprise_llm.event.streaming.websocket import command_fault
from hxp_enterprise_llm.security.admit import Policy, RequestHead, admit
from hxp_enterprise_llm.security.inflate import STEP_BYTES, Inflater
from hxp_enterprise_llm.security.keys import load_keys
from hxp_enterprise_llm.security.model import EVENT_BODY, Principal, Refusal, Route
from tests.unit.security.test_plainhead import check as check_head
from tests.unit.streaming.centrifuge.commanding import BOUNDS
from tests.unit.streaming.centrifuge.sessions import Table
from tests.unit.streaming.frames import Session, make_places
from tests.unit.streaming.fuzz import MOST, check_orderly
from tests.unit.streaming.fuzz import split as split_frames

NOW, NOW_TEXT = 1_795_196_071.0, "2026-11-20T17:34:31.000Z"
SECRET = "0123456789abcdef" * 2
FIELDS: dict[str, Any] = {"type": "llm.x", "source": "/s", "subject": "a", "data": {"latency_ms": 3, "a": {"b": None}}}


def terms() -> Terms:
    return Terms(NOW, NOW_TEXT, "/http", itertools.count().__str__, 300.0, 30 * 86400.0)


# Events


def body(content_type: str) -> Callable[[bytes], object]:
    """A body in one form, to the single events."""

    def run(data: bytes) -> object:
        found, known = [], terms()
        for item in split(data, content_type, CIMultiDict({"Content-Type": content_type})):
            event = decode_item(item, known).event
            assert b"\n" not in event.raw
            assert read(event.raw)[1] == event.raw
            found.append(event)
        return found

    return run


def batch(data: bytes) -> object:
    """What the quick way takes, the thorough one takes as well, and to the same end."""
    columns = decode_array(data, 4096, terms(), lambda types, datas: True)
    if columns is not None:
        known = terms()
        single = [decode_item(item, known).event for item in Elements(data)]
        assert [(e.source, e.type, _without_id(e.raw)) for e in single] == [
            (e.source, e.type, _without_id(e.raw)) for e in columns
        ]
    return columns is not None


def _without_id(raw: bytes) -> dict[str, Any]:
    return {name: value for name, value in msgspec.json.decode(raw).items() if name != "id"}


def binary(data: bytes) -> object:
    """CloudEvents' binary mode: headers, an empty line, the body."""
    head, _, content = data.partition(b"\n\n")
    headers = headers_of(head.split(b"\n"))
    return [decode_item(item, terms()).event for item in split(content, headers.get("Content-Type", ""), headers)]


def headers_of(lines: Iterable[bytes]) -> CIMultiDict[str]:
    """As aiohttp decodes them."""
    pairs = [line.decode("utf-8", "surrogateescape").partition(":") for line in lines if b":" in line]
    return CIMultiDict((name.strip(), value.strip()) for name, _, value in pairs if name.strip())


def strict(data: bytes) -> object:
    value, compact = read(data)
    assert read(compact) == (value, compact) or value != value
    return value


def stored(data: bytes) -> object:
    """An event out of the log, whatever it is, on its way to clients."""
    message = Message("e", Stored(Offset(1), "stream.publication", data))
    return (
        content_of("stream.publication", data),
        *(message.fields(), message.key, message.address, message.time()),
    )


# Filters and parameters


def condition_filter(data: bytes) -> object:
    found = Filter.parse(data.decode("utf-8", "replace"))
    assert found == Filter.parse(found.text)
    return found.matches(FIELDS), found.matches({}), hash(found)


def tags(data: bytes) -> object:
    found = TagsFilter.parse(data)
    return found.matches(FIELDS), found.matches({"data": {"n": 2.5, "x": "NaN"}}), hash(found)


def condition(data: bytes) -> object:
    return compile_condition(data.decode("utf-8", "replace"), None)


def parameters(data: bytes) -> object:
    asked = MultiDict(parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True))
    return (
        *(query.after(asked), query.epoch(asked), query.limit(asked, 100)),
        *(query.types(asked), query.flag(asked, "partial", False)),
    )


def wish(data: bytes) -> object:
    asked = MultiDict(parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True))
    return parse_wish(asked, {"Last-Event-ID": asked.popone("header", "")})


# Clients of the gateway


class Frames:
    """WebSocket frames, cut as a network may. Needs a running loop."""

    def __init__(self) -> None:
        self._places = make_places()

    def __call__(self, data: bytes) -> object:
        chance = random.Random(len(data))
        return check_orderly(Session(MOST, self._places), split_frames(data, chance))


CENTRIFUGE = CentrifugeConfig(publish_from_clients=True, max_subscriptions=8)


def session(*, bare: bool, connected: bool) -> Callable[[bytes], object]:
    """Messages of a Centrifuge client; what the session asks for is answered."""

    def run(data: bytes) -> object:
        table = Table(CENTRIFUGE, connected=connected, bare=bare)
        for message in data.split(b"\x00"):
            table.session.receive(message)
            while table.port.asked:
                question = table.port.asked.pop()
                known: dict[type, Any] = {AskBounds: BOUNDS, AskHistory: []}
                table.session.answer(known.get(type(question)))
        return table.code

    return run


VERIFIER = Verifier([hmac_key(Secret(SECRET), "secret")])


def token(data: bytes) -> object:
    """A token as it comes."""
    return VERIFIER.connection(data.decode("utf-8", "replace"), NOW)


def signed(data: bytes) -> object:
    """Header and claims of whoever has the key: both are signed as they are."""
    header, _, claims = data.partition(b"\n")
    text = sign(header, claims)
    return VERIFIER.subscription(text, NOW) if b'"channel":' in claims else VERIFIER.connection(text, NOW)


def sign(header: bytes, claims: bytes) -> str:
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, claims)]
    signature = hmac.new(SECRET.encode(), b".".join(parts), "sha256").digest()
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def hint(data: bytes) -> object:
    """What a client of the raw WebSocket says, which is told what it should."""
    return command_fault(data.decode("utf-8", "replace"))


def api_batch(data: bytes) -> object:
    """As the route of the server API reads it."""
    return [parse_entry(bytes(command), read) for command in msgspec.json.decode(data, type=Batch).commands]


# Between our own processes


def lines(data: bytes) -> object:
    return _stream(StreamDecoder(Offset(0), None, 10_000), data)


def blocks(data: bytes) -> object:
    return _stream(BlockDecoder(Offset(0), None, 10_000), data)


def _stream(decoder: StreamDecoder, data: bytes) -> object:
    chance, found = random.Random(len(data)), []
    while data:
        size = chance.choice((1, 7, 100, 5000))
        batch = decoder.feed(data[:size])
        data = data[size:]
        if batch is not None:
            assert batch.next <= batch.head
            found += batch.events
    assert [event.offset for event in found] == sorted({event.offset for event in found})
    return found


def answers(data: bytes) -> object:
    read_refusal(500, data)
    return read_appended(data, 1) if data[-1:] == b"\n" else read_bounds(data)


_EVENTS = [Stored(Offset(n), "abc"[n % 3], b'{"type":"a","n":%d}' % n) for n in range(1, 60)]
RECORD = pack(StoredColumns.of(_EVENTS), [identity("/s", str(event.offset)) for event in _EVENTS], NOW)
RECORD_BYTES = msgspec.msgpack.encode(RECORD)


def record(data: bytes) -> object:
    """A record of the log with any byte changed is damaged; what is read is what was written."""
    try:
        found = Record(*msgspec.msgpack.decode(data, type=tuple[int, int, float, bytes, bytes, bytes, int]))
        found.last.to_bytes(8, "little", signed=True), found.n.to_bytes(8, "little", signed=True)
    except (msgspec.DecodeError, OverflowError):
        raise Damaged("no record of a database") from None
    events = unpack(found).events
    assert list(events) == _EVENTS
    return identities_of(found)


# The door


def inflated(encoding: str) -> Callable[[bytes], object]:
    def run(data: bytes) -> object:
        inflater, made = Inflater(encoding), 0
        for start in range(0, len(data), 1000):
            for piece in inflater.feed(data[start : start + 1000]):
                assert len(piece) <= STEP_BYTES
                made += len(piece)
        inflater.finish()
        return made

    return run


async def _nothing(request: Any) -> Any:
    raise AssertionError


POLICY = Policy.of(SecurityConfig())
ROUTES = (
    Route("GET", "/events", _nothing, "read", ""),
    Route("POST", "/events", _nothing, "publish", "", (*EVENT_BODY, "*/*")),
    Route("GET", "unmatched", _nothing, "read", "", ("*/*",)),
)


def head(data: bytes) -> object:
    """What the front takes, aiohttp reads in the same way."""
    return check_head(data) is not None


def request(data: bytes) -> object:
    """A request's head at the edge: somebody, or a refusal with a status."""
    first, *rest = data.split(b"\n")
    method, _, target = first.decode("utf-8", "surrogateescape").partition(" ")
    headers = headers_of(rest)
    agreed = choose_coding(headers.get("Accept-Encoding", ""))
    for route in ROUTES:
        for peer in ("127.0.0.1", "10.0.0.1", ""):
            head = RequestHead(peer, (1, 1), method, target, headers, 9102, NOW)
            decision = admit(head, route, POLICY)
            assert isinstance(decision, Principal) or 400 <= decision.status < 500
            if isinstance(decision, Refusal):
                msgspec.json.encode([decision.message, decision.hint])
    return agreed, agree(headers.get("Sec-WebSocket-Extensions", "x"))


# Files of the operator


def configuration(kind: type[Any]) -> Callable[[bytes], object]:
    def run(data: bytes) -> object:
        return parse_config(kind, data.decode("utf-8", "replace"), {})

    return run


class Keys:
    """A file of API keys."""

    def __init__(self) -> None:
        self._file = os.memfd_create("keys")
        os.fchmod(self._file, 0o600)

    def __call__(self, data: bytes) -> object:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, data, 0)
        return len(load_keys(f"/proc/self/fd/{self._file}"))

    def __del__(self) -> None:
        os.close(self._file)


def dashboard(data: bytes) -> object:
    """A definition: faults are part of the answer."""
    return len(load_text("x", "x.json", data.decode("utf-8", "replace")).faults)


def schema(data: bytes) -> object:
    return parse_schema("t.json", "t", data)
