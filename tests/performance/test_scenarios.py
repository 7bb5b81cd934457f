"""The rules by which the bench judges, and the parts of it that need no load."""

from __future__ import annotations

import base64
import json
import os
import stat
import sys
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.performance import harness
from tests.performance.bench_slow_readers import Pair, verdict
from tests.performance.harness import Missing, pinned
from tests.performance.ladder import MOST_P99_MS, STEP_SECONDS, Runs, Step, Window, climb, climb_patiently
from tests.performance.publishers import Centrifugo, Delivered
from tests.performance.scenarios import ladder_table, singles_table
from tests.performance.servers import centrifugo
from tests.performance.test_load import serving


def affinity(core: int | None) -> set[int]:
    """The cores of a child that was started while this process was kept on one."""
    free = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(free)})
    try:
        with harness.child([sys.executable, "-c", "input()"], core, stdin=-1, stdout=-1) as process:
            return os.sched_getaffinity(process.pid)
    finally:
        os.sched_setaffinity(0, free)


@pytest.mark.skipif(len(harness.CORES) < 2, reason="there is nothing to choose on one core")
def test_a_child_is_on_its_own_core_whatever_core_its_parent_is_on():
    first, second, *_ = sorted(harness.CORES)
    assert affinity(second) == {second}
    assert affinity(first) == {first}
    assert affinity(None) == set(harness.CORES)


def test_a_machine_with_one_core_keeps_nobody_anywhere(monkeypatch):
    monkeypatch.setattr(harness, "CORES", frozenset(os.sched_getaffinity(0)) & {0} or {min(os.sched_getaffinity(0))})
    before = os.sched_getaffinity(0)
    try:
        pinned(1)()
        assert os.sched_getaffinity(0) == harness.CORES
    finally:
        os.sched_setaffinity(0, before)


def runs(gateway_us: float, joined: float) -> Runs:
    return Runs([Step(gateway_us=gateway_us, all_us=gateway_us, joined=joined)])


def test_single_messages_are_compared_where_nobody_joined_any():
    table = singles_table({"hxp": runs(4.0, 1.04), "nchan": runs(5.0, 1.0)}, 75)
    assert "75 single messages" in table.title
    assert [(floor.found, floor.met) for floor in table.floors] == [(0.8, True)]
    assert table.notes == []


def test_single_messages_that_were_joined_are_no_comparison():
    table = singles_table({"hxp": runs(4.0, 1.0), "nchan": runs(5.0, 1.2)}, 10)
    assert table.floors == []
    assert "no comparison" in table.notes[0]


def test_the_peer_that_compresses_gets_an_event_as_we_deliver_it():
    with serving(b"") as port:
        feeder = Delivered(port)
        try:
            lines = [feeder.wrap(feeder._documents.make(7)) for _ in range(2)]
        finally:
            feeder.close()
    events = [json.loads(line) for line in lines]
    assert [list(event) for event in events] == [
        ["offset", "epoch", "specversion", "id", "source", "time", "type", "data"]
    ] * 2
    assert [(event["offset"], event["data"]["seq"]) for event in events] == [(1, 0), (2, 1)]
    assert len(events[0]["epoch"]) == 32
    assert all(line.endswith(b"}}\n") for line in lines)


class Machine(Window):
    """A server that keeps up as far as a rate; at the first window it does not yet."""

    def __init__(self, most: float, connections: int = 100, takes_ms: float = 10.0) -> None:
        self.most, self.connections, self.takes_ms = most, connections, takes_ms
        self.within_ms = MOST_P99_MS
        self.asked: list[float] = []

    def measure(self, events: float, seconds: float = STEP_SECONDS, within: float = 3.0) -> Step:
        self.asked.append(events * self.connections)
        in_time = self.takes_ms < self.within_ms and self.asked[-1] <= self.most
        return Step(rate=self.asked[-1], passed=len(self.asked) > 1 and in_time, within_ms=self.within_ms)


