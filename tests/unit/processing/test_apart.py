"""Followers in another process, seen from here: the same routes and refusals; nothing is told before all is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import pytest
from aiohttp import web

from hxp_enterprise_llm.config.processing import MetricConfig, ProcessingConfig
from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.processing.apart import FollowersApart
from hxp_enterprise_llm.event.processing.metrics import MetricFault
from hxp_enterprise_llm.event.processing.part import Followers
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.runtime.tasks import Supervisor
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.telemetry.health import Part
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics


class Far:
    """The other process."""

    def __init__(self) -> None:
        self.told: list[ProcessingConfig] = []

    async def hand_over(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text="from afar")

    async def parts(self, names: Sequence[str]) -> Mapping[str, Part]:
        return {name: Part("ok") for name in names}

    def reload(self, config: ProcessingConfig) -> None:
        self.told.append(config)


@pytest.fixture
def far() -> Far:
    return Far()


@pytest.fixture
def declared(tmp_path) -> Followers:
    state = msgspec.structs.replace(ProcessingConfig().state, directory=str(tmp_path))
    config = msgspec.structs.replace(ProcessingConfig(), state=state)
    context = Context(supervisor=Supervisor(lambda _: None), on_fatal=lambda _: None)
    return Followers(config, context, MemoryLog(), ProcessingMetrics(context.registry))


def test_the_routes_are_those_of_one_process(far, declared, tmp_path):
    """Scope and summary too; only who answers is another. Nothing is opened here."""
    apart = FollowersApart(declared, far)
    for routes, wanted in ((apart.routes(), declared.routes()), (apart.views(), declared.views())):
        assert [_declared(route) for route in routes] == [_declared(route) for route in wanted]
        assert {route.handler for route in routes} == {far.hand_over}
    assert list(tmp_path.iterdir()) == []


def _declared(route: Route) -> tuple[str, str, str, str]:
    return route.method, route.path, route.scope, route.summary


async def test_its_health_has_the_parts_of_one_process(far, declared):
    assert set(await FollowersApart(declared, far).health()) == set(await declared.health())


def metrics(**changes) -> ProcessingConfig:
    """A configuration with one metric."""
    metric = MetricConfig(**({"name": "calls", "types": ["a.b"], "kind": "count"} | changes))
    config = ProcessingConfig()
    return msgspec.structs.replace(config, analytics=msgspec.structs.replace(config.analytics, metrics=[metric]))


def test_a_reload_is_told_once_it_is_taken_as_a_whole(far, declared):
    """What the other process would refuse is refused before anything is told."""
    apart = FollowersApart(declared, far)
    with pytest.raises(MetricFault):
        apart.prepare(metrics(kind="sum"))
    commit = apart.prepare(metrics())
    assert far.told == []
    commit()
    assert far.told == [metrics()]
