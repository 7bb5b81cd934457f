"""Every message leads to the page of its alert, whatever names are in it; without an address nothing is linked."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

import msgspec
import pytest

from hxp_enterprise_llm.event.notifications.channels.blocks import blocks
from hxp_enterprise_llm.event.notifications.channels.mail import compose
from hxp_enterprise_llm.event.notifications.channels.payload import posted_alert, webhook_payload
from hxp_enterprise_llm.event.notifications.channels.words import Worded, plain
from hxp_enterprise_llm.event.notifications.links import linked
from hxp_enterprise_llm.event.notifications.model import Notification, alert_data
from tests.unit.notifications.servers import Hook
from tests.unit.notifications.support import NOW, delivery, notification
from tests.unit.notifications.test_alertmanager import channel as alertmanager
from tests.unit.notifications.test_alertmanager import posted
from tests.unit.notifications.test_webhook import alert
from tests.unit.notifications.test_words import rendered, texts

PAGE = "https://citadel.example"
ALERTS = f"{PAGE}/view/alerts"
RUNBOOK = {"summary": "s", "runbook_url": "https://wiki.example/a?b=1&c=2"}


class Anchors(HTMLParser):
    """Where the links of a page lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name == "href"]


def html(told: Notification, worded: Worded | None = None) -> str:
    body = compose(delivery("ops@example.org")._replace(notification=told), "a@b", worded).get_body(("html",))
    assert body is not None
    return body.get_content()


def slack_links(told: Notification, worded: Worded | None = None) -> list[str]:
    shown = str([block.get("text", {}).get("text", "") for block in blocks(told, worded)])
    return [unescape(each) for each in re.findall(r"<([^>|]*)\|", shown)]


@pytest.mark.parametrize(
    ("told", "url"),
    [
        (notification(alerts=(alert(1, episode="ab-1"),)), f"{ALERTS}?episode=ab-1"),
        (notification("resolved", alerts=(alert(1, "resolved", episode="ab-1"),)), f"{ALERTS}?episode=ab-1"),
        (notification(alerts=(alert(1), alert(2))), ALERTS),
        (notification(), f"{ALERTS}?episode=ep-1"),
        (notification("message", type="test", test=True), ALERTS),
        (notification(alerts=(alert(1, episode='a&b="><x> y'),)), f"{ALERTS}?episode=a%26b%3D%22%3E%3Cx%3E%20y"),
    ],
)
def test_it_leads_to_the_episode_or_to_all_alerts(told: Notification, url: str) -> None:
    found = linked(told, PAGE)
    assert found.url == url
    assert all(url in text or url.replace("&", "&amp;") in text for text in texts(found))
    assert url in Anchors(html(found)).found
    assert url in Anchors(html(found, rendered(found))).found
    assert slack_links(found) == slack_links(found, rendered(found)) == [url]


def test_each_of_several_alerts_has_its_own_page() -> None:
    told = linked(notification(alerts=(alert(1), alert(2))), PAGE)
    pages = [f"{ALERTS}?episode=e1", f"{ALERTS}?episode=e2"]
    assert Anchors(html(told, rendered(told))).found == [ALERTS, *pages]
    assert all(f"  Page: {page}\n" in rendered(told).text for page in pages)
    payload = webhook_payload(told, "pager", PAGE, 0)
    assert (payload["externalURL"], [each["generatorURL"] for each in payload["alerts"]]) == (PAGE, pages)


def test_the_runbook_is_linked_where_all_have_the_same_one() -> None:
    told = linked(notification(alerts=(alert(1, annotations=RUNBOOK), alert(2, annotations=RUNBOOK))), PAGE)
    runbook = RUNBOOK["runbook_url"]
    assert runbook in Anchors(html(told)).found
    assert runbook in Anchors(html(told, rendered(told))).found
    assert slack_links(told) == slack_links(told, rendered(told)) == [ALERTS, runbook]
    assert f"Runbook: {runbook}\n" in plain(told).text
    assert notification(alerts=(alert(1, annotations=RUNBOOK), alert(2))).runbook_url == ""


def test_without_an_address_nothing_is_linked() -> None:
    told = linked(notification(alerts=(alert(1),)), "")
    assert told == notification(alerts=(alert(1),))
    assert not any(
        "view/alerts" in text or "Page" in text or "page" in text.partition("</head>")[2] for text in texts(told)
    )
    assert slack_links(told) == Anchors(html(told)).found == Anchors(html(told, rendered(told))).found == []
    assert not {"url", "runbook_url"} & set(alert_data(told))
    assert webhook_payload(told, "pager", "", 0)["alerts"][0]["generatorURL"] == ""
    assert "generatorURL" not in posted_alert(told.alerts[0], NOW)


HOSTILE = "</a><a href='https://evil.example'>x</a> <https://evil.example|Runbook> [a](https://evil.example)"


@pytest.mark.parametrize(
    "runbook", ["javascript:alert(1)", 'https://wiki.example/"><a href="https://evil.example', "https://x|y>z", HOSTILE]
)
def test_no_name_and_no_runbook_makes_another_link(runbook: str) -> None:
    one = alert(
        1,
        episode=HOSTILE,
        labels={"alertname": HOSTILE, "agent": HOSTILE},
        annotations={"summary": HOSTILE, "runbook_url": runbook},
    )
    told = linked(notification(title=HOSTILE, text=HOSTILE, rule=HOSTILE, alerts=(one,)), PAGE)
    assert told.runbook_url == ""
    for worded in (None, rendered(told)):
        assert Anchors(html(told, worded)).found == [told.url]
        assert slack_links(told, worded) == [told.url]


def test_an_event_says_where_its_page_is() -> None:
    told = linked(notification(alerts=(alert(1, annotations=RUNBOOK),)), PAGE)
    data = alert_data(told)
    assert (data["url"], data["runbook_url"]) == (f"{ALERTS}?episode=e1", RUNBOOK["runbook_url"])


def test_an_alert_from_outside_keeps_its_own_generator() -> None:
    told = linked(notification(alerts=(alert(1, generator_url="http://prometheus.example/graph"),)), PAGE)
    assert webhook_payload(told, "pager", PAGE, 0)["alerts"][0]["generatorURL"] == "http://prometheus.example/graph"
    assert posted_alert(told.alerts[0], NOW)["generatorURL"] == "http://prometheus.example/graph"


async def test_what_an_alertmanager_is_told_again_leads_where_the_page_is_now(hook: Hook) -> None:
    told = delivery(hook.url, "alertmanager", alerts=(alert(1),))
    kept = await alertmanager(hook.url, page_url="https://old.example").send(told, 5)
    (first,) = await posted(hook)
    await alertmanager(hook.url, page_url=PAGE).resend(hook.url, [kept], 5)
    (second,) = await posted(hook)
    assert first["generatorURL"] == "https://old.example/view/alerts?episode=e1"
    assert second["generatorURL"] == f"{ALERTS}?episode=e1"


def test_a_link_of_a_template_is_not_cut_in_two() -> None:
    worded = Worded("title", "text", slack="x" * 2890 + f"<{ALERTS}|Page>")
    assert blocks(notification(), worded)[0]["text"]["text"] == "x" * 2890 + "…"


def test_the_address_is_not_stored() -> None:
    assert "url" not in msgspec.to_builtins(notification(alerts=(alert(1),)))
