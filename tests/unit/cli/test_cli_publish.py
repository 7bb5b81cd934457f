"""`hxp publish` against a small real service."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from hxp_enterprise_llm.cli.publish import batches, typed_pair
from tests.ports import free_port

Hxp = Callable[..., Result]


def test_an_event_with_typed_values(service: Any, hxp: Hxp) -> None:
    pairs = [
        "model=mixtral-8x7b",
        "tokens=96",
        "cost_usd=0.02",
        "cached=true",
        "user=null",
        "version=1.2.3",
        "note=a=b",
    ]
    result = hxp("publish", "llm.request.completed", *pairs, "--subject", "s", "--source", "/me", "--url", service.url)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "1\n", "")
    (event,) = service.events
    assert len(event.pop("id")) == 32
    assert event == {
        "type": "llm.request.completed",
        "source": "/me",
        "subject": "s",
        "data": {
            "model": "mixtral-8x7b",
            "tokens": 96,
            "cost_usd": 0.02,
            "cached": True,
            "user": None,
            "version": "1.2.3",
            "note": "a=b",
        },
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("007", "007"),
        ("-1", -1),
        ("1e3", 1000.0),
        ("1e999", "1e999"),
        ("9223372036854775808", "9223372036854775808"),
        ("9223372036854775807", 2**63 - 1),
        ("0x10", "0x10"),
        ("", ""),
        ("NaN", "NaN"),
    ],
)
def test_only_what_json_calls_a_number_is_one(text: str, value: object) -> None:
    assert typed_pair(f"k={text}") == ("k", value)


@pytest.mark.parametrize(
    ("arguments", "data"),
    [
        ((), None),
        (("--data", '{"a":{"b":[1]}}'), {"a": {"b": [1]}}),
        (("--data", '{"a":1,"b":2}', "a=3"), {"a": 3, "b": 2}),
        (("--data", "[1,2]"), [1, 2]),
        (("--data", "null"), None),
    ],
)
def test_data_as_json(service: Any, hxp: Hxp, arguments: tuple[str, ...], data: object) -> None:
    assert hxp("publish", "a.b", *arguments, "--url", service.url).exit_code == 0
    assert service.events[0].get("data") == data
    assert ("data" in service.events[0]) == bool(arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Name the TYPE of the event, such as llm.request.completed, or use --file."),
        (("a", "novalue"), "'novalue' is no KEY=VALUE."),
        (("a", "=x"), "'=x' is no KEY=VALUE."),
        (("a", "--data", "{"), "--data is no JSON: Input data was truncated"),
        (("a", "k=v", "--data", "[1]"), "KEY=VALUE can be put over an object only, and --data is none."),
        (("a", "--file", "-"), "--file brings its own types and data: leave TYPE and KEY=VALUE out."),
    ],
)
def test_wrong_use_is_explained(hxp: Hxp, arguments: tuple[str, ...], message: str) -> None:
    result = hxp("publish", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_refused_event_shows_the_services_words(service: Any, hxp: Hxp) -> None:
    error = {
        "code": "invalid_events",
        "message": "1 of 1 events is faulty\x1b[2J",
        "hint": "see the schema of llm.request.completed",
        "items": [{"index": 0, "path": "data.latency_ms", "message": '"fast" is not a number'}, "junk"],
    }
    service.answers = [(400, {"error": error})]
    result = hxp("publish", "llm.request.completed", "latency_ms=fast", "--url", service.url)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "refused: 1 of 1 events is faulty\\x1b[2J (400 invalid_events)",
        '  0 data.latency_ms: "fast" is not a number',
        "hint: see the schema of llm.request.completed",
    ]


def test_nobody_there(hxp: Hxp) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = hxp("publish", "a", "--url", url)
    assert result.exit_code == 69
    assert result.stderr == (
        f"{url}/events does not answer: Connection refused. "
        "Is it running? Start it with `hxp up`, or name another with --url.\n"
    )


def test_host_and_port_alone_are_an_address(service: Any, hxp: Hxp) -> None:
    assert hxp("publish", "a", "--url", f"127.0.0.1:{service.port}/").stdout == "1\n"


@pytest.mark.parametrize(
    "url", ["htp://127.0.0.1:9100", "http://", "http://127.0.0.1:x", "localhost:99999", "127.0.0.1:"]
)
def test_what_is_no_address(hxp: Hxp, url: str) -> None:
    result = hxp("publish", "a", "--url", url)
    assert result.exit_code == 2
    assert f": '{url}' is no address: write one such as http://127.0.0.1:9100\n" in result.stderr


def test_the_environment_says_where_event_processing_is(
    service: Any, hxp: Hxp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HXP_PROCESSING_URL", service.url)
    assert hxp("publish", "a").stdout == "1\n"


def test_tls_where_there_is_none(service: Any, hxp: Hxp) -> None:
    url = service.url.replace("http", "https")
    result = hxp("publish", "a", "--url", url)
    assert result.exit_code == 69
    assert f"{url}/events does not answer: it speaks no TLS that we know (" in result.stderr
    assert "); an address of plain HTTP begins with http://. Is it running?" in result.stderr


def test_another_service(service: Any, hxp: Hxp) -> None:
    """What that one proposes instead would lead astray."""
    error = {"code": "not_found", "message": "there is nothing at /events", "hint": "did you mean /sse?"}
    service.answers = [(404, {"error": error})]
    result = hxp("publish", "a", "--url", service.url)
    assert result.exit_code == 1
    refused, hint = result.stderr.splitlines()
    assert refused == "refused: there is nothing at /events (404 not_found)"
    assert hint.startswith("hint: --url names another service: publish, export, log and rules ask event processing")


def test_a_service_of_another_kind(service: Any, hxp: Hxp) -> None:
    service.answers = [(202, {"ok": True})]
    result = hxp("publish", "a", "--url", service.url)
    assert result.exit_code == 76
    assert "does not answer as this service does: '{\"ok\": true}'" in result.stderr


def test_a_repeat_is_told(service: Any, hxp: Hxp) -> None:
    service.answers = [(202, {"events": [{"offset": 7, "duplicate": True}], "epoch": "e"})]
    assert hxp("publish", "a", "--url", service.url).stdout == "7 (stored before)\n"


def test_a_file_of_events(service: Any, hxp: Hxp, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text('{"type":"a","id":"1"}\n\n{"type":"b"}\n  {"type":"c","id":"1"}  \n')
    result = hxp("publish", "--file", str(file), "--url", service.url)
    assert (result.exit_code, result.stdout) == (0, "3 events, offsets 1 to 3\n")
    assert [event["type"] for event in service.events] == ["a", "b", "c"]
    assert service.events[0]["id"] == "1"
    assert len(service.events[1]["id"]) == 32
    assert hxp("publish", "--file", str(file), "--url", service.url).stdout.endswith(", 2 of them stored before\n")


def test_events_from_stdin(service: Any, hxp: Hxp) -> None:
    assert hxp("publish", "--file", "-", "--url", service.url, input='{"type":"a"}\n').stdout == ("1 event, offset 1\n")
    assert hxp("publish", "--file", "-", "--url", service.url, input="").stdout == "no events\n"


@pytest.mark.parametrize("line", ["{", "[1]", '"text"', "\x1b[2J"])
def test_a_broken_line_is_named_by_its_number(service: Any, hxp: Hxp, tmp_path: Path, line: str) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text('{"type":"a"}\n' + line + "\n")
    result = hxp("publish", "--file", str(file), "--url", service.url)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{file}:2: no JSON object: ")
    assert result.stderr.endswith("; nothing was stored\n")
    assert service.events == []


def test_a_broken_line_far_down_says_what_was_stored_before(service: Any, hxp: Hxp, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text('{"type":"a"}\n' * 1200 + "{\n")
    result = hxp("publish", "--file", str(file), "--url", service.url)
    assert (result.exit_code, len(service.events)) == (1, 1000)
    assert result.stderr.startswith(f"{file}:1201: no JSON object: ")
    assert result.stderr.endswith("; 1000 events before it were stored\n")


def test_a_refused_batch_says_what_was_stored(service: Any, hxp: Hxp, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text("\n".join(json.dumps({"type": "a", "data": {"n": n}}) for n in range(1500)))
    items = [{"index": 2, "path": "type", "message": "wrong"}, {"index": 9999, "message": "odd"}, 7]
    service.answers = [
        (202, {"events": [{"offset": n} for n in range(1, 1001)], "epoch": "e"}),
        (400, {"error": {"code": "bad", "message": "no", "items": items}}),
    ]
    result = hxp("publish", "--file", str(file), "--url", service.url)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"{file}: lines 1001 to 1500 were not stored; 1000 events before it were stored",
        "refused: no (400 bad)",
        "  line 1003 type: wrong",
        "  9999: odd",
    ]


def test_batches_are_bounded_by_number_and_size() -> None:
    small = [b'{"id":"1"}\n'] * 2500
    assert [len(batch) for batch in batches(small, "f", str)] == [1000, 1000, 500]
    large = [b'{"id":"%s"}' % (b"x" * 1_500_000)] * 5
    assert [len(batch) for batch in batches(large, "f", str)] == [2, 2, 1]
    assert [number for batch in batches([b"", b"{}\n", b" \n", b"{}"], "f", str) for number, _ in batch] == [2, 4]
