"""Ports, peers, and what the running services say of themselves."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.orchestration.doctor.model import Finding

_SECONDS = 3.0
_LARGEST = 1 << 20


def reachable(host: str) -> str:
    """The address at which a listener of this host is asked."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def ask(host: str, port: int, path: str) -> Mapping[str, Any]:
    """A JSON object from a service. Raises OSError, http.client.HTTPException, ValueError."""
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        body = json.loads(connection.getresponse().read(_LARGEST))
    finally:
        connection.close()
    if not isinstance(body, dict):
        raise ValueError("the answer is no JSON object")
    return body


def look_at_service(name: str, host: str, port: int) -> Iterator[Finding]:
    """Whether the service answers on its port, is the one that is installed, and is well."""
    at = f"{reachable(host)}:{port}"
    unit = f"citadel-{name}.service"
    try:
        health = ask(reachable(host), port, "/health")
        running = str(ask(reachable(host), port, "/openapi.json").get("info", {}).get("version", ""))
    except ConnectionRefusedError:
        yield Finding(
            "service.down", "fault", f"{name} does not run: nobody listens on {at}", f"sudo systemctl start {unit}"
        )
        return
    except (OSError, http.client.HTTPException, ValueError) as error:
        yield _stranger(name, at, port, f"what answers is no service of ours ({error or type(error).__name__})")
        return
    if health.get("service") != name:
        yield _stranger(name, at, port, f"what answers there is {health.get('service', 'another program')!r}")
        return
    if running != __version__:
        yield Finding(
            "service.version",
            "warning",
            f"{name} on {at} runs release {running}, installed is {__version__}",
            f"sudo systemctl restart {unit}",
        )
    yield from _parts(name, at, health)


def _stranger(name: str, at: str, port: int, why: str) -> Finding:
    mend = f"ss -ltnp 'sport = :{port}' shows who has the port; stop that program, or change service.port"
    return Finding("service.port_taken", "fault", f"{name} should listen on {at}: {why}", mend)


def _parts(name: str, at: str, health: Mapping[str, Any]) -> Iterator[Finding]:
    sick = {part: facts for part, facts in health.get("parts", {}).items() if facts.get("status") != "ok"}
    for part, facts in sick.items():
        yield Finding(
            "service.part",
            "fault" if facts.get("status") == "down" else "warning",
            f"{name} on {at}: {part} is {facts.get('status')}: {facts.get('reason', 'no reason given')}",
            f"journalctl -u citadel-{name} | grep {part}; the page of its alert in docs/runbooks says what to do",
        )
    log = health.get("parts", {}).get("log", {})
    if log.get("durable") is False:
        yield Finding(
            "service.not_durable",
            "warning",
            f"{name} on {at}: its log is not durable: what is acknowledged is gone after a crash",
            "use the SQLite log; the log in memory is for tests",
        )
    if not sick:
        yield Finding("service.healthy", "ok", f"{name} on {at} is healthy")


def look_at_dashboard_ports(config: StreamingConfig) -> Iterator[Finding]:
    """The dashboards' own ports."""
    for name, port in config.live_dashboard.ports.items():
        at = f"{reachable(config.service.host)}:{port}"
        if port and not _connects(reachable(config.service.host), port):
            yield Finding(
                "service.dashboard_port",
                "fault",
                f"nobody listens on {at}, the port of the dashboard {name}",
                "journalctl -u citadel-data-streaming-api | grep listener; is the gateway running?",
            )


def look_at_peers(streaming: StreamingConfig, processing: ProcessingConfig | None) -> Iterator[Finding]:
    """Other programs that the services talk to: can they be reached from here?"""
    monitoring = streaming.monitoring
    events = monitoring.real_time_event_processing_endpoint
    peers = {
        "monitoring.metrics_server_endpoint": monitoring.metrics_server_endpoint,
        "monitoring.custom_metrics_endpoint": monitoring.custom_metrics_endpoint,
        "monitoring.api_gateway_endpoint": monitoring.api_gateway_endpoint,
    }
    if processing is None:
        yield from _peer("monitoring.real_time_event_processing_endpoint", events, "peers.events")
    for key, url in peers.items():
        yield from _peer(key, url, "peers.unreachable")
    email = streaming.real_time_notifications.email
    if email.to:
        yield from _peer("real_time_notifications.email", f"smtp://{email.host}:{email.port}", "peers.mail")


def _peer(key: str, url: str, name: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if not parts.hostname:
        return
    if _connects(parts.hostname, port):
        yield Finding("peers.reachable", "ok", f"{key}: {parts.hostname}:{port} can be reached")
        return
    yield Finding(
        name,
        "warning" if name == "peers.unreachable" else "fault",
        f"{key}: nobody answers at {parts.hostname}:{port}",
        f"is it running, is the address right, does a firewall stand between? nc -vz {parts.hostname} {port}",
    )


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError:
        return False
    return True
