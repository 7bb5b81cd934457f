"""`hxp notify render`: what templates make of an event."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Hxp = Callable[..., Result]


def test_the_shipped_templates_over_a_sample(hxp: Hxp) -> None:
    result = hxp("notify", "render")
    assert result.exit_code == 0
    for heading in ("--- title ---", "--- text ---", "--- html ---", "--- slack ---"):
        assert heading in result.stdout
    assert "[CRITICAL] critical_alert (2 firing, 1 resolved)" in result.stdout


def test_ones_own_template_over_an_event_of_the_log(hxp: Hxp, tmp_path: Path) -> None:
    (tmp_path / "title.j2").write_text("{{ rule }} is {{ kind }}")
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"type": "alert.firing", "data": {"rule": "r\u001b", "priority": "info"}}))
    result = hxp("notify", "render", "--template", "title", "--directory", str(tmp_path), "--event", str(event))
    assert (result.exit_code, result.stdout) == (0, "r\\x1b is firing\n")


def test_faults_are_told(hxp: Hxp, tmp_path: Path) -> None:
    template = tmp_path / "text.j2"
    template.write_text("{{ titel }}")
    result = hxp("notify", "render", "--directory", str(tmp_path))
    assert (result.exit_code, result.stderr) == (78, f"{template}:1: unknown name 'titel' (did you mean title?)\n")
    template.write_text("\n{{ 1 / 0 }}")
    result = hxp("notify", "render", "--directory", str(tmp_path), "--template", "text")
    assert (result.exit_code, result.stderr) == (1, "text.j2:2: division by zero\n")
    (tmp_path / "e.json").write_text("{}")
    result = hxp("notify", "render", "--event", str(tmp_path / "e.json"))
    assert result.exit_code == 2
    assert "it is no event of an alert and no notification" in result.stderr


def test_a_file_that_no_message_uses_is_told(hxp: Hxp, tmp_path: Path) -> None:
    (tmp_path / "text.j2").write_text("{% include 'footer.j2' %}")
    (tmp_path / "footer.j2").write_text("on call: 7")
    assert hxp("notify", "render", "--directory", str(tmp_path), "--template", "text").stderr == ""
    (tmp_path / "slak.j2").write_text("x")
    (tmp_path / "title.txt").write_text("x")
    result = hxp("notify", "render", "--directory", str(tmp_path), "--template", "text")
    assert (result.exit_code, result.stdout) == (0, "on call: 7\n")
    assert result.stderr.splitlines() == [
        f"WARNING {tmp_path}/slak.j2: no message uses it (did you mean slack.j2?)",
        f"WARNING {tmp_path}/title.txt: no message uses it (did you mean title.j2?)",
    ]
