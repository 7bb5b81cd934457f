"""`hxp tail` against a small real gateway, and its lines."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console

from hxp_enterprise_llm.cli import tail as module
from hxp_enterprise_llm.cli.tail import Printer, event_line
from hxp_enterprise_llm.client import Position, Received
from tests.ports import free_port

Hxp = Callable[..., Result]


def event(offset: int, type: str = "llm.request.completed", **more: Any) -> str:
    fields = {"offset": offset, "epoch": "e1", "specversion": "1.0", "id": str(offset), "source": "/s", "type": type}
    return json.dumps(fields | {"time": "2026-11-20T17:34:31.250Z"} | more)


def received(**fields: Any) -> Received:
    return Received(Position("e1", 7), {"type": "a"} | fields, "")


def test_events_one_a_line(service: Any, hxp: Hxp) -> None:
    service.frames = [[event(1, data={"model": "m 1", "latency_ms": 840}), event(2, "alert.firing", subject="cpu")]]
    result = hxp("tail", "events", "--count", "2", "--url", service.url.replace("http", "ws"))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        '17:34:31.250 1 llm.request.completed /s model="m 1" latency_ms=840',
        "17:34:31.250 2 alert.firing /s cpu",
    ]


def test_options_become_the_query(service: Any, hxp: Hxp) -> None:
    service.frames = [[event(1)]]
    options = ["--after", "e1.0", "--last", "5", "--type", "llm.*", "--type", "a", "--filter", "data.x > 1"]
    assert hxp("tail", "events", *options, "--count", "1", "--url", service.url).exit_code == 0
    assert service.queries == [{"after": "e1.0", "last": "5", "type": "llm.*,a", "filter": "data.x > 1"}]


def test_json_is_printed_as_it_came(service: Any, hxp: Hxp) -> None:
    service.frames = [[event(1), '{"control":"reset","reason":"gone","epoch":"e1","first":9,"after":8}', event(9)]]
    result = hxp("tail", "--json", "--count", "2", "--url", service.url)
    assert result.stdout.splitlines() == [event(1), event(9)]
    assert result.stderr == "reset: events were lost to this client (reason=gone epoch=e1 first=9 after=8)\n"


def test_a_lost_connection_is_told_and_resumed(service: Any, hxp: Hxp) -> None:
    service.frames = [[event(1)], [event(2)]]
    result = hxp("tail", "--count", "2", "--url", service.url)
    assert result.exit_code == 0
    assert result.stderr.startswith("connection lost: closed with 1012 restart; next try in 0.")
    assert result.stderr.endswith(" s, after e1.1\n")
    assert service.queries == [{}, {"after": "e1.1"}]


def test_a_connection_lost_before_the_first_event_says_what_is_not_seen(service: Any, hxp: Hxp) -> None:
    service.frames = [[], [event(2), '{"control":"error","message":"x"}'], [event(3)]]
    result = hxp("tail", "--count", "2", "--url", service.url)
    first, second, *_ = result.stderr.splitlines()
    assert first.endswith("from then on: what happens meanwhile is not seen")
    assert second == "error: message=x"


def test_an_unknown_channel(service: Any, hxp: Hxp) -> None:
    service.answers = [(404, {"error": {"code": "unknown_channel", "message": "no", "hint": "did you mean events?"}})]
    result = hxp("tail", "evnts", "--url", service.url)
    assert result.exit_code == 1
    assert result.stderr == "refused: no (404 unknown_channel)\nhint: did you mean events?\n"


def test_nobody_there(hxp: Hxp) -> None:
    url = f"ws://127.0.0.1:{free_port()}"
    result = hxp("tail", "--url", url)
    assert result.exit_code == 69
    assert result.stderr.startswith(f"{url}/ws/events does not answer: Connection refused. Is it running?")


def test_the_environment_says_where_the_gateway_is(service: Any, hxp: Hxp, monkeypatch: pytest.MonkeyPatch) -> None:
    service.frames = [[event(1)]]
    monkeypatch.setenv("HXP_GATEWAY_URL", service.url.replace("http", "ws"))
    assert hxp("tail", "--count", "1").exit_code == 0


def test_ctrl_c_is_a_clean_end(service: Any) -> None:
    service.frames = [[event(1)]]
    code = "from hxp_enterprise_llm.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "tail", "--url", service.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("17:34:31.250 1 llm.request.completed")
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=20)
    assert (process.returncode, out, error) == (0, "", "\n")


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\x9b31m", "\u202e", "[bold]x[/bold]"])
def test_hostile_text_is_shown_not_obeyed(text: str) -> None:
    item = received(type=text, source=text, subject=text, time=text * 20, data={text: text, "n": {"k": [text]}})
    line = event_line(item).plain
    assert line.isprintable()
    assert "[bold]x[/bold]" in line or "[bold]" not in text


def test_forms_of_data() -> None:
    assert event_line(received(data=[1, {"a": 2}])).plain.endswith('a [1,{"a":2}]')
    assert event_line(received(data="text")).plain.endswith("a text")
    assert event_line(received(data={})).plain.endswith("7 a")
    assert event_line(received(data={"n": {"k": 1}, "z": None})).plain.endswith('a n={"k":1} z=null')
    assert event_line(received(data={f"k{n}": n for n in range(40)})).plain.endswith("k31=31 …(+8)")


def test_a_terminal_gets_colour_and_one_line_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    out = io.StringIO()
    monkeypatch.setattr(module, "Console", lambda **kw: Console(file=out, force_terminal=True, width=40, **kw))
    Printer(as_json=False).show(received(type="alert.firing", data={"text": "x" * 200}))
    shown = out.getvalue()
    assert shown.count("\n") == 1
    assert "\x1b[1;31malert.firing" in shown
    assert "…" in shown
