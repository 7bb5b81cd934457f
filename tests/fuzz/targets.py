"""All targets: each decoder with what it may raise, and well-formed input to begin with. And a run over them."""

from __future__ import annotations

import asyncio
import faulthandler
from collections.abc import Callable, Iterable

import msgspec

from hxp_enterprise_llm.config.faults import ConfigError
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.dashboards.api import _refresh_request
from hxp_enterprise_llm.event.log.model import CursorError
from hxp_enterprise_llm.event.log.packing import Damaged
from hxp_enterprise_llm.event.log.remote.lines import ProtocolError
from hxp_enterprise_llm.event.notifications.requests import parse_send
from hxp_enterprise_llm.event.notifications.rules.conditions import ConditionFault
from hxp_enterprise_llm.event.sources.faults import Invalid
from hxp_enterprise_llm.event.sources.schema_files import SchemaError
from hxp_enterprise_llm.event.sources.strict_json import JsonFault, read
from hxp_enterprise_llm.event.streaming.centrifuge.codes import Refused
from hxp_enterprise_llm.event.streaming.centrifuge.tokens import ExpiredToken, InvalidToken
from hxp_enterprise_llm.event.streaming.filter_syntax import FilterError
from hxp_enterprise_llm.event.streaming.serverapi.commands import parse_entry
from hxp_enterprise_llm.security.inflate import InflateError
from hxp_enterprise_llm.security.keys import KeysError
from hxp_enterprise_llm.security.model import EVENT_BODY
from hxp_enterprise_llm.security.problems import Problem
from tests.fuzz import opentelemetry, words
from tests.fuzz.campaign import Campaign, Target
from tests.fuzz.decoders import (
    RECORD_BYTES,
    Frames,
    Keys,
    answers,
    api_batch,
    batch,
    binary,
    blocks,
    body,
    condition,
    condition_filter,
    configuration,
    dashboard,
    head,
    hint,
    inflated,
    lines,
    parameters,
    record,
    request,
    schema,
    session,
    sign,
    signed,
    stored,
    strict,
    tags,
    token,
    wish,
)
from tests.unit.streaming.frames import client_frame

JSON_FAULTS = (JsonFault, Invalid)
MIXED = (*words.EVENTS, *words.BATCHES)
FRAMES = (
    client_frame(1, b'{"command":"ping"}'),
    client_frame(1, b"half", fin=False) + client_frame(0, "κόσμε".encode()),
    client_frame(9, b"x") + client_frame(8, b"\x03\xe8bye"),
    client_frame(2, b"x" * 200),
)
FRAME_TEXTS = (b'{"command":"ping"}', b'{"command":"pong","x":[{}]}')
CLAIMS = b'{"sub":"u","exp":1895196071,"channels":["a"],"subs":{"b":{"info":{}}},"aud":["x"],"info":{"n":1}}'
SIGNED = (
    b'{"alg":"HS256","typ":"JWT"}\n' + CLAIMS,
    b'{"alg":"HS256"}\n{"channel":"a","sub":"u","client":"c","nbf":1,"expire_at":2}',
    b'{"alg":"none"}\n{}',
    b'{"alg":"HS256","b64":false,"crit":["b64"]}\n{}',
    b'{"alg":"HS256","kid":["x"],"jwk":{},"jku":"http://x"}\n{"exp":1e400}',
)


