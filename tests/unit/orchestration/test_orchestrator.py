"""The whole program as an object: start undone on failure, reload all or nothing, stop idempotent."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest

from hxp_enterprise_llm.config.faults import ConfigError
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.rules import RuleConfig
from hxp_enterprise_llm.orchestration.streaming_orchestrator import ReloadReport, Settings, StreamingOrchestrator
from hxp_enterprise_llm.security.listener import ListenError
from tests.integration.daemon import embedded_settings, running

replace = msgspec.structs.replace


def with_rules(settings: Settings, *rules: RuleConfig) -> Settings:
    notifications = NotificationsConfig(notification_rules=list(rules))
    return Settings(settings.processing, replace(settings.streaming, real_time_notifications=notifications))


def rule_names(program: StreamingOrchestrator) -> list[str]:
    rules = program.servers["streaming"].config.real_time_notifications.notification_rules
    return [rule.name for rule in rules]


async def test_a_failed_start_leaves_nothing_behind(tmp_path):
    """The gateway's port is taken: event processing is stopped again, its log can be opened by the next."""
    settings = embedded_settings(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        service = replace(settings.streaming.service, port=taken.getsockname()[1])
        blocked = Settings(settings.processing, replace(settings.streaming, service=service))
        before = asyncio.all_tasks()
        with pytest.raises(ListenError):
            await StreamingOrchestrator(blocked).start()
        assert asyncio.all_tasks() == before
    async with running(settings) as program:
        assert set(program.addresses) >= {"event-processing", "data-streaming-api", "operational_overview"}


async def test_a_reload_is_all_or_nothing(tmp_path):
    """A rule that does not compile: what was valid beside it is not taken either."""
    settings = with_rules(embedded_settings(tmp_path), RuleConfig(name="one", condition="latency > 1"))
    async with running(settings) as program:
        faulty = with_rules(settings, RuleConfig(name="two", condition="latency >"))
        faulty = Settings(
            replace(faulty.processing, ingest=replace(faulty.processing.ingest, unknown_types="refuse")),
            faulty.streaming,
        )
        with pytest.raises(ConfigError, match=r"notification_rules\[0\].condition: column 10"):
            program.reload(faulty)
        program.reload_failed()
        assert rule_names(program) == ["one"]
        assert program.servers["processing"].config.ingest.unknown_types == "accept"
        for server in program.servers.values():
            assert server.metrics.registry.get_sample_value("citadel_config_last_reload_successful") == 0


async def test_a_reload_names_what_it_applied_and_what_waits(tmp_path):
    """Live keys are in force at once; the others are named."""
    settings = with_rules(embedded_settings(tmp_path), RuleConfig(name="one", condition="latency > 1"))
    async with running(settings) as program:
        changed = with_rules(settings, RuleConfig(name="two", condition="latency > 1"))
        changed = Settings(
            changed.processing, replace(changed.streaming, sse=replace(changed.streaming.sse, retry_timeout=1))
        )
        report = program.reload(changed)
        assert rule_names(program) == ["two"]
    assert report == ReloadReport(("real_time_notifications.notification_rules",), ("sse.retry_timeout",))


async def test_a_task_that_dies_ends_the_process(tmp_path):
    """The first fatal cause is kept; whoever waits is woken."""
    async with running(embedded_settings(tmp_path)) as program:

        async def dies() -> None:
            raise OSError("disk gone")

        program.supervisor.spawn("victim", dies())
        async with asyncio.timeout(30):
            await program.ended.wait()
        assert str(program.fatal) == "task victim died: OSError('disk gone')"


async def test_stop_is_idempotent_and_leaves_no_task(tmp_path):
    """Twice is once."""
    before = asyncio.all_tasks()
    program = StreamingOrchestrator(embedded_settings(tmp_path))
    await program.start()
    await program.stop()
    await program.stop()
    assert asyncio.all_tasks() == before
