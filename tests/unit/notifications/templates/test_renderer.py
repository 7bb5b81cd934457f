"""The process that renders: bounded, started again when it is lost, and never a reason not to tell."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.event.notifications.channels.blocks import blocks
from hxp_enterprise_llm.event.notifications.channels.mail import compose
from hxp_enterprise_llm.event.notifications.templates import renderer as module
from hxp_enterprise_llm.event.notifications.templates.data import data_of
from hxp_enterprise_llm.event.notifications.templates.loading import shipped
from hxp_enterprise_llm.event.notifications.templates.renderer import (
    InlineRenderer,
    ProcessRenderer,
    RendererLost,
    TemplateWording,
)
from hxp_enterprise_llm.event.notifications.templates.samples import sample
from hxp_enterprise_llm.event.notifications.templates.sandbox import PARTS
from hxp_enterprise_llm.telemetry.notification_metrics import NotificationMetrics
from tests.unit.notifications.support import ManualClock, delivery

DATA = data_of(sample())


@asynccontextmanager
async def rendering():
    renderer = ProcessRenderer()
    try:
        yield renderer
    finally:
        await renderer.stop()


def with_text(source: str) -> dict[str, str]:
    return shipped() | {"text.j2": source}


async def test_the_child_renders_what_the_sandbox_does() -> None:
    async with rendering() as renderer:
        there = await renderer.render(shipped(), PARTS, DATA)
        here = await InlineRenderer().render(shipped(), PARTS, DATA)
        assert there == here
        assert "critical_alert" in there.parts["title"]


async def test_other_templates_after_a_reload_are_used_at_once() -> None:
    async with rendering() as renderer:
        for word in ("one", "two"):
            assert (await renderer.render(with_text(word), ("text",), DATA)).parts == {"text": word}


COSTS = [
    "{{ 'a' * 500000000 }}",
    "{{ 'a' * 300000000 + title }}",
    "{{ '%500000000d'|format(1) }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{{ 9 ** (9 ** 9) }}",
    "{{ range(99999)|map('string')|join(title * 10000) }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
]


@pytest.mark.parametrize("source", COSTS)
async def test_what_costs_too_much_is_ended_and_the_next_one_is_rendered(source: str) -> None:
    """Time, memory or depth: a failure or the end of the child, within the wall-clock bound."""
    async with rendering() as renderer:
        async with asyncio.timeout(module.WALL_SECONDS + module._START_SECONDS):
            (result,) = await asyncio.gather(
                renderer.render(with_text(source), ("text",), DATA), return_exceptions=True
            )
        if isinstance(result, RendererLost):
            assert "the templates take" in str(result)
        else:
            assert result.failures["text"].message
        assert (await renderer.render(shipped(), ("title",), DATA)).parts["title"]


async def test_a_child_that_was_killed_is_replaced() -> None:
    async with rendering() as renderer:
        sources = shipped()
        await renderer.render(sources, ("title",), DATA)
        os.kill(renderer._process.pid, signal.SIGKILL)
        await renderer._process.wait()
        assert (await renderer.render(sources, ("title",), DATA)).parts["title"]


async def test_a_child_that_stands_still_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rendering() as renderer:
        sources = shipped()
        await renderer.render(sources, (), DATA)
        os.kill(renderer._process.pid, signal.SIGSTOP)
        monkeypatch.setattr(module, "WALL_SECONDS", 0.1)
        with pytest.raises(RendererLost, match=r"take longer than 0\.1 s"):
            await renderer.render(sources, ("title",), DATA)


async def test_who_goes_away_in_the_middle_leaves_no_answer_behind() -> None:
    async with rendering() as renderer:
        sources = shipped() | {"slack.j2": COSTS[3]}
        await renderer.render(sources, (), DATA)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await renderer.render(sources, ("slack",), DATA)
        assert list((await renderer.render(sources, ("title",), DATA)).parts) == ["title"]


class Lost:
    """A renderer whose child always dies."""

    def __init__(self) -> None:
        self.asked = 0

    async def render(self, sources: Mapping[str, str], parts: tuple[str, ...], data: Mapping[str, Any]):
        self.asked += 1
        raise RendererLost("the templates take too much time or memory")

    async def stop(self) -> None:
        return


def wording(
    renderer: Any, sources: Mapping[str, str], clock: ManualClock | None = None
) -> tuple[Any, CollectorRegistry]:
    registry = CollectorRegistry()
    failures = NotificationMetrics(registry).deliveries.template_failures
    return TemplateWording(renderer, sources, clock=clock or ManualClock(), failures=failures), registry


def counted(registry: CollectorRegistry, template: str) -> float | None:
    return registry.get_sample_value("citadel_notification_template_failures_total", {"template": template})


async def test_words_come_from_the_templates() -> None:
    words, registry = wording(
        InlineRenderer(), shipped() | {"title.j2": "T {{ title }}", "html.j2": "<b>{{ text }}</b>"}
    )
    told = delivery("ops@example.org", text="a < b")
    mail = compose(told, "a@b", await words(told.notification, ("title", "text", "html")))
    assert mail["Subject"] == "T critical_alert"
    assert mail.get_body(("html",)).get_content() == "<b>a &lt; b</b>\n"
    assert counted(registry, "all") == 0


async def test_a_template_that_fails_is_followed_by_plain_words_with_a_note() -> None:
    words, registry = wording(InlineRenderer(), shipped() | {"html.j2": "\n{{ 1 / 0 }}"})
    told = delivery("ops@example.org")
    worded = await words(told.notification, ("title", "text", "html"))
    mail = compose(told, "a@b", worded)
    assert mail["Subject"] == "[CRITICAL] critical_alert: firing"
    text = mail.get_body(("plain",)).get_content()
    assert text.startswith("error_rate is 0.31\n")
    assert text.endswith("Plain text, because the template html.j2:2 failed: division by zero\n")
    assert mail.get_body(("html",)) is None
    assert "html.j2:2 failed" in str(blocks(told.notification, worded))
    assert counted(registry, "html") == 1


async def test_templates_that_have_cost_the_child_its_life_are_left_alone_for_a_minute() -> None:
    clock, lost = ManualClock(), Lost()
    words, registry = wording(lost, shipped(), clock)
    for _ in range(3):
        worded = await words(sample(), ("title", "slack"))
        assert worded.note
    assert (lost.asked, counted(registry, "all")) == (1, 3)
    clock.advance(module.REST_SECONDS)
    await words(sample(), ("title",))
    assert lost.asked == 2


async def test_what_takes_longer_than_an_attempt_is_not_tried_again() -> None:
    class Slow(Lost):
        async def render(self, sources, parts, data):
            await asyncio.Event().wait()

    words, _ = wording(Slow(), shipped())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await words(sample(), ("title",))
    assert (await words(sample(), ("title",))).note
