"""Alerts from outside: what Prometheus and Alertmanager send, over a running engine."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import msgspec
import pytest
from structlog.testing import capture_logs

from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.model import rfc3339
from tests.unit.notifications.engines import Bench
from tests.unit.notifications.routing.serving import configured, disk, serving, webhook
from tests.unit.notifications.support import NOW, until


async def test_alertmanagers_alerts_are_ours_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, configured(routes=[{"receiver": "team"}]))
    async with serving(bench) as http:
        for expected in ({"firing": 1}, {"renewed": 1}):
            assert await http.post("/notifications/alertmanager", webhook(disk())) == {"received": expected}
        told = (await bench.slack.accepted.get()).notification
        assert (told.title, told.text, told.priority, told.since) == ("DiskFull", "n1 is full", "critical", NOW - 60)
        (firing,) = bench.engine.firing()
        assert (firing["rule"], firing["state"], firing["summary"]) == ("DiskFull", "firing", "n1 is full")
        ended = {"received": {"resolved": 1}}
        assert await http.post("/notifications/alertmanager", webhook(disk("resolved"))) == ended
        assert (await bench.slack.accepted.get()).notification.kind == "resolved"
        assert await http.post("/notifications/alertmanager", webhook(disk("resolved"))) == {"received": {"unknown": 1}}
        await bench.kinds("alert.firing", "alert.resolved")
        assert bench.engine.firing() == []


async def test_our_own_alerts_that_come_back_are_known(tmp_path: Path) -> None:
    bench = Bench(tmp_path, configured())
    async with serving(bench) as http:
        own = disk(labels={"alertname": "x", "citadel_hop": bench.engine.desk.router.instance})
        other = disk(labels={"alertname": "x", "citadel_hop": "another"})
        await until(lambda: named(bench))
        own["labels"]["citadel_hop"] = bench.engine.desk.router.instance
        answer = await http.post("/notifications/alertmanager", webhook(own, other))
        assert answer == {"received": {"own": 1, "firing": 1}}


async def named(bench: Bench) -> bool:
    return bool(bench.engine.desk.router.instance)


async def test_a_body_that_holds_no_alerts_is_refused_whole(tmp_path: Path) -> None:
    async with serving(Bench(tmp_path, configured())) as http:
        faults = {
            "version: must be 4, is '3'": webhook(disk()) | {"version": "3"},
            "$.alerts: Expected `array`, got `int`": {"version": "4", "alerts": 1},
        }
        for message, body in faults.items():
            refused = (await http.post("/notifications/alertmanager", body, 400))["error"]
            assert (refused["message"], refused["hint"]) == (message, "none of them was taken")
        async with aiohttp.ClientSession() as session:
            cut, url = msgspec.json.encode(webhook(disk()))[:-9], f"{http.url}/notifications/alertmanager"
            async with session.post(url, data=cut, headers={"Content-Type": "application/json"}) as answer:
                message = (await answer.json())["error"]["message"]
                assert (answer.status, message) == (400, "$: it is no JSON: Input data was truncated")
        assert await http.get("/api/v2/alerts") == []


@pytest.mark.parametrize("path", ["/notifications/alertmanager", "/api/v2/alerts"])
async def test_an_alert_that_is_at_fault_takes_no_other_with_it(tmp_path: Path, path: str) -> None:
    faults = {
        "alerts[1].labels: has no label with a value": {"labels": {"a": ""}},
        "alerts[2].labels[...]: Expected `str`, got `int`": {"labels": {"alertname": 1}},
        "alerts[3].labels: 'a\\nb' is no name of a label": {"labels": {"alertname": "x", "a\nb": "c"}},
        "alerts[4].startsAt: 'noon' is no time in RFC 3339": disk(startsAt="noon"),
        "alerts[5].annotations: has 65 members, at most 64 are taken": disk(
            annotations={f"n{index}": "" for index in range(65)}
        ),
    }
    hook = webhook(disk(), *faults.values(), disk(labels={"alertname": "last"}))
    body, prefix = (hook["alerts"], "") if path == "/api/v2/alerts" else (hook, "alerts")
    bench = Bench(tmp_path, configured())
    async with serving(bench) as http:
        refused = (await http.post(path, body, 400))["error"]
        assert refused["message"].startswith(f"5 of 7 alerts cannot be taken: {prefix}[1].labels: has no label")
        listed = [f"{each['path']}: {each['message']}" for each in refused["faults"]]
        assert listed == [text.replace("alerts[", f"{prefix}[") for text in faults]
        assert (refused["hint"], refused["received"]) == ("the others were taken", {"firing": 2, "refused": 5})
        taken = {each["labels"]["alertname"] for each in await http.get("/api/v2/alerts")}
        assert taken == {"DiskFull", "last"}
        assert bench.sample("citadel_alerts_received_total", result="refused") == 5


async def test_values_that_are_too_long_are_cut_and_stay_apart(tmp_path: Path) -> None:
    long = "y" * 65_536
    labels = [{"alertname": "Long", "service.name": long + end} for end in ("a", "b")]
    posted = [disk(labels=each, annotations={"description": long}) for each in labels]
    async with serving(Bench(tmp_path, configured())) as http:
        for expected in ({"firing": 2}, {"renewed": 2}):
            assert await http.post("/notifications/alertmanager", webhook(*posted)) == {"received": expected}
        found = await http.get("/api/v2/alerts")
        assert [len(each["annotations"]["description"]) for each in found] == [4096, 4096]
        names = {each["labels"]["service.name"] for each in found}
        assert [(len(name), name.startswith("yyy")) for name in names] == [(4096, True)] * 2


async def test_what_alertmanager_left_out_is_said(tmp_path: Path) -> None:
    bench = Bench(tmp_path, configured())
    with capture_logs() as lines:
        async with serving(bench) as http:
            answer = await http.post("/notifications/alertmanager", webhook(disk()) | {"truncatedAlerts": 7})
            assert answer == {"received": {"firing": 1, "truncated": 7}}
            await http.post("/notifications/alertmanager", webhook(disk()) | {"truncatedAlerts": 7})
    (said,) = [line for line in lines if line["event"] == "foreign.missing"]
    assert (said["truncated"], said["reason"]) == (7, "the sender left some out")


async def test_priorities_that_are_off_are_no_fault_of_the_sender(tmp_path: Path) -> None:
    async with serving(Bench(tmp_path, configured(info_enabled=False))) as http:
        quiet = disk(labels={"alertname": "x", "severity": "info"})
        assert await http.post("/notifications/alertmanager", webhook(quiet)) == {"received": {"off": 1}}


async def test_alerts_from_outside_outlive_a_restart_and_get_time_to_be_sent_again(tmp_path: Path) -> None:
    log, settings = MemoryLog(progress_seconds=0.01), configured()
    bench = Bench(tmp_path, settings, log=log)
    async with serving(bench) as http:
        await http.post("/api/v2/alerts", [{"labels": {"alertname": "Disk"}, "endsAt": rfc3339(NOW + 120)}])
        await bench.slack.accepted.get()
    bench = Bench(tmp_path, settings, log=log)
    bench.clock.advance(3600)
    async with serving(bench) as http:
        await bench.tick(1, error_rate=0.0)
        assert len(await http.get("/api/v2/alerts")) == 1
        await bench.tick(301, error_rate=0.0)
        told = (await bench.slack.accepted.get()).notification
        assert (told.kind, told.reason) == ("resolved", "timed_out")


async def test_there_is_room_for_so_many_alerts_from_outside(tmp_path: Path) -> None:
    async with serving(Bench(tmp_path, configured(foreign={"max_alerts": 2}))) as http:
        posted = [disk(labels={"alertname": "x", "n": str(index)}) for index in range(3)]
        refused = (await http.post("/notifications/alertmanager", webhook(*posted), 409))["error"]
        assert refused["message"] == "1 of 3 alerts found no room: 2 from outside are kept at once"
        assert refused["received"] == {"firing": 2, "refused": 1}
        assert len(await http.get("/api/v2/alerts")) == 2
        (group,) = await http.get("/api/v2/alerts/groups?receiver=al.*")
        assert (group["labels"], group["receiver"], len(group["alerts"])) == ({"alertname": "x"}, {"name": "all"}, 2)
        assert await http.get("/api/v2/alerts/groups?receiver=no") == []
