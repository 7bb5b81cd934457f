"""What a template can reach: its values and nothing else; and what hostile values can do in it: nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.notifications.channels.words import shown_duration
from hxp_enterprise_llm.event.notifications.templates.data import data_of
from hxp_enterprise_llm.event.notifications.templates.loading import shipped
from hxp_enterprise_llm.event.notifications.templates.samples import BadSample, read_sample, sample
from hxp_enterprise_llm.event.notifications.templates.sandbox import PARTS, Sandbox
from tests.unit.notifications.support import notification
from tests.unit.notifications.test_webhook import alert

ESCAPES = [
    "{{ ''.__class__.__mro__ }}",
    "{{ ''['__class__'] }}",
    "{{ ().__class__.__base__.__subclasses__() }}",
    "{{ title|attr('__class__') }}",
    "{{ title|attr('for' ~ 'mat')('x') | attr('__globals__') }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(title) }}",
    "{{ '%s'|format(title.__class__) }}",
    "{{ title.format.__self__.__class__ }}",
    "{{ range.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__['os'] }}",
    "{{ left_out.__globals__ }}",
    "{{ left_out.__code__.co_consts }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ alerts.append(1) }}",
    "{{ labels.update({'a': 1}) }}",
    "{{ [title]|map(attribute='__class__')|list }}",
    "{{ (title, title)|map('attr', '__class__')|first }}",
    "{% for x in alerts|map(attribute='__class__.__mro__') %}{{ x }}{% endfor %}",
    "{{ {}.__class__.__bases__[0].__subclasses__()[0] }}",
]


def rendered(source: str, part: str = "text", **data: object) -> tuple[str, str]:
    """The text and the reason why there is none."""
    found = Sandbox({f"{part}.j2": source}).render((part,), data_of(sample()) | data)
    failure = found.failures.get(part)
    return found.parts.get(part, ""), failure.message if failure else ""


@pytest.mark.parametrize("source", ESCAPES)
def test_no_template_gets_out(source: str) -> None:
    text, reason = rendered(source)
    leaked = ("<class", "module", "uid=", "__", "object at")
    assert reason or not any(word in text for word in leaked), text


def test_a_fault_is_told_with_its_line() -> None:
    found = Sandbox({"text.j2": "one\ntwo\n{{ 1 / 0 }}"}).render(("text",), data_of(sample()))
    assert found.failures["text"] == ("text.j2", 3, "division by zero")
    assert rendered("{{ x.y }}")[1] == "'x' is undefined"


def test_what_nobody_would_read_is_refused() -> None:
    assert rendered("{% for i in range(99999) %}xxxxxxxxxx{% endfor %}")[1] == "the result is longer than 64 kB"


def test_one_part_that_fails_does_not_stop_the_others() -> None:
    sources = shipped() | {"title.j2": "{{ 1 / 0 }}"}
    found = Sandbox(sources).render(PARTS, data_of(sample()))
    assert set(found.failures) == {"title"}
    assert set(found.parts) == {"text", "html", "slack"}


HOSTILE = ["<script>alert(1)</script>", "<!channel>", "{{ 7 * 7 }}", "{% raw %}", "<http://evil|good>", '" onload="x']


@pytest.mark.parametrize("text", HOSTILE)
def test_values_stay_values(text: str) -> None:
    told = notification(
        title=text,
        text=text,
        rule=text,
        condition=text,
        reason=text,
        receiver=text,
        alerts=tuple(
            alert(number, labels={"alertname": text, text: text}, annotations={"summary": text, "runbook_url": text})
            for number in range(2)
        ),
    )
    for alerts in (told.alerts, told.alerts[:1], ()):
        found = Sandbox(shipped()).render(PARTS, data_of(notification(**{**_fields(told), "alerts": alerts})))
        assert not found.failures
        html, slack = found.parts["html"], found.parts["slack"]
        assert "<script" not in html
        assert 'onload="' not in html
        assert "<!" not in slack
        assert "<http://evil" not in slack
        assert "49" not in found.parts["title"]


def _fields(told) -> dict:
    return {name: getattr(told, name) for name in told.__struct_fields__}


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=50), st.sampled_from(["firing", "resolved", "message"]), st.integers(0, 30))
def test_the_shipped_templates_take_everything(text: str, kind: str, count: int) -> None:
    told = notification(kind, title=text, text=text, reason=text, alerts=tuple(alert(n) for n in range(count)))
    found = Sandbox(shipped()).render(PARTS, data_of(told))
    assert not found.failures
    assert "\n" not in found.parts["title"]


def test_the_shipped_templates_say_what_matters() -> None:
    drill = notification("message", test=True, title="drill", rule="", since=None, text="nothing\nto do")
    parts = Sandbox(shipped()).render(PARTS, data_of(drill)).parts
    assert parts["title"] == "[TEST] [CRITICAL] drill"
    assert parts["text"].startswith("This is a test: nothing has happened.\n\nnothing\nto do\n")
    assert parts["slack"].startswith("*[TEST]* *[CRITICAL] drill*\nnothing\nto do")
    many = notification(alerts=tuple(alert(n) for n in range(25)), truncated=2)
    parts = Sandbox(shipped()).render(PARTS, data_of(many)).parts
    assert "… and 7 more" in parts["text"]
    assert "… and 17 more" in parts["slack"]
    end = notification("resolved", alerts=(alert(1, "resolved"),))
    assert Sandbox(shipped()).render(PARTS, data_of(end)).parts["title"] == (
        "[CRITICAL] critical_alert: resolved after 1m"
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.6, "1m"), (95, "1m 35s"), (3900, "1h 5m"), (90_061, "1d 1h"), (-5, "0s")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert shown_duration(seconds) == text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://wiki.example/x", "https://wiki.example/x"),
        ("javascript:alert(1)", ""),
        ("https://x|y", ""),
        ('https://x" onload="y', ""),
        ("file:///opt/runbook.md", "file:///opt/runbook.md"),
    ],
)
def test_only_links_to_pages_are_links(url: str, shown: str) -> None:
    told = notification(alerts=(alert(1, annotations={"runbook_url": url}),))
    assert data_of(told)["alerts"][0]["runbook"] == shown


def test_an_event_of_the_log_is_a_sample() -> None:
    event = b"""{"id": "x", "type": "alert.resolved", "time": "2027-01-15T08:00:00.000Z", "data":
        {"rule": "r", "summary": "s", "priority": "warning", "since": "2027-01-15T07:00:00.000Z",
         "values": {"a": 1}}}"""
    told = read_sample(event)
    assert (told.kind, told.title, told.text, told.values) == ("resolved", "r", "s", {"a": 1})


@pytest.mark.parametrize("content", [b"x", b"[]", b'{"data": 1}', b'{"type": "llm.request", "data": {}}', b"{}"])
def test_what_is_no_event_is_refused(content: bytes) -> None:
    with pytest.raises(BadSample, match=r"it|its"):
        read_sample(content)
