"""The process around the program: start, reload, stop, and every way in which a start fails."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

import aiohttp
import pytest

from hxp_enterprise_llm.store.database import Store
from tests.integration.daemon import Daemon

RULE = """
real_time_notifications:
  notification_rules:
    - name: {name}
      condition: {condition}
"""


async def hxp(*arguments: str, **environ: str) -> tuple[int, str]:
    """Run `hxp` to its end; answers exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hxp_enterprise_llm.cli.main",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environ},
    )
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def rules(session: aiohttp.ClientSession, gateway: str) -> list[str]:
    async with session.get(f"{gateway}/notifications/status") as answer:
        return [rule["name"] for rule in (await answer.json())["rules"]]


async def until_logged(daemon: Daemon, text: str) -> str:
    async with asyncio.timeout(30):
        while not (found := [line for line in daemon.output if text in line]):
            await asyncio.sleep(0.01)
    return found[-1]


async def gauge(session: aiohttp.ClientSession, base: str, name: str) -> float:
    async with session.get(f"{base}/metrics") as answer:
        page = await answer.text()
    return float(next(line.split()[1] for line in page.splitlines() if line.startswith(name)))


async def test_reload_takes_a_good_file_and_refuses_a_bad_one(tmp_path):
    """SIGHUP: prepare, swap; or keep the old one, say why, and say so in the metrics."""
    config = tmp_path / "data-streaming-api.yaml"
    config.write_text(RULE.format(name="first", condition="error_rate > 0.2"))
    async with aiohttp.ClientSession() as session, Daemon(tmp_path / "data", "--config", str(config)) as daemon:
        assert await rules(session, daemon.gateway) == ["first"]

        config.write_text(RULE.format(name="second", condition="latency > 10"))
        os.kill(daemon.pid, signal.SIGHUP)
        assert "notification_rules" in await until_logged(daemon, "config.reloaded")
        assert await rules(session, daemon.gateway) == ["second"]

        config.write_text(RULE.format(name="third", condition="latencyy > 10"))
        os.kill(daemon.pid, signal.SIGHUP)
        refused = await until_logged(daemon, "config.refused")
        assert f"{config}:5:18:" in refused
        assert "did you mean latency" in refused
        assert await rules(session, daemon.gateway) == ["second"]
        assert await gauge(session, daemon.gateway, "citadel_config_last_reload_successful") == 0

        config.write_text(RULE.format(name="fourth", condition="latency > 10") + "sse: {retry_timeout: 1234}\n")
        os.kill(daemon.pid, signal.SIGHUP)
        assert "needs_restart=sse.retry_timeout" in await until_logged(daemon, "retry_timeout")
        assert await rules(session, daemon.gateway) == ["fourth"]
        assert await daemon.end() == 0


async def test_a_faulty_configuration_ends_with_78_and_its_place(tmp_path):
    """Every fault, each with file, line and column; nothing is started."""
    config = tmp_path / "data-streaming-api.yaml"
    config.write_text('service:\n  port: "91O2"\nwebsocket:\n  heartbeat_intervall: 30\n')
    status, output = await hxp("up", "--free-ports", "--data", str(tmp_path / "data"), "--config", str(config))
    assert status == 78
    assert f"{config}:2:9: service.port:" in output
    assert f"{config}:4:3: websocket.heartbeat_intervall: unknown key (did you mean heartbeat_interval?)" in output
    assert not (tmp_path / "data").exists()


async def test_a_faulty_condition_ends_with_78_and_its_place(tmp_path):
    """A misspelt metric is found at the start, with a suggestion."""
    config = tmp_path / "data-streaming-api.yaml"
    config.write_text(RULE.format(name="typo", condition="eror_rate > 0.2"))
    status, output = await hxp("up", "--free-ports", "--data", str(tmp_path / "data"), "--config", str(config))
    assert status == 78
    assert f"{config}:5:18: real_time_notifications.notification_rules[0].condition:" in output
    assert "did you mean error_rate" in output


async def test_a_port_in_use_is_named(tmp_path):
    """The port, and how to find who has it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, output = await hxp("up", "--data", str(tmp_path / "data"), EVENT_PROCESSING_PORT=str(port))
    assert status == 73
    assert f"cannot listen on 127.0.0.1:{port}" in output
    assert f"ss -ltnp 'sport = :{port}'" in output


async def test_the_log_says_which_file_was_read(tmp_path):
    settings = tmp_path / "gateway.yaml"
    settings.write_text("service: {host: 192.0.2.1, port: 0}\n")
    state = {"DATA_STREAMING_STATE_DIRECTORY": str(tmp_path)}
    status, output = await hxp("serve", "streaming", "--config", str(settings), **state)
    assert status == 73, "no address of this host"
    assert f"process: config.loaded file={settings}" in output


async def test_a_state_directory_that_cannot_be_written_is_named(tmp_path):
    """A file stands where the directory should be: nothing can be made below it, not even by root."""
    (tmp_path / "data").write_text("")
    status, output = await hxp("up", "--free-ports", "--data", str(tmp_path / "data"))
    assert status == 73
    assert f"cannot use {tmp_path / 'data' / 'processing' / 'log'} as the log's directory: Not a directory" in output


async def test_a_damaged_store_is_answered_with_what_can_be_done(tmp_path):
    """It is not put aside by itself: silences and what waits to be told would be gone."""
    store = tmp_path / "data" / "streaming" / "state.db"
    store.parent.mkdir(parents=True)
    store.write_bytes(b"no database at all, but long enough to look like one " * 100)
    status, output = await hxp("up", "--free-ports", "--data", str(tmp_path / "data"))
    assert status == 73
    assert f"the store {store} cannot be used: file is not a database" in output
    assert f"put a backup back (hxp restore), or move {store}* aside" in output


async def test_two_processes_on_one_log(tmp_path):
    """The second is refused with the owner's process id; the first goes on."""
    async with Daemon(tmp_path / "data") as daemon:
        status, output = await hxp("up", "--free-ports", "--data", str(tmp_path / "data"))
        assert status == 73
        assert f"{tmp_path / 'data' / 'processing' / 'log'} is in use by process {daemon.pid}" in output
        assert "hint: end that one first, or give this one its own: hxp up --data DIRECTORY" in output
        async with aiohttp.ClientSession() as session, session.get(f"{daemon.gateway}/health") as answer:
            assert (await answer.json())["status"] == "healthy"


