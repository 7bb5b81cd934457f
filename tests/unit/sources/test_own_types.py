"""Who may publish what the services make themselves: alerts, snapshots, publications of clients."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.processing import IngestConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import Limits
from hxp_enterprise_llm.event.model import BEGINNING
from hxp_enterprise_llm.event.sources.api import routes
from hxp_enterprise_llm.event.sources.faults import OwnTypes
from hxp_enterprise_llm.event.sources.forms import split
from hxp_enterprise_llm.event.sources.ingest import Ingest
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.security.body import BodyBudget
from hxp_enterprise_llm.security.keys import new_key
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics
from tests.integration.test_api_keys import write_keys
from tests.unit.security.serving import serving

OWN = ("alert.firing", "alert.acknowledged", "analytics.snapshot", "stream.publication", "dashboard.refreshed")
PLAIN = b'{"type":"demo.hello","data":{"a":1}}'


class Room:
    def __init__(self, most: int = 10) -> None:
        self.registry = CollectorRegistry()
        self.log = MemoryLog(limits=Limits(max_batch_events=most))
        metrics = ProcessingMetrics(self.registry)
        # Their schemas are another matter: whoever may publish them is held to those.
        self.ingest = Ingest(self.log, SchemaCatalogue({}), IngestConfig(), SystemClock(), metrics)

    async def stored(self) -> list[str]:
        return [event.type for event in (await self.log.read(BEGINNING)).events]

    @property
    def refused(self) -> float:
        return self.registry.get_sample_value("citadel_events_rejected_total", {"code": "own_type"}) or 0.0


@pytest.fixture
async def room() -> Room:
    found = Room()
    await found.log.open()
    return found


def event(type: str) -> bytes:
    return json.dumps({"type": type, "data": {}}).encode()


@pytest.mark.parametrize("type", OWN)
@pytest.mark.parametrize("form", ["one", "array", "lines"])
async def test_a_publisher_cannot_forge_them_in_any_form(room: Room, type: str, form: str) -> None:
    both = [PLAIN, event(type)]
    bodies = {"one": both[1], "array": b"[%s,%s]" % tuple(both), "lines": b"\n".join(both)}
    media = "application/x-ndjson" if form == "lines" else "application/json"
    with pytest.raises(OwnTypes, match=type):
        await room.ingest.accept(split(bodies[form], media, {}), source="/t")
    assert (await room.stored(), room.refused) == ([], 1)


async def test_the_quick_ways_leave_them_to_the_slow_one(room: Room) -> None:
    assert room.ingest.begin(event("alert.firing"), source="/t") is None
    assert room.ingest.begin(b"[%s]" % event("alert.firing"), source="/t") is None
    assert room.ingest.begin_texts([PLAIN, event("alert.firing")], source="/t") is None
    assert await room.stored() == []


async def test_what_only_looks_like_one_is_taken(room: Room) -> None:
    await room.ingest.accept([event("alerts.mine"), event("my.alert.firing")], source="/t")
    assert await room.stored() == ["alerts.mine", "my.alert.firing"]


async def test_what_came_before_one_is_stored_when_that_was_asked_for() -> None:
    room = Room(most=2)
    await room.log.open()
    with pytest.raises(OwnTypes) as caught:
        await room.ingest.accept([PLAIN, PLAIN, PLAIN, event("alert.firing")], source="/t", partial=True)
    assert (len(caught.value.stored), caught.value.found) == (2, ((3, "alert.firing"),))
    assert len(await room.stored()) == 2


async def test_who_may_is_a_matter_of_scope(room: Room, tmp_path: Path) -> None:
    keys = {name: new_key(name) for name in ("agent", "gateway")}
    file = tmp_path / "keys.yaml"
    write_keys(file, {keys["agent"]: ("publish",), keys["gateway"]: ("publish", "publish:own")})
    security = SecurityConfig(api_keys_file=str(file))
    async with serving(routes(room.ingest, room.log, BodyBudget()), security) as served:
        ask = {"Content_Type": "application/json"}
        for body in (event("alert.firing"), b"[%s]" % event("alert.firing")):
            answer = await served.ask("POST", "/events", body, **ask, X_API_Key=keys["agent"])
            assert (answer.status, answer.error["code"]) == (403, "own_type")
            assert answer.error["items"] == [{"index": 0, "path": "type", "message": "is alert.firing"}]
            assert "publish:own" in answer.error["hint"]
        assert (await room.stored(), room.refused) == ([], 2)
        assert (await served.ask("POST", "/events", PLAIN, **ask, X_API_Key=keys["agent"])).status == 202
        for headers in ({"X_API_Key": keys["gateway"]}, {}):  # and whoever is on this host
            assert (await served.ask("POST", "/events", event("alert.firing"), **ask, **headers)).status == 202
    assert await room.stored() == ["demo.hello", "alert.firing", "alert.firing"]
