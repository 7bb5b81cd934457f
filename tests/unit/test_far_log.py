"""The gateway beside a log that another process has: what each of its rooms asks of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from msgspec.structs import replace

from hxp_enterprise_llm.config.processing import AnalyticsConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.log.model import Batch, EventLog
from hxp_enterprise_llm.event.model import Offset, TypePatterns
from hxp_enterprise_llm.event.streaming.service import StreamingService
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.runtime.tasks import Supervisor
from tests.unit.log.support import event, eventually


class Far(MemoryLog):
    """Notes who follows it."""

    def __init__(self) -> None:
        super().__init__()
        self.followed: list[TypePatterns | None] = []

    def follow(
        self, after: Offset, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> AsyncIterator[Batch]:
        self.followed.append(types)
        return super().follow(after, types=types, epoch=epoch)


class Beside(StreamingService):
    """A gateway whose event processing is `far`."""

    far: Far

    async def _open_remote_log(self, connector: aiohttp.BaseConnector | None = None) -> EventLog:
        await self.far.open()
        return self.far


@pytest.fixture
async def service(tmp_path) -> AsyncIterator[Beside]:
    config = StreamingConfig()
    config = replace(config, state=replace(config.state, directory=str(tmp_path)))
    context = Context(supervisor=Supervisor(lambda _: None), on_fatal=lambda _: None, processes=False)
    beside = Beside(config, context, event_log=None, analytics=AnalyticsConfig())
    beside.far = Far()
    await beside.start()
    yield beside
    await beside.stop(5)


async def test_an_event_comes_once_for_all_who_follow_everything(service):
    """Channels and dashboards share one stream; the rules have one of their own, of the few types that they want."""
    hub, dashboards = service._gateway.hub, service._dashboards
    await eventually(lambda: hub.ready and dashboards.health().status == "ok" and len(service.far.followed) > 1)
    await service.far.append([event(1)])
    await eventually(lambda: [hub.position.offset, dashboards.state.position] == [service.far.head_nowait()] * 2)
    assert sorted(types is None for types in service.far.followed) == [False, True]
