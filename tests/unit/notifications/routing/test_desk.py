"""What people and programs ask of the way, over a running engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hxp_enterprise_llm.event.model import Event, encode, rfc3339
from hxp_enterprise_llm.event.notifications import engine
from hxp_enterprise_llm.event.notifications.channels.model import Dead
from hxp_enterprise_llm.event.notifications.routing import router
from hxp_enterprise_llm.store.errors import StoreUnavailable
from tests.unit.notifications.engines import Bench
from tests.unit.notifications.routing.serving import configured, disk, serving, webhook, with_mail
from tests.unit.notifications.support import NOW, until


async def fired(bench: Bench) -> str:
    """The rule fires; answers the episode."""
    await bench.tick(error_rate=0.5)
    told = await bench.slack.accepted.get()
    return told.notification.alerts[0].episode


async def is_delivered(http: Any, episode: str, wanted: list[tuple[str, ...]]) -> bool:
    """Whether these deliveries, and no others, are shown with the decisions."""
    found = (await http.get(f"/notifications/log?episode={episode}"))["deliveries"]
    return [
        tuple(each[name] for name in ("channel", "target", "kind", "state", "attempts")) for each in found
    ] == wanted


async def outcomes(http: Any, **asked: str) -> list[tuple[str, str]]:
    query = "&".join(f"{key}={value}" for key, value in asked.items())
    found = await http.get(f"/notifications/log?{query}")
    return [(each["stage"], each["outcome"]) for each in found["decisions"]]


async def test_an_acknowledged_alert_is_repeated_no_more_until_the_acknowledgement_ends(tmp_path: Path) -> None:
    bench = Bench(tmp_path, configured(grouping={"repeat_interval": "10m"}))
    async with serving(bench) as http:
        episode = await fired(bench)
        wish = {"episode": episode, "by": "alice", "comment": "on it", "for": "1h"}
        answer = await http.post("/notifications/acknowledge", wish)
        assert answer == {"episode": episode, "by": "alice", "until": rfc3339(NOW + 1 + 3600)}
        await bench.kinds("alert.firing", "alert.acknowledged")
        await until(lambda: acknowledged(bench))
        await bench.tick(3500, error_rate=0.5)
        assert bench.slack.attempts.qsize() == 1
        await bench.tick(101, error_rate=0.5)
        assert (await bench.slack.accepted.get()).notification.why == "repeat"
        found = await http.get(f"/notifications/log?episode={episode}")
        assert [each["reason"] for each in found["decisions"][2:]] == [
            "alice takes it on until 2027-01-15T09:00:01.000Z: on it",
            "the acknowledgement of alice ran out",
            "repeat: an acknowledgement ran out and it still fires; to slack #ops",
        ]


async def acknowledged(bench: Bench) -> bool:
    return any(known.ack is not None for known in bench.engine.desk.state.alerts.values())


@pytest.mark.parametrize("jump", [-86_400, 86_400])
async def test_an_acknowledgement_lasts_as_long_as_it_says_whoever_sets_the_clock(tmp_path: Path, jump: int) -> None:
    settings = configured(grouping={"repeat_interval": "0s"})
    bench = Bench(tmp_path, settings)
    async with serving(bench) as http:
        episode = await fired(bench)
        await http.post("/notifications/acknowledge", {"episode": episode, "by": "alice", "for": "1h"})
        await until(lambda: acknowledged(bench))
        bench.clock.set_wall(bench.clock.time() + jump)
        for _ in range(2):
            await bench.tick(1799, error_rate=0.5)
            assert await acknowledged(bench)
        await bench.tick(2, error_rate=0.5)
        told = (await bench.slack.accepted.get()).notification
        assert (told.why, told.because) == ("repeat", "an acknowledgement ran out and it still fires")
        assert not await acknowledged(bench)


async def test_a_client_of_centrifuge_acknowledges_on_the_channel_of_alerts(tmp_path: Path) -> None:
    bench = Bench(tmp_path, configured())
    async with serving(bench):
        episode = await fired(bench)
        said = {"type": "alert.acknowledged", "episode": episode, "by": "forged", "for": "30m"}
        data = {"channel": "system_alerts", "data": said, "info": {"user": "bob", "client": "c-1"}}
        elsewhere = {"channel": "chat", "data": said}
        for channel, content in (("chat", elsewhere), ("system_alerts", data)):
            event = Event(id=channel, source="/c", type="stream.publication", subject=channel, data=content)
            await bench.log.append([encode(event)])
        await until(lambda: acknowledged(bench))
        (known,) = bench.engine.desk.state.alerts.values()
        assert known.ack is not None
        assert (known.ack.by, known.ack.until) == ("bob", NOW + 1 + 1800)
        # The end of the alert ends its acknowledgement as well.
        await bench.tick(error_rate=0.0)
        await bench.tick(error_rate=0.5)
        (known,) = bench.engine.desk.state.alerts.values()
        assert known.ack is None


async def test_an_event_that_is_no_acknowledgement_is_passed_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path, configured())
    async with serving(bench):
        episode = await fired(bench)
        for index, data in enumerate(([1], {"episode": episode, "for": "a while"}, {"episode": "of-yesterday"})):
            await bench.log.append([encode(Event(id=f"x{index}", source="s", type="alert.acknowledged", data=data))])
        await bench.tick(error_rate=0.0)
        assert (await bench.slack.accepted.get()).notification.kind == "resolved"


async def test_what_cannot_be_acknowledged_is_said(tmp_path: Path) -> None:
    async with serving(Bench(tmp_path, configured())) as http:
        refused = await http.post("/notifications/acknowledge", {"episode": "no-1", "by": "alice"}, 404)
        assert refused["error"]["message"] == "no alert fires with the episode 'no-1'"
        refused = await http.post("/notifications/acknowledge", {"episode": "x", "by": "a", "for": "soon"}, 400)
        assert refused["error"]["message"] == "for: must be a duration such as 30m or 1h"
        refused = await http.post("/notifications/acknowledge", {"rule": "slow", "by": "bob"}, 400)
        assert refused["error"]["message"] == "rule: unknown key"
        assert refused["error"]["hint"].startswith('send {"episode": "…", "by": "…", "for": "1h", "comment": "…"}')


async def test_an_unacknowledged_alert_is_escalated(tmp_path: Path) -> None:
    steps = [{"after": "10m", "receiver": "oncall"}]
    bench = Bench(tmp_path, configured(routes=[{"receiver": "team", "escalate": steps}]))
    mail = with_mail(bench)
    async with serving(bench):
        await fired(bench)
        await bench.tick(600, error_rate=0.5)
        told = await mail.accepted.get()
        assert (told.target, told.notification.why, told.notification.receiver) == ("oncall@x", "escalation", "oncall")


async def test_silences_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    good = {
        "matchers": [{"name": "a", "value": "b", "isRegex": False}],
        "startsAt": rfc3339(NOW),
        "endsAt": rfc3339(NOW + 60),
        "createdBy": "alice",
        "comment": "c",
    }

    def matcher(**parts: Any) -> dict[str, Any]:
        return good | {"matchers": [{"name": "a", "value": "b", "isRegex": False} | parts]}

    faults = {
        "matchers: would match every alert: at least one must not match an empty label": matcher(
            value=".*", isRegex=True
        ),
        "matchers[0].name: 'a-b' is no name of a label": matcher(name="a-b"),
        f"endsAt: {rfc3339(NOW - 1)} is past": good | {"endsAt": rfc3339(NOW - 1)},
        "endsAt: must be later than startsAt": good | {"startsAt": rfc3339(NOW + 90)},
        "startsAt: 'noon' is no time in RFC 3339": good | {"startsAt": "noon"},
        "comment: must not be empty": good | {"comment": ""},
        "matchers: is required and missing": {},
    }
    async with serving(Bench(tmp_path, configured())) as http:
        for message, body in faults.items():
            assert (await http.post("/api/v2/silences", body, 400))["error"]["message"] == message
        unknown = await http.post("/api/v2/silences", good | {"id": "no"}, 404)
        assert unknown["error"]["code"] == "unknown_silence"
        for query, message in (
            ("silences?filter=1a", "filter: '1a' is no matcher: it cannot be read from '1a' on"),
            ("alerts?active=perhaps", "active must be true or false, is 'perhaps'"),
            ("alerts?receiver=(", "receiver: the regular expression cannot be read: "),
        ):
            assert (await http.get(f"/api/v2/{query}", 400))["error"]["message"].startswith(message)


async def test_other_matchers_make_another_silence(tmp_path: Path) -> None:
    bench = Bench(tmp_path, configured())
    body: dict[str, Any] = {
        "matchers": [{"name": "a", "value": "b", "isRegex": False}],
        "startsAt": rfc3339(NOW),
        "endsAt": rfc3339(NOW + 60),
        "createdBy": "alice",
        "comment": "c",
    }
    async with serving(bench) as http:
        first = (await http.post("/api/v2/silences", body))["silenceID"]
        body |= {"id": first, "matchers": [{"name": "a", "value": "c", "isRegex": True}]}
        second = (await http.post("/api/v2/silences", body))["silenceID"]
        assert second != first
        states = {each["id"]: each["status"]["state"] for each in await http.get("/api/v2/silences")}
        assert states == {second: "active", first: "expired"}
        assert len(await http.get('/api/v2/silences?filter=a="c"')) == 1


async def test_decisions_can_be_looked_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path, configured())
    async with serving(bench) as http:
        episode = await fired(bench)
        assert await outcomes(http, episode=episode) == [("route", "grouped"), ("notify", "told")]
        assert await outcomes(http, alertname="critical_alert", limit="1") == [("notify", "told")]
        assert await outcomes(http, since=rfc3339(NOW + 60)) == []
        await until(lambda: is_delivered(http, episode, [("slack", "#ops", "firing", "sent", 1)]))
        bench.slack.failures = [Dead("Slack says\x00 no_such_channel")]
        await bench.tick(error_rate=0.0)
        both = [("slack", "#ops", "firing", "sent", 1), ("slack", "#ops", "resolved", "dead", 1)]
        await until(lambda: is_delivered(http, episode, both))
        for query in ("limit=0", "limit=x", "since=noon"):
            await http.get(f"/notifications/log?{query}", 400)


async def test_the_number_of_decisions_is_bounded(tmp_path: Path) -> None:
    bench = Bench(tmp_path, configured(decisions=100))
    async with serving(bench) as http:
        for index in range(6):
            posted = [disk(labels={"alertname": "x", "n": f"{index}-{each}"}) for each in range(100)]
            await http.post("/notifications/alertmanager", webhook(*posted))
        kept = (await http.get("/notifications/log?limit=1000"))["decisions"]
        assert 100 <= len(kept) < 100 + 1000
        assert kept[-1]["outcome"] == "told"


async def test_the_metrics_are_there_from_the_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path, configured())
    routing = bench.metrics.routing

    def value(metric: Any, **labels: str) -> float:
        return metric.labels(**labels)._value.get() if labels else metric._value.get()

    assert [value(routing.suppressed, reason=each) for each in ("inhibited", "muted", "silenced")] == [0, 0, 0]
    async with serving(bench):
        await fired(bench)
        await until(lambda: is_(lambda: value(routing.alerts, state="active") == 1))
        assert value(routing.groups) == 1


async def is_(condition: Any) -> bool:
    return bool(condition())


async def test_while_the_store_cannot_be_read_at_the_start_requests_are_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "_START_SECONDS", 0.05)
    monkeypatch.setattr(engine, "STORE_PAUSE_SECONDS", 0.05)
    bench, broken = Bench(tmp_path, configured()), True
    run = bench.store.run

    async def run_or_fail(work: Callable[..., Any]) -> Any:
        if broken:
            raise StoreUnavailable(bench.store.path, "disk I/O error")
        return await run(work)

    monkeypatch.setattr(bench.store, "run", run_or_fail)
    wish = {
        "matchers": [{"name": "alertname", "value": "x", "isRegex": False}],
        "startsAt": rfc3339(NOW),
        "endsAt": rfc3339(NOW + 60),
        "createdBy": "alice",
        "comment": "planned",
    }
    asked = [
        ("POST", "/api/v2/silences", wish),
        ("GET", "/api/v2/silences", None),
        ("GET", "/api/v2/alerts", None),
        ("DELETE", "/api/v2/silence/00000000-0000-0000-0000-000000000000", None),
        ("POST", "/notifications/acknowledge", {"episode": "e", "by": "alice"}),
        ("POST", "/api/v2/alerts", [{"labels": {"alertname": "x"}}]),
    ]
    async with serving(bench) as http:
        for method, path, body in asked:
            answer = await http.ask(method, path, body, status=503)
            assert answer["error"]["code"] == "store_unavailable"
            assert "disk I/O error" in answer["error"]["message"]
        broken = False
        await until(lambda: _told(lambda: bool(bench.engine.desk.router.instance)))
        made = await http.post("/api/v2/silences", wish)
        assert [each["id"] for each in await http.get("/api/v2/silences")] == [made["silenceID"]]


async def _told(condition: Callable[[], bool]) -> bool:
    return condition()