async def test_what_is_printed_tells_the_commands_where_it_listens(tmp_path):
    """On free ports; whoever copies the line needs no --url."""
    async with Daemon(tmp_path / "data") as daemon:
        (line,) = [line for line in daemon.output if "Commands  " in line]
        places = dict(each.split("=", 1) for each in line.partition("export ")[2].split())
        assert places == {"HXP_PROCESSING_URL": daemon.events, "HXP_GATEWAY_URL": daemon.gateway}
        for command in (("publish", "deploy.finished"), ("notify", "dead")):
            status, output = await hxp(*command, **places)
            assert status == 0, output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stops_cleanly(tmp_path, number):
    """Status 0, and connected clients are told to come back (1012, end of the stream)."""
    async with aiohttp.ClientSession() as session, Daemon(tmp_path / "data") as daemon:
        async with (
            session.ws_connect(f"{daemon.gateway}/ws/events") as web_socket,
            session.get(f"{daemon.gateway}/sse/events") as stream,
        ):
            await web_socket.receive()
            await stream.content.readline()
            ending = asyncio.create_task(daemon.end(number))
            async for _ in web_socket:
                pass
            rest = await stream.content.read()
            assert await ending == 0
        assert web_socket.close_code == 1012
        assert b"\nretry: " in rest
    assert any("process.stopped" in line or "process: stopped" in line for line in daemon.output)


async def test_replay_shows_up_as_marked_requests(tmp_path):
    """`--replay` publishes the trace's requests, each marked as a replay."""
    trace = tmp_path / "trace.csv"
    trace.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,374,44\n"
        "2023-11-16 18:15:50.9951690,396,109\n"
    )
    arguments = ("--replay", str(trace), "--speed", "0")
    async with aiohttp.ClientSession() as session, Daemon(tmp_path / "data", *arguments) as daemon:
        await until_logged(daemon, "finished")
        async with session.get(f"{daemon.events}/events?type=llm.*") as answer:
            events = (await answer.json())["events"]
    assert [(e["type"], e["data"]["input_tokens"], e["data"]["replay"]) for e in events] == [
        ("llm.request.completed", 374, True),
        ("llm.request.completed", 396, True),
    ]


async def test_a_stop_during_a_replay_is_no_error(tmp_path):
    trace = tmp_path / "trace.csv"
    lines = (f"2023-11-16 18:{n // 60_000:02}:{n // 1000 % 60:02}.{n % 1000:03},100,10" for n in range(0, 60_000, 2))
    trace.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + "\n".join(lines))
    async with aiohttp.ClientSession() as session, Daemon(tmp_path / "data", "--replay", str(trace)) as daemon:
        await until_logged(daemon, "replay: started")
        async with session.get(f"{daemon.events}/events/stream?after=0&type=llm.*&limit=1") as answer:
            assert await answer.text()
        assert await daemon.end() == 0
    assert not [line for line in daemon.output if "ERROR" in line]


async def test_a_faulty_trace_is_named_before_anything_starts(tmp_path):
    """File and line of the first fault."""
    trace = tmp_path / "trace.csv"
    trace.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,many,44\n")
    status, output = await hxp("up", "--free-ports", "--data", str(tmp_path / "data"), "--replay", str(trace))
    assert status == 1
    assert f"{trace}:2:" in output
    assert not (tmp_path / "data").exists()


async def test_a_gateway_beside_a_running_one_ends_and_says_why(tmp_path):
    """Two would tell alerts from one store and not know of each other's silences."""
    settings = tmp_path / "gateway.yaml"
    ports = "{operational_overview: 0, business_intelligence: 0, performance_metrics: 0}"
    settings.write_text(
        f"service: {{host: 127.0.0.1, port: 0}}\nstate: {{directory: {tmp_path}}}\nlive_dashboard: {{ports: {ports}}}\n"
    )
    store = Store(tmp_path / "state.db", owned=True)
    await store.open()
    status, output = await hxp("serve", "streaming", "--config", str(settings))
    assert (status, f"is in use by process {os.getpid()}" in output) == (73, True)
    await store.close()
