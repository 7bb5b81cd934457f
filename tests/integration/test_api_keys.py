"""Keys in the running program: a gateway that nobody trusts follows the log with one; a reload takes new keys."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import msgspec
import pytest

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import ChannelConfig, MonitoringConfig, StreamingConfig
from hxp_enterprise_llm.orchestration.streaming_orchestrator import Settings
from hxp_enterprise_llm.security.keys import KeysError, digest_of, new_key
from tests.integration.daemon import placed, running, url


def write_keys(path: Path, keys: dict[str, tuple[str, ...]]) -> None:
    """A file of keys: text of the key → its scopes."""
    entries = [{"id": key.split("_")[1], "sha256": digest_of(key).hex(), "scopes": keys[key]} for key in keys]
    path.write_text("".join(f"- {json.dumps(entry)}\n" for entry in entries), encoding="utf-8")


def closed(config, file: Path):
    """Nobody comes in without a key, from wherever: as if every peer were a stranger."""
    security = SecurityConfig(anonymous="none", api_keys_file=str(file))
    return msgspec.structs.replace(config, security=security)


async def health(session: aiohttp.ClientSession, address: str, key: str) -> dict:
    async with session.get(f"{address}/health", headers={"X-API-Key": key}) as answer:
        return await answer.json()


async def test_a_gateway_that_is_not_trusted_follows_with_a_key(tmp_path):
    """Published by key at the gateway, stored by event processing, streamed by the gateway."""
    backend, gateway = new_key("backend"), new_key("gateway")
    write_keys(tmp_path / "keys.yaml", {backend: ("read", "publish"), gateway: ("read", "publish", "publish:own")})
    (tmp_path / "gateway.key").write_text(gateway + "\n", encoding="utf-8")
    (tmp_path / "gateway.key").chmod(0o600)
    log = Settings(closed(placed(ProcessingConfig(), tmp_path / "log"), tmp_path / "keys.yaml"))
    async with running(log) as far, aiohttp.ClientSession(headers={"X-API-Key": backend}) as session:
        monitoring = MonitoringConfig(
            real_time_event_processing_endpoint=url(far, "processing"), api_key_file=str(tmp_path / "gateway.key")
        )
        config = msgspec.structs.replace(
            placed(StreamingConfig(channels={"chat": ChannelConfig(types=["chat.message"])}), tmp_path / "gateway"),
            monitoring=monitoring,
        )
        async with running(Settings(streaming=closed(config, tmp_path / "keys.yaml"))) as near:
            address = url(near, "streaming")
            async with session.get(f"{address}/sse/chat") as stream:
                message = {"channel": "chat", "data": {"text": "hello"}, "idempotency_key": "m-1"}
                answers = []
                for _ in range(2):
                    async with session.post(f"{address}/api/publish", json=message) as answer:
                        answers.append(await answer.json())
                assert answers[0] == answers[1]
                async with asyncio.timeout(30):
                    block = ""
                    while "data: " not in block:
                        block = (await stream.content.readuntil(b"\n\n")).decode()
                event = json.loads(block.partition("data: ")[2])
                assert (event["source"], event["offset"]) == ("/api/backend", answers[0]["result"]["offset"])
                assert event["data"] == {"channel": "chat", "data": {"text": "hello"}}
            async with aiohttp.ClientSession() as stranger, stranger.get(f"{address}/sse/chat") as refused:
                assert refused.status == 401
            assert (await health(session, address, backend))["parts"]["log"]["status"] == "ok"


async def test_a_gateway_without_the_key_says_what_is_missing(tmp_path):
    """It starts, serves nothing, and names the refusal in its health."""
    key = new_key("backend")
    write_keys(tmp_path / "keys.yaml", {key: ("read",)})
    log = Settings(closed(placed(ProcessingConfig(), tmp_path / "log"), tmp_path / "keys.yaml"))
    async with running(log) as far, aiohttp.ClientSession() as session:
        monitoring = MonitoringConfig(real_time_event_processing_endpoint=url(far, "processing"))
        config = msgspec.structs.replace(placed(StreamingConfig(), tmp_path / "gateway"), monitoring=monitoring)
        async with running(Settings(streaming=config)) as near, asyncio.timeout(30):
            reason = ""
            while "401 anonymous_off" not in reason:  # it has asked once
                async with session.get(f"{url(near, 'streaming')}/health") as told:
                    reason = (await told.json())["parts"]["streaming"].get("reason", "")
                await asyncio.sleep(0.02)


async def test_a_reload_takes_new_keys_and_drops_old_ones(tmp_path):
    """A broken file changes nothing."""
    first, second, file = new_key("first"), new_key("second"), tmp_path / "keys.yaml"
    write_keys(file, {first: ("read",)})
    settings = Settings(closed(placed(ProcessingConfig(), tmp_path / "log"), file))
    async with running(settings) as program, aiohttp.ClientSession() as session:

        async def statuses() -> list[int]:
            found = []
            for key in (first, second):
                async with session.get(f"{url(program, 'processing')}/events", headers={"X-API-Key": key}) as answer:
                    found.append(answer.status)
            return found

        assert await statuses() == [200, 401]
        file.write_text("- {id: second}\n", encoding="utf-8")
        with pytest.raises(KeysError, match="entry 1"):
            program.reload(settings)
        assert await statuses() == [200, 401]
        write_keys(file, {second: ("read",)})
        program.reload(settings)
        assert await statuses() == [401, 200]
