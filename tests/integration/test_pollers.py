"""Sources that are asked, in the whole program: streams, /sources/status, away and back; a real Prometheus, too."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import yaml

from hxp_enterprise_llm.config.processing import SourcesConfig
from hxp_enterprise_llm.config.sources import (
    AnalyticsEngineConfig,
    GatewaySourceConfig,
    PrometheusSourceConfig,
    QueryConfig,
    ScrapeConfig,
)
from hxp_enterprise_llm.event.model import parse_rfc3339
from hxp_enterprise_llm.orchestration.streaming_orchestrator import Settings
from tests.integration.daemon import embedded_settings, running, url
from tests.peer import SYSTEM, Peer, serving
from tests.ports import free_port


def settings(tmp_path: Path, **sources):
    plain = embedded_settings(tmp_path)
    assert plain.processing is not None
    config = msgspec.structs.replace(plain.processing, sources=SourcesConfig(**sources))
    return Settings(config, plain.streaming)


def engine_of(peer: Peer) -> AnalyticsEngineConfig:
    return AnalyticsEngineConfig(endpoint=peer.url, interval=0.1, timeout=20)


async def status_of(session: aiohttp.ClientSession, base: str) -> dict:
    async with session.get(f"{base}/sources/status") as answer:
        assert answer.status == 200
        return (await answer.json())["sources"]


async def until_state(session: aiohttp.ClientSession, base: str, name: str, state: str) -> dict:
    async with asyncio.timeout(30):
        while (found := (await status_of(session, base))[name])["state"] != state:
            await asyncio.sleep(0.05)
    return found


def soon(source: dict) -> bool:
    """Whether one that is away is tried again within five seconds, however long that may take then."""
    return parse_rfc3339(source["next_try"]) - time.time() < 5


async def sse(session: aiohttp.ClientSession, address: str) -> AsyncIterator[dict]:
    async with session.get(address) as answer:
        assert answer.status == 200
        async for line in answer.content:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


async def test_the_three_streams_carry_the_engine_on_websocket_and_sse(tmp_path):
    async with serving() as peer, aiohttp.ClientSession() as session:
        peer.answers |= {"/memory": {"memory_usage": 61.5}, "/graph": {"active_nodes": 12, "active_edges": 30}}
        async with running(settings(tmp_path, analytics_engine=engine_of(peer))) as program:
            gateway = url(program, "streaming")
            expected = {"analytics": SYSTEM, "memory": {"memory_usage": 61.5}, "graph": peer.answers["/graph"]}
            async with asyncio.timeout(30):
                for channel, data in expected.items():
                    async with session.ws_connect(f"{gateway}/ws/{channel}?last=1") as socket:
                        assert json.loads(await socket.receive_str())["data"] == data
                    async for event in sse(session, f"{gateway}/sse/{channel}?last=1"):
                        assert event["data"] == data
                        break


async def test_an_engine_goes_away_and_comes_back(tmp_path):
    async with serving() as peer, aiohttp.ClientSession() as session:
        config = settings(tmp_path, analytics_engine=engine_of(peer))
        async with running(config) as program:
            base, gateway = url(program, "processing"), url(program, "streaming")
            good = await until_state(session, base, "engine_system", "ok")
            assert good["data"][0] == {"type": "engine.system", **SYSTEM}
            assert not good["stale"]
            await peer.stop()
            away = await until_state(session, base, "engine_system", "away")
            assert away["stale"]
            assert soon(away)
            assert away["data"] == good["data"]
            assert "does not answer" in away["reason"]
            assert [change["state"] for change in away["history"]][-2:] == ["failing", "away"]
            async with asyncio.timeout(30):
                async for event in sse(session, f"{gateway}/sse/analytics?last=1"):
                    assert event["data"]["active_nodes"] == SYSTEM["active_nodes"]
                    if event["data"].get("stale"):
                        break
            async with session.get(f"{base}/health") as answer:
                health = await answer.json()
            assert health["status"] == "healthy"
            assert "engine_system" in health["parts"]["sources"]["away"]
            await peer.start()
            await until_state(session, base, "engine_system", "ok")
            async with session.get(f"{base}/metrics") as answer:
                assert 'citadel_source_up{source="engine_system"} 1.0' in await answer.text()


async def test_a_source_is_asked_at_once_when_somebody_wants_it(tmp_path):
    async with serving() as peer, aiohttp.ClientSession() as session:
        peer.answers["/health"] = "fine"
        seldom = GatewaySourceConfig(endpoint=peer.url, interval=3600)
        async with running(settings(tmp_path, gateway=seldom)) as program:
            base = url(program, "processing")
            await until_state(session, base, "gateway", "ok")
            asked = len(peer.asked)
            async with session.post(f"{base}/sources/gateway/retry") as answer:
                assert (answer.status, await answer.json()) == (202, {"name": "gateway", "state": "ok"})
            async with asyncio.timeout(30):
                while len(peer.asked) == asked:
                    await asyncio.sleep(0.01)
            async with session.post(f"{base}/sources/moon/retry") as answer:
                refused = (await answer.json())["error"]
            assert (answer.status, refused["code"]) == (404, "unknown_source")
            assert refused["hint"] == "there are: gateway"


async def test_a_source_is_switched_off_and_on_by_hand_and_stays_so_after_a_restart(tmp_path):
    async with serving() as peer, aiohttp.ClientSession() as session:
        config = settings(tmp_path, analytics_engine=engine_of(peer))
        async with running(config) as program:
            base, gateway = url(program, "processing"), url(program, "streaming")
            await until_state(session, base, "engine_system", "ok")
            change = f"{gateway}/sources/engine_system/settings"
            async with session.post(change, params={"live": "false", "first_pause": "0.5", "tries": "9"}) as answer:
                assert answer.status == 202
                said = await answer.json()
            wished = {"live": False, "first_pause": 0.5, "longest_pause": 3.0, "failures": 3, "tries": 9}
            assert said == {"name": "engine_system", "state": "off", "settings": wished}
            async with session.post(change, params={"tries": "many"}) as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (400, "bad_setting")
            async with session.post(f"{base}/sources/moon/settings") as answer:
                assert answer.status == 404
        peer.asked.clear()
        async with running(config) as program:
            base = url(program, "processing")
            await until_state(session, base, "engine_memory", "away")
            off = (await status_of(session, base))["engine_system"]
            assert (off["state"], off["next_try"], off["settings"]) == ("off", None, wished)
            assert "/system" not in peer.asked
            async with session.post(f"{base}/sources/engine_system/settings?live=true") as answer:
                assert answer.status == 202
            back = await until_state(session, base, "engine_system", "ok")
            assert [each["state"] for each in back["history"]] == ["starting", "off", "starting", "ok"]


async def test_a_reload_asks_whom_the_configuration_names_now(tmp_path):
    async with serving() as peer, aiohttp.ClientSession() as session:
        peer.answers["/health"] = "fine"
        here = settings(tmp_path, gateway=GatewaySourceConfig(endpoint=peer.url, interval=3600))
        async with running(here) as program:
            base = url(program, "processing")
            before = (await until_state(session, base, "gateway", "ok"))["since"]
            # What is not about sources leaves them alone.
            program.reload(here)
            assert (await status_of(session, base))["gateway"]["since"] == before
            there = SourcesConfig(analytics_engine=engine_of(peer))
            assert here.processing is not None
            report = program.reload(Settings(msgspec.structs.replace(here.processing, sources=there), here.streaming))
            assert "sources.analytics_engine.endpoint" in report.applied
            assert not report.restart
            await until_state(session, base, "engine_system", "ok")
            assert set(await status_of(session, base)) == {"engine_system", "engine_memory", "engine_graph"}
            async with session.get(f"{base}/metrics") as answer:
                text = await answer.text()
            assert 'citadel_source_up{source="engine_system"} 1.0' in text
            assert 'citadel_source_up{source="gateway"}' not in text


@asynccontextmanager
async def prometheus(directory: Path, target: str) -> AsyncIterator[str]:
    """A Prometheus server that scrapes event processing."""
    directory.mkdir()
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "citadel", "static_configs": [{"targets": [target]}]}],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def test_a_real_prometheus_and_a_real_page_of_metrics(tmp_path):
    """Prometheus watches one program; another asks Prometheus, and reads the page of the first."""
    async with running(embedded_settings(tmp_path / "watched")) as watched, aiohttp.ClientSession() as session:
        page = url(watched, "processing")
        async with prometheus(tmp_path / "prometheus", page.removeprefix("http://")) as server:
            queries = [
                QueryConfig(name="targets_up", query="sum(up)"),
                QueryConfig(name="head", query="citadel_log_head_offset"),
                QueryConfig(name="wrong", query="sum("),
            ]
            sources = settings(
                tmp_path / "asks",
                prometheus=PrometheusSourceConfig(endpoint=server, interval=0.2, queries=queries),
                scrape=ScrapeConfig(endpoint=page, interval=0.2, families=["citadel_build_info"]),
            )
            async with running(sources) as program:
                base = url(program, "processing")
                async with asyncio.timeout(40):
                    while True:
                        found = await status_of(session, base)
                        values = {item["metric"]: item for item in found["prometheus"]["data"]}
                        states = {name: found[name]["state"] for name in ("prometheus", "scrape")}
                        # A scrape that took too long on a busy machine counts as a target that is down, until the next.
                        up = values.keys() == {"targets_up", "head"} and values["targets_up"]["value"] == 1
                        if up and states == {"prometheus": "ok", "scrape": "ok"}:
                            break
                        await asyncio.sleep(0.1)
                assert values["head"]["labels"]["job"] == "citadel"
                assert "wrong: " in found["prometheus"]["reason"]
                (build,) = found["scrape"]["data"]
                assert (build["metric"], build["value"]) == ("citadel_build_info", 1.0)
