"""An installation that is watched: mail server and receivers of its notifications, and Debian's own Prometheus."""

from __future__ import annotations

import json
import math
import re

from tests.box.box import ROOT, Box
from tests.box.runbooks.pages import hastened_rules

CONFIG = "/opt/citadel/config"
HERE = "/src/tests/box/runbooks"
ANSWERS = "/run/answers"
CHANNELS = """
  heartbeats:
    switch: {every: 1s, url: "http://127.0.0.1:8099/heartbeat"}
  templates: /etc/citadel/templates
  email: {host: 127.0.0.1, port: 2525, tls: none, from: citadel@mail.test, to: [ops@mail.test]}
  webhook:
    rate: {per_minute: 600, burst: 10}
    endpoints:
      - {name: login, url: "http://127.0.0.1:8099/login"}
      - {name: gone, url: "http://127.0.0.1:8099/gone"}
      - {name: pager, url: "http://127.0.0.1:8099/pager"}
"""
BY_MODEL = """
    - name: by_model
      condition: request_rate > 1000000
      channel: websocket
      by: [model]
      limit: 50"""


def configure(box: Box) -> None:
    """The shipped configuration with channels to the peers below, the shipped metrics written out, a small log."""
    streaming = (ROOT / "config/services/data-streaming-api.yaml").read_text()
    streaming = streaming.replace("  workers: 2\n", "  workers: 2\n  drain_seconds: 1\n")
    streaming = streaming.replace("    - slack\n", "    - webhook\n", 1)
    streaming = re.sub(r"(  delivery_timeout: 10)\n", rf"\1{CHANNELS}", streaming)
    streaming = streaming.replace("  notification_rules:", "  notification_rules:" + BY_MODEL)
    processing = (ROOT / "config/services/event-processing.yaml").read_text()
    processing = processing.replace(
        "  segment_bytes: 268435456", "  scrub_bytes_per_second: 0\n  reserve_bytes: 4194304\n  segment_bytes: 1048576"
    )
    processing = processing.replace("disk_budget_bytes: 21474836480", "disk_budget_bytes: 33554432")
    processing = processing.replace("disk_budget_bytes: 2147483648", "disk_budget_bytes: 16777216")
    head, metrics = processing.split("#  metrics:\n")
    commented, _, rest = metrics.partition("\n\n")
    processing = head + "  metrics:\n" + re.sub(r"(?m)^#", "", commented) + "\n\n" + rest
    # So small that a test can fill it.
    box.run("mkdir -p /etc/citadel/templates", "mount -t tmpfs -o size=192m,mode=0755 tmpfs /var/lib/citadel")
    for name, text in (("data-streaming-api", streaming), ("event-processing", processing)):
        (box.share / f"{name}.yaml").write_text(text)
        box.run(f"cp /share/{name}.yaml {CONFIG}/services/", f"hxp check-config {CONFIG}/services/{name}.yaml")
    # In the time of the box: else a dashboard is updated once in five minutes.
    intervals = "s/^(LIVE_DASHBOARD_UPDATE_INTERVAL|DASHBOARD_REFRESH_INTERVAL)=5$/\\1=1/"
    box.run(
        f"sed -E -i '{intervals}' {CONFIG}/services/data-streaming-api.env",
        f'sed -i \'s/"update_frequency": 5/"update_frequency": 1/\' {CONFIG}/dashboards/*.json',
    )


def unit(name: str, script: str) -> str:
    """Starts a script of this directory as a service beside ours, until `systemctl stop`."""
    return f"systemd-run --quiet --collect --unit={name} python3 {HERE}/{script}"


MAIL = unit("mail", "peers.py smtp 2525")


def watch(box: Box) -> None:
    """Everything runs, is well, and is scraped twice a second: with minutes that are seconds, each 30 s."""
    box.run(f"mkdir {ANSWERS}")
    box.run(MAIL, unit("hooks", f"peers.py http 8099 {ANSWERS}"))
    box.run("systemctl start citadel.target citadel-data-streaming-api citadel-event-processing")
    scrape = (ROOT / "config/prometheus/prometheus.yml").read_text().replace("15s", "500ms")
    (box.share / "prometheus.yml").write_text(scrape)
    (box.share / "rules.yml").write_text(hastened_rules())
    box.run(
        "mkdir -p /etc/prometheus/rules",
        # What is not scraped any more is taken for what it was for five minutes.
        "echo 'ARGS=--query.lookback-delta=5s' >/etc/default/prometheus",
        "cp /share/prometheus.yml /etc/prometheus/prometheus.yml",
        "cp /share/rules.yml /etc/prometheus/rules/data_streaming_alerts.yml",
        "systemctl start prometheus",
    )
    box.until("curl -s http://127.0.0.1:9090/api/v1/targets", '"health":"up"')


def firing(box: Box) -> set[str]:
    """The alerts that fire."""
    return _alerts(box, 'ALERTS{alertstate="firing"}')


def fired(box: Box, since: float) -> set[str]:
    """The alerts that have fired within so many seconds: some end by themselves before somebody looks."""
    return _alerts(box, f'max_over_time(ALERTS{{alertstate="firing"}}[{math.ceil(since)}s])')


def _alerts(box: Box, query: str) -> set[str]:
    url = "http://127.0.0.1:9090/api/v1/query"
    found = json.loads(box.run(f"curl --silent --show-error --fail --data-urlencode 'query={query}' {url}"))
    return {each["metric"]["alertname"] for each in found["data"]["result"]}


def samples(output: str) -> list[float]:
    """The values that `promtool query instant` prints."""
    return [float(value) for value in re.findall(r"=> (\S+) @\[", output)]
