"""What is done in a box more than once: files edited, services asked, put under load, and validated."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from typing import Any

from tests.box.box import GATEWAY, Box
from tests.box.validation import COMMANDS

BASE = "http://192.168.10.29"
STREAMING_YAML = "/opt/citadel/config/services/data-streaming-api.yaml"
DROP_INS = f"/run/systemd/system/{GATEWAY}.service.d"


def edit(box: Box, old: str, new: str, file: str = STREAMING_YAML) -> None:
    box.run(f"grep -qF '{old}' {file}", f"sed -i 's|{old}|{new}|' {file}")


def drop_in(box: Box, name: str, *lines: str) -> None:
    """Settings of the gateway's unit for some time; without any the ones of this name go."""
    file = f"{DROP_INS}/{name}.conf"
    if lines:
        box.run(f"mkdir -p {DROP_INS}", *(f"echo '{line}' >>{file}" for line in ("[Service]", *lines)))
    else:
        box.run(f"rm {file}")
    box.run("systemctl daemon-reload")


def get(box: Box, path: str, port: int = 9102) -> str:
    return box.run(f"curl --silent --show-error --fail '{BASE}:{port}{path}'")


def placed(box: Box) -> list[int]:
    """The numbers of all orders in the log, page by page: one may end before there was anything to find."""
    numbers: list[int] = []
    after, head = 0, 1
    while after < head:
        page = json.loads(get(box, f"/events?after={after}&type=order.placed", 9100))
        numbers += [event["data"]["number"] for event in page["events"]]
        after, head = page["next"], page["head"]
    return numbers


def rules(box: Box) -> list[str]:
    return [rule["name"] for rule in json.loads(get(box, "/notifications/status"))["rules"]]


def start_prometheus(box: Box) -> None:
    """The metrics server of the seed, Debian's, with the configuration that we ship."""
    box.run(
        "systemd-run --quiet --unit=metrics-server --working-directory=/opt/citadel/config/prometheus prometheus"
        " --config.file=prometheus.yml --storage.tsdb.path=/tmp/prometheus --web.listen-address=192.168.10.37:9090"
    )


def validate(box: Box) -> str:
    """The commands of the task, one after the other; answers what is not as they expect it."""
    box.until(f"curl --silent {BASE}:9102/health", '"status":"healthy"')
    box.until("curl --silent '192.168.10.37:9090/api/v1/query?query=data_streaming_latency'", '"value"', within=60)
    faults = []
    for command, expected in COMMANDS:
        output = box.run(command)
        if not re.search(expected, output, re.DOTALL):
            faults.append(f"{command}\nshould answer {expected}, answers {output[:600]}")
    return "\n".join(faults)


def open_load(box: Box, path: str, rate: int) -> subprocess.Popen[str]:
    """Connections at a steady rate, until `end_load`."""
    command = box.command(f"exec python3 /src/tests/box/load.py 192.168.10.29 9102 {path} {rate}")
    load = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert load.stdout is not None
    assert load.stdout.readline() == "begun\n"
    return load


def end_load(load: subprocess.Popen[str]) -> dict[str, int]:
    """What became of the connections."""
    output, _ = load.communicate("\n", timeout=120)
    return json.loads(output)


@dataclass(frozen=True, slots=True)
class Restarted:
    """What was seen of a restart: statuses of new connections, of the readiness, and what clients of streams saw."""

    answers: set[str]
    ready: set[str]
    clients: dict[str, Any]


def restart_under_load(box: Box, rate: int) -> Restarted:
    """Restart the gateway under so many new connections a second, with streams open, one of which does not leave."""
    command = box.command("exec /opt/citadel/env/bin/python -P /src/tests/box/clients.py")
    clients = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert clients.stdout is not None
    assert clients.stdout.readline() == "open\n"
    load, looks = open_load(box, "/health/live", rate), open_load(box, "/health/ready", 20)
    box.run(f"systemctl restart {GATEWAY}")
    answers, ready = end_load(load), end_load(looks)
    return Restarted(set(answers), set(ready), json.loads(clients.communicate(timeout=120)[0]))