def test_a_ladder_ends_at_the_highest_rate_that_is_kept_and_does_not_judge_the_first_window():
    machine = Machine(600_000)
    assert climb(machine, 100, 100_000).rate == pytest.approx(100_000 * 1.5**4)  # 506,250; × 1.22 is too much
    assert machine.asked[:3] == pytest.approx([100_000, 100_000, 150_000])


def test_a_ladder_goes_down_when_it_began_too_high():
    assert climb(Machine(30_000), 100, 100_000).rate == pytest.approx(25_000 * 1.22, rel=0.3)


def test_a_ladder_that_nobody_climbs_has_no_step():
    assert not climb(Machine(0), 100, 100_000).passed


def test_who_is_late_at_any_rate_is_allowed_more_time():
    assert not climb(Machine(60_000, takes_ms=120), 100, 100_000).passed
    found = climb_patiently(Machine(60_000, takes_ms=120), 100, 100_000)
    assert (found.passed, found.within_ms) == (True, 250)
    assert found.rate > 25_000
    assert climb_patiently(Machine(60_000), 100, 100_000).within_ms == MOST_P99_MS


def test_a_table_says_who_was_allowed_more_time():
    found = {"hxp": Runs([Step(rate=10.0)]), "slow": Runs([Step(rate=2.0, within_ms=250.0)]), "none": Runs([Step()])}
    assert ladder_table("Delivered", found).notes == [
        "slow passed no step within 100 ms and was allowed 250.",
        "none passed no step in most runs: there is no ratio.",
    ]


PRETENDER = """#!{python}
import json, pathlib, socket, sys
assert sys.argv[1] == "-c"
config = json.loads(pathlib.Path(sys.argv[2]).read_text())
server = config["http_server"]
listener = socket.create_server((server["address"], server["port"]))
while True:
    listener.accept()
"""


def test_centrifugo_is_told_by_its_configuration_and_a_token(tmp_path, monkeypatch):
    binary = tmp_path / "centrifugo"
    binary.write_text(PRETENDER.format(python=sys.executable))
    binary.chmod(binary.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with centrifugo(tmp_path) as server:
        address = urlsplit(server.paths["ws"])
        connect = json.loads(parse_qs(address.query)["cf_connect"][0])
    assert address.path == "/connection/uni_websocket"
    config = json.loads((tmp_path / "centrifugo.json").read_text())
    assert config["http_server"] == {"address": "127.0.0.1", "port": server.port}
    assert config["uni_websocket"] == {"enabled": True}
    claims = connect["token"].split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(claims + "==")) == {"sub": "bench", "channels": ["bench"]}
    assert len(server.paths["ws"]) < 600, "the load generator has room for a request of 1,024 bytes"


def test_without_centrifugo_it_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match="centrifugo is not installed"), centrifugo(tmp_path):
        pass


def test_centrifugo_gets_what_is_due_in_one_request():
    with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as port:
        publisher = Centrifugo(port)
        sent: list[bytes] = []
        try:
            before = publisher.free()
            real, publisher._socket = publisher._socket, Recorder(sent)  # type: ignore[assignment]
            publisher.send([1, 2, 3])
            publisher._socket = real
            assert publisher.free() == before - 10
        finally:
            publisher.close()
    head, _, body = sent[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/batch HTTP/1.1")
    commands = json.loads(body)["commands"]
    assert [(each["publish"]["channel"], each["publish"]["data"]["data"]["seq"]) for each in commands] == [
        ("bench", 0),
        ("bench", 1),
        ("bench", 2),
    ]


class Recorder:
    def __init__(self, sent: list[bytes]) -> None:
        self.sendall = sent.append


def test_one_disturbed_round_does_not_decide_what_slow_readers_cost():
    pairs = [Pair((0.010, 100), (0.011, 160)) for _ in range(8)] + [Pair((0.010, 100), (0.500, 9000))]
    said = verdict(pairs, 1000, 50)
    assert "p99 with the silent ones: 1.10 times that without, half of the pairs between 1.10 and 1.10" in said
    assert "      50      11.0         160" in said
