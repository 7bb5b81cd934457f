"""Sockets that a service manager hands over: found by address, taken once, refused where nobody would answer."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys

import aiohttp
import msgspec
import pytest

from hxp_enterprise_llm.orchestration.activation import Handed, HandedSockets, UnusedSockets, handed_sockets
from hxp_enterprise_llm.orchestration.streaming_orchestrator import Settings, StreamingOrchestrator
from hxp_enterprise_llm.orchestration.workers.sockets import dealt
from hxp_enterprise_llm.security.listener import open_socket
from tests.integration.daemon import embedded_settings

replace = msgspec.structs.replace


def listening(unit: str, host: str = "127.0.0.1", port: int = 0, *, shared: bool = False) -> Handed:
    return Handed(unit, open_socket(host, port, shared=shared))


def port_of(handed: Handed) -> int:
    return handed.sock.getsockname()[1]


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({}, "no manager"),
        ({"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x"}, "another process"),
        ({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"}, "no number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_meant_for_this_process_is_left_alone(environ, why):
    """Nothing is taken, and no child finds the variables."""
    assert len(handed_sockets(environ)) == 0, why
    assert environ == {}


def test_a_process_finds_its_sockets_from_descriptor_3_on():
    """As systemd starts it: the descriptors are in place, the names beside them, nothing reaches a child."""
    program = (
        "import os\n"
        "os.environ['LISTEN_PID'] = str(os.getpid())\n"
        "from hxp_enterprise_llm.orchestration.activation import handed_sockets\n"
        "handed = handed_sockets(os.environ)\n"
        "[sock] = handed.take('127.0.0.1', int(os.environ['PORT']))\n"
        "print(sock.fileno(), sock.get_inheritable(), sock.getblocking(), len(handed), 'LISTEN_FDS' in os.environ)\n"
    )
    with listening("a.socket").sock as one, listening("b.socket").sock as two:
        start = f'exec 3<&{one.fileno()} 4<&{two.fileno()}; exec {sys.executable} -c "$PROGRAM"'
        environ = {**os.environ, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a.socket", "PROGRAM": program}
        answer = subprocess.run(
            ["bash", "-c", start],
            pass_fds=[one.fileno(), two.fileno()],
            env=environ | {"PORT": str(two.getsockname()[1])},
            capture_output=True,
            text=True,
            check=True,
        )
    assert answer.stdout.split() == ["4", "False", "False", "1", "False"]


def test_a_socket_is_taken_once_and_by_its_address():
    """One address has all its queues; what nobody takes is closed."""
    first = listening("a.socket", shared=True)
    second = listening("a.socket", port=port_of(first), shared=True)
    other = listening("b.socket")
    handed = HandedSockets([first, second, other])
    taken = handed.take("localhost", port_of(first))
    assert taken == [first.sock, second.sock]
    assert handed.take("127.0.0.1", port_of(first)) == []
    handed.close()
    assert other.sock.fileno() == -1
    for sock in taken:
        sock.close()


def test_an_address_that_the_configuration_does_not_have_is_told_with_both_and_the_way_out():
    """Nobody would answer there, so the start is refused as a fault of the configuration."""
    handed = listening("citadel-dashboards.socket")
    with handed.sock, pytest.raises(UnusedSockets) as refused:
        HandedSockets([handed]).check([("::1", 9102), ("127.0.0.1", 9100)])
    assert str(refused.value) == (
        f"systemd listens on 127.0.0.1:{refused.value.unused[0][1][1]} (citadel-dashboards.socket), the configuration"
        " wants [::1]:9102, 127.0.0.1:9100: make ListenStream= the same with"
        " `systemctl edit citadel-dashboards.socket`,"
        " or let the service open its ports itself with `systemctl mask --now citadel-dashboards.socket`"
    )


def test_a_unix_socket_is_told_by_its_path(tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        with pytest.raises(UnusedSockets, match=path):
            HandedSockets([Handed("x.socket", sock)]).check([("127.0.0.1", 1)])


@pytest.mark.parametrize(("processes", "queues"), [(1, [0]), (2, [0, 1]), (5, [0, 1, 0, 1, 0])])
def test_processes_share_the_queues_that_there_are(processes, queues):
    """Where there are more processes than sockets, some have the same queue under another number."""
    first = listening("a.socket", shared=True)
    second = listening("a.socket", port=port_of(first), shared=True)
    group = [first.sock, second.sock]
    hands = dealt(group, processes)
    inodes = [os.fstat(sock.fileno()).st_ino for sock in group]
    assert [inodes.index(os.fstat(sock.fileno()).st_ino) for sock in hands] == queues
    assert len({sock.fileno() for sock in hands}) == processes
    for sock in {*hands, *group}:
        sock.close()


@pytest.mark.parametrize("workers", [1, 2, 3])
async def test_every_queue_of_a_handed_port_is_served(tmp_path, workers):
    """Two queues, one to three processes: each of forty connections has its answer; the ports are the handed ones."""
    settings = embedded_settings(tmp_path)
    first = listening("a.socket", shared=True)
    handed = [first, listening("a.socket", port=port_of(first), shared=True), listening("d.socket")]
    streaming = replace(
        settings.streaming,
        service=replace(settings.streaming.service, port=port_of(first), workers=workers),
        live_dashboard=replace(settings.streaming.live_dashboard, ports={"system_health": port_of(handed[2])}),
    )
    settings = Settings(settings.processing, streaming)
    program = StreamingOrchestrator(settings, environ={}, handed=HandedSockets(handed))
    await program.start()
    try:
        assert program.addresses["system_health"][1] == port_of(handed[2])
        url = f"http://127.0.0.1:{port_of(first)}/health/live"
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.timeout(20):
            answers = await asyncio.gather(*(session.get(url) for _ in range(40)))
            assert {answer.status for answer in answers} == {200}
    finally:
        await program.stop()


async def test_a_port_that_is_not_configured_keeps_everything_from_starting(tmp_path):
    """No room is opened, nothing is left behind."""
    handed = listening("a.socket")
    with handed.sock, pytest.raises(UnusedSockets, match=r"\(a.socket\)"):
        await StreamingOrchestrator(
            embedded_settings(tmp_path / "data"), environ={}, handed=HandedSockets([handed])
        ).start()
    assert not (tmp_path / "data").exists()