async def campaigns(count: int, seed: int, say: Callable[[str], None]) -> int:
    """So many inputs over all targets together, by their shares; answers how many findings there were.

    A process that hangs where no signal reaches it is ended with a stack after a minute.
    """
    every, found = targets(), 0
    say(f"seed {seed}")
    for target in every:
        faulthandler.dump_traceback_later(60 + count // 1000, exit=True)
        outcome = await Campaign(target, seed).run(round(count * target.share / sum(each.share for each in every)))
        say(str(outcome))
        for finding in outcome.findings:
            say(f"  {finding}")
        found += len(outcome.findings)
    faulthandler.cancel_dump_traceback_later()
    return found


def targets() -> list[Target]:
    """All of them. Needs a running loop."""
    asyncio.get_running_loop()
    return [*_events(), *opentelemetry.targets(), *_asked(), *_clients(), *_ours(), *_door(), *_files()]


def _events() -> Iterable[Target]:
    for media in EVENT_BODY:
        yield Target(f"body {media.partition('/')[2]}", body(media), JSON_FAULTS, MIXED, words.JSON_WORDS)
    yield Target("batch, both ways", batch, (), MIXED, words.JSON_WORDS)
    yield Target("binary headers", binary, JSON_FAULTS, words.HEADERS, (*words.HEADER_WORDS, *words.JSON_WORDS))
    yield Target("strict JSON", strict, (JsonFault,), MIXED, words.JSON_WORDS)
    yield Target("stored event", stored, (), (*MIXED, *words.COMMANDS), words.JSON_WORDS)


def _asked() -> Iterable[Target]:
    yield Target("filter", condition_filter, (FilterError,), words.FILTERS, words.FILTER_WORDS)
    yield Target("tags filter", tags, (Refused,), words.TAGS, words.TAG_WORDS)
    yield Target("rule", condition, (ConditionFault,), words.CONDITIONS, words.FILTER_WORDS, 0.2)
    yield Target("parameters", parameters, (Problem,), words.QUERIES, words.QUERY_WORDS)
    yield Target("cursor", wish, (Problem,), words.WISHES, words.QUERY_WORDS)


def _clients() -> Iterable[Target]:
    yield Target("WebSocket frames", Frames(), (), FRAMES, FRAMES)
    for name, bare, connected in (
        ("session", False, True),
        ("new session", False, False),
        ("bare session", True, False),
    ):
        seeds = (b'{"token":"","subs":{"a":{"recover":true,"offset":3}}}', b"{}") if bare else words.COMMANDS
        yield Target(f"Centrifuge {name}", session(bare=bare, connected=connected), (), seeds, words.COMMAND_WORDS, 0.5)
    expected = (InvalidToken, ExpiredToken)
    good = tuple(sign(*text.split(b"\n")).encode() for text in SIGNED)
    yield Target("token", token, expected, good, (b".", b"=", b"e30", b"bnVsbA", b"W10"))
    yield Target("signed claims", signed, expected, SIGNED, (b'{"alg":"HS256"}\n', b'"alg":', *words.JSON_WORDS), 0.5)
    yield Target("API command", lambda data: parse_entry(data, read), (), words.API, words.JSON_WORDS)
    yield Target(
        "API batch", api_batch, (msgspec.DecodeError, UnicodeDecodeError, RecursionError), words.API, words.JSON_WORDS
    )
    yield Target("hint by WebSocket", hint, (), FRAME_TEXTS, words.JSON_WORDS)
    yield Target("refresh", _refresh_request, (Problem,), (b'{"dashboard":"a"}', b" "), words.JSON_WORDS)
    yield Target(
        "notification", parse_send, (Problem,), (b'{"type":"t","message":"m","channel":"all"}',), words.JSON_WORDS
    )


def _ours() -> Iterable[Target]:
    yield Target("lines of a log", lines, (ProtocolError, CursorError), words.LINES, words.LINE_WORDS)
    yield Target("blocks of a log", blocks, (ProtocolError, CursorError), words.BLOCKS, words.BLOCK_WORDS)
    known = (
        b'{"epoch":"e","first":1,"head":2,"durable":true,"status":"ok","limits":{"max_batch_events":1,'
        b'"max_batch_bytes":1,"max_event_bytes":1}}',
        b'{"events":[{"offset":1,"duplicate":false}],"epoch":"e"}\n',
        b'{"error":{"code":"gone","message":"x"}}',
    )
    yield Target("answers of a log", answers, (ProtocolError,), known, words.JSON_WORDS)
    yield Target("packed record", record, (Damaged,), (RECORD_BYTES,))


def _door() -> Iterable[Target]:
    yield Target("plain head", head, (), words.HEADS, words.HEAD_WORDS, 0.2)
    yield Target("request at the edge", request, (ValueError,), words.REQUESTS, words.REQUEST_WORDS, 0.5)
    for encoding in ("gzip", "deflate"):
        yield Target(encoding, inflated(encoding), (InflateError,), words.compressed(), share=0.3)


def _files() -> Iterable[Target]:
    for kind, name in ((StreamingConfig, "data-streaming-api.yaml"), (ProcessingConfig, "event-processing.yaml")):
        seeds = (*words.configurations(name), b"a: " + b"[" * 400)
        yield Target(name, configuration(kind), (ConfigError,), seeds, words.YAML_WORDS, 0.01)
    yield Target("file of keys", Keys(), (KeysError,), (*words.KEYS, b"[" * 3000), words.YAML_WORDS, 0.02)
    yield Target("dashboard", dashboard, (), words.dashboards(), words.JSON_WORDS, 0.03)
    yield Target(
        "schema file", schema, (SchemaError,), (*words.SCHEMA, b"[" * 3000, b'{"allOf":[' * 500), words.JSON_WORDS, 0.05
    )
