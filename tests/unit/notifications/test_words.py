"""What a person reads at three in the morning, by the shipped templates and in plain words alike."""

from __future__ import annotations

from typing import Any

import pytest

from hxp_enterprise_llm.event.notifications.channels.blocks import blocks, fallback_text
from hxp_enterprise_llm.event.notifications.channels.mail import compose
from hxp_enterprise_llm.event.notifications.channels.words import Worded, headline, one_line, plain, several_lines
from hxp_enterprise_llm.event.notifications.model import Notification
from hxp_enterprise_llm.event.notifications.templates.data import data_of
from hxp_enterprise_llm.event.notifications.templates.loading import shipped
from hxp_enterprise_llm.event.notifications.templates.sandbox import PARTS, Sandbox
from tests.unit.notifications.routing.ways import Ways
from tests.unit.notifications.support import delivery, notification
from tests.unit.notifications.test_webhook import alert


def rendered(told: Notification) -> Worded:
    found = Sandbox(shipped()).render(PARTS, data_of(told))
    assert found.failures == {}
    return Worded(**found.parts)


def texts(told: Notification) -> list[str]:
    """Every text of it: both mails' parts, both Slack messages."""
    found: list[str] = []
    for worded in (plain(told), rendered(told)):
        mail = compose(delivery("ops@example.org")._replace(notification=told), "a@b", worded)
        for kind in ("plain", "html"):
            body = mail.get_body((kind,))
            found += [body.get_content()] if body is not None else []
    whole = compose(delivery("ops@example.org")._replace(notification=told), "a@b").get_body(("html",))
    assert whole is not None
    return [*found, whole.get_content(), str(blocks(told)), str(blocks(told, rendered(told)))]


def test_all_of_them_name_the_episode_that_is_to_be_acknowledged() -> None:
    told = notification(alerts=(alert(1, episode="abc-1800000000000"),))
    assert all("abc-1800000000000" in text for text in texts(told))


@pytest.mark.parametrize(
    ("why", "because", "state", "sentence"),
    [
        ("repeat", "it still fires 4h after it was last told", "still firing", "Told again: it still fires 4h after"),
        (
            "escalation",
            "10m after it was told nobody has acknowledged it",
            "firing, escalated",
            "Escalated: 10m after it was told nobody has acknowledged it.",
        ),
        ("first", "", "firing", ""),
    ],
)
def test_what_is_told_again_says_so(why: str, because: str, state: str, sentence: str) -> None:
    told = notification(why=why, because=because, alerts=(alert(1),))
    assert headline(told) == rendered(told).title == f"[CRITICAL] critical_alert: {state}"
    assert fallback_text(told, rendered(told)).startswith(f"[CRITICAL] critical_alert: {state} ·")
    for text in texts(told):
        assert (sentence in text) if sentence else ("Told again" not in text and "Escalated" not in text)


@pytest.mark.parametrize(
    ("kind", "reason", "said"),
    [
        ("firing", "no_data", "its metrics have no values"),
        ("resolved", "rule_changed", "its rule was changed or removed"),
        ("resolved", "missing_series", "these labels are reported no longer"),
        ("resolved", "timed_out", "it was not sent again"),
    ],
)
def test_a_reason_is_said_in_words_and_only_an_end_has_ended(kind: Any, reason: str, said: str) -> None:
    told = notification(kind, reason=reason, alerts=(alert(1, status=kind),))
    for text in texts(told):
        assert said in text
        assert reason not in text
        assert kind == "resolved" or ("nded" not in text and "Lasted" not in text)


def test_no_name_turns_the_text_around_it() -> None:
    hostile = "\u202eltr\u202c \u2066x\u2069"
    assert one_line(hostile, 99) == several_lines(hostile) == "ltr x"
    told = notification(
        title=hostile, text=hostile, alerts=(alert(1, labels={"alertname": hostile, "agent": hostile}),)
    )
    mail = compose(delivery("ops@example.org")._replace(notification=told), "a@b", rendered(told))
    for text in (*texts(told), str(mail["Subject"]), fallback_text(told, rendered(told)), fallback_text(told)):
        assert not set(text) & set("\u202e\u202c\u2066\u2069")
        assert "ltr" in text


def test_the_subject_counts_all_alerts_of_a_large_group() -> None:
    ways = Ways(grouping={"group_by": []})
    ways.fire(*(f"a/{number:03}" for number in range(450)))
    ways.end(*(f"a/{number:03}" for number in range(40)))
    first, last = [told for told, _ in ways.queue if told.why]
    assert rendered(first).title == "[WARNING] a (450 firing)"
    assert rendered(last).title == "[WARNING] a (410 firing, 40 resolved)"
    assert all("and 430 more" in text for text in (rendered(first).text, plain(first).text))
