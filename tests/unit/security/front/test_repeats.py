"""Heads of streams that come again: read once, and never taken for one that says anything else."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from typing import cast

import pytest
from aiohttp import web
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.security.asked import Peer
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.front.door import DOOR, MOST_KEPT, MOST_KEPT_BYTES, Door
from hxp_enterprise_llm.security.keys import ApiKey, Keyring, digest_of, new_key
from hxp_enterprise_llm.security.model import Asked, OpenStream, Route, StepAside
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
OTHER = b"AAECAwQFBgcICQoLDA0ODw=="
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
HERE = Peer("127.0.0.1", 8080, "127.0.0.1")
TRANSPORT = cast("asyncio.Transport", object())


def head(
    *, key: bytes = KEY, path: bytes = b"/ws/events?last=3", host: bytes = b"localhost", more: bytes = b""
) -> bytes:
    begin = b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n"
    return begin + UPGRADE + b"Sec-WebSocket-Key: " + key + b"\r\n" + more + b"\r\n"


STREAM = b"GET /sse/events HTTP/1.1\r\nHost: localhost\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n"
"""A key where it means nothing."""


class House:
    """A door, what its streams read and what they took."""

    def __init__(self, security: SecurityConfig | None = None) -> None:
        self.policy = Policy.of(security or SecurityConfig())
        self.read: list[dict[str, str]] = []
        self.taken: list[tuple[str, str]] = []
        self.full = False
        ways = [("/ws/{channel}", "websocket"), ("/sse/{stream}", "sse")]
        routes = [Route("GET", path, self.usual, "read", "", upgrade=way, lean=self.lean) for path, way in ways]
        app = build_app(routes, policy=lambda: self.policy, metrics=ServiceMetrics(CollectorRegistry()))
        self.door: Door = app[DOOR]

    async def usual(self, request: web.Request) -> web.Response:
        raise NotImplementedError

    def lean(self, asked: Asked) -> OpenStream:
        assert asked.transport is None
        self.read.append({name.lower(): value for name, value in asked.headers.items()} | {"path": asked.path})

        def take(transport: asyncio.Transport, key: str) -> None:
            if self.full:
                raise StepAside
            self.taken.append((asked.path, key))

        return take

    def decide(self, text: bytes, peer: Peer = HERE, *, alone: bool = True) -> bool:
        found = self.door.decide(text, peer, TRANSPORT, alone=alone)
        assert isinstance(found, bool)
        return found


def test_heads_that_differ_in_the_key_alone_are_read_once_and_each_has_its_own() -> None:
    house = House()
    keys = [base64.b64encode(bytes([n]) * 16) for n in range(5)]
    assert all(house.decide(head(key=key)) for key in keys)
    assert house.taken == [("/ws/events", key.decode()) for key in keys]
    assert len(house.read) == 1


@pytest.mark.parametrize("name", [b"Sec-WebSocket-Key", b"sec-websocket-key", b"Sec-Websocket-Key"])
def test_the_key_is_found_by_its_usual_names(name: bytes) -> None:
    house = House()
    for key in (KEY, OTHER):
        assert house.decide(head(key=key).replace(b"Sec-WebSocket-Key", name))
    assert (len(house.read), [key for _, key in house.taken]) == (1, [KEY.decode(), OTHER.decode()])


@pytest.mark.parametrize(
    "other",
    [
        head(path=b"/ws/events?last=4"),
        head(path=b"/ws/event"),
        head(host=b"127.0.0.1"),
        head(more=b"X-A: b\r\n"),
        head().replace(b"Version: 13", b"Version: 8"),
    ],
)
def test_what_says_anything_else_is_read_itself(other: bytes) -> None:
    house = House()
    assert house.decide(head())
    assert house.decide(other)
    assert len(house.read) == 2


@pytest.mark.parametrize(
    "refused",
    [
        head(host=b"evil.example"),
        head(more=b"Origin: http://evil.example\r\n"),
        head(more=b"X-API-Key: hxp_a_wrong\r\n"),
        head(more=b"X-Forwarded-For: 192.0.2.7\r\n"),
        head(more=b"Content-Length: 5\r\n"),
        head(more=b"Transfer-Encoding: chunked\r\n"),
        head(more=b"Sec-WebSocket-Key: " + OTHER + b"\r\n"),
        head(key=b""),
        head(key=b" "),
        head(key=b"\0"),
        head(key=KEY[:-1] + b"\0"),
        head(key=KEY + b" "),
        head(key=KEY[:10] + b"\r\n" + KEY[12:]),
        head()[:-2] + b" \r\n\r\n",
        STREAM.replace(KEY, b""),
        STREAM.replace(KEY, b"\0"),
    ],
)
def test_nobody_comes_in_because_somebody_like_him_did(refused: bytes) -> None:
    house = House()
    assert not house.decide(refused)
    assert house.decide(head())
    assert house.decide(STREAM)
    taken = len(house.taken)
    assert not house.decide(refused)
    assert len(house.taken) == taken


def test_a_key_by_an_unusual_name_is_for_aiohttp_and_fills_no_memory() -> None:
    house = House()
    assert not house.decide(head().replace(b"Sec-WebSocket-Key", b"SEC-WEBSOCKET-KEY"))
    assert not house.door._streams


def test_an_address_says_nothing_of_another_one() -> None:
    house = House()
    assert house.decide(head())
    assert not house.decide(head(), Peer("192.0.2.7", 8080, "192.0.2.1"))
    assert house.decide(head(), Peer("127.0.0.2", 8080, "127.0.0.1"))
    assert len(house.read) == 2


def test_another_policy_decides_anew() -> None:
    house = House()
    assert house.decide(head())
    house.policy = Policy.of(SecurityConfig())
    assert house.decide(head())
    assert len(house.read) == 2
    house.policy = Policy.of(SecurityConfig(anonymous="none"))
    assert not house.decide(head())


def test_a_head_with_a_credential_is_never_kept() -> None:
    house, key = House(), new_key("me")
    house.policy = replace(house.policy, keys=Keyring([ApiKey("me", digest_of(key), frozenset({"read"}))]))
    for _ in range(2):
        assert house.decide(head(more=b"X-API-Key: " + key.encode() + b"\r\n"))
    assert len(house.read) == 2
    assert not house.door._streams


def test_what_is_kept_is_bounded() -> None:
    house = House()
    for number in range(2 * MOST_KEPT):
        assert house.decide(head(more=b"X-A: %d\r\n" % number))
        assert len(house.door._streams) <= MOST_KEPT
    house.door._streams.clear()
    assert house.decide(head(more=b"X-A: " + b"a" * MOST_KEPT_BYTES + b"\r\n"))
    assert not house.door._streams


def test_a_stream_that_is_not_alone_or_not_taken_is_left_to_aiohttp_each_time() -> None:
    house = House()
    assert house.decide(head())
    assert not house.decide(head(), alone=False)
    house.full = True
    assert not house.decide(head())
    assert house.taken == [("/ws/events", KEY.decode())]


PIECES = st.sampled_from(
    [b"", b" ", b"\r", b"\n", b"\r\n", b"\0", b":", b"=", b"A", b"\x80", KEY, OTHER, b"Sec-WebSocket-Key: "]
)


@settings(max_examples=500, deadline=None)
@given(
    base=st.sampled_from([head(), STREAM, head(more=b"Origin: http://localhost\r\n")]),
    edits=st.lists(st.tuples(st.integers(0, 250), st.integers(0, 26), PIECES), max_size=3),
)
@example(base=head(), edits=[(head().index(KEY), len(KEY), b"")])
@example(base=STREAM, edits=[(STREAM.index(KEY), len(KEY), b"")])
@example(base=head(), edits=[(head().index(KEY), len(KEY), OTHER)])
def test_who_has_read_heads_before_decides_as_who_has_not(base: bytes, edits: list[tuple[int, int, bytes]]) -> None:
    text = base
    for at, cut, piece in edits:
        at %= len(text) + 1
        text = text[:at] + piece + text[at + cut :]
    if not text.endswith(b"\r\n\r\n"):
        return
    knowing, fresh = House(), House()
    for each in (head(), STREAM, head(more=b"Origin: http://localhost\r\n")):
        assert knowing.decide(each)
    knowing.taken.clear()
    assert knowing.decide(text) == fresh.decide(text)
    assert knowing.taken == fresh.taken
