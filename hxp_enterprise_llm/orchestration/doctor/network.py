"""Ports, peers, and what the running services say of themselves."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.orchestration.doctor.model import Finding, runbook

_SECONDS = 3.0
_LARGEST = 1 << 20
_NOT_NEEDED = "peers.unreachable"
"""Without it something is missing, but nobody waits for it in vain."""
_PORTS = {"https": 443, "nats": 4222, "tls": 4222, "redis": 6379, "rediss": 6379}


def reachable(host: str) -> str:
    """The address at which a listener of this host is asked."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


class Way(NamedTuple):
    """How services are asked: the headers that go along, and how long an answer may take."""

    headers: Mapping[str, str] = {}
    seconds: float = _SECONDS


def ask(host: str, port: int, path: str, way: Way) -> Mapping[str, Any]:
    """A JSON object from a service. Raises OSError, http.client.HTTPException, ValueError."""
    connection = http.client.HTTPConnection(host, port, timeout=way.seconds)
    try:
        connection.request("GET", path, headers=dict(way.headers))
        body = json.loads(connection.getresponse().read(_LARGEST))
    finally:
        connection.close()
    if not isinstance(body, dict):
        raise ValueError("the answer is no JSON object")
    return body


def look_at_service(name: str, host: str, port: int, way: Way) -> Iterator[Finding]:
    """Whether the service answers on its port, is the one that is installed, and is well."""
    at = f"{reachable(host)}:{port}"
    try:
        health = ask(reachable(host), port, "/health", way)
        running = str(ask(reachable(host), port, "/openapi.json", way).get("info", {}).get("version", ""))
    except (OSError, http.client.HTTPException, ValueError) as error:
        yield _no_answer(name, at, port, way, error)
        return
    if isinstance(refusal := health.get("error"), dict):
        what = f"{name} on {at} does not say how it is: {refusal.get('message', 'no reason given')}"
        yield Finding("service.closed", "warning", what, "hxp doctor --key-file FILE, with a key of the scope read")
    elif health.get("service") != name:
        yield _stranger(name, at, port, f"what answers there is {health.get('service', 'another program')!r}")
    else:
        yield from _version(name, at, running)
        yield from _parts(name, at, health)


def _no_answer(name: str, at: str, port: int, way: Way, error: Exception) -> Finding:
    unit = f"citadel-{name}.service"
    if isinstance(error, ConnectionRefusedError):
        what = f"{name} does not run: nobody listens on {at}"
        return Finding("service.down", "fault", what, f"sudo systemctl start {unit}")
    if isinstance(error, TimeoutError):
        what = f"{name} does not answer on {at} within {way.seconds:g} s: it stands still, or is just being started"
        mend = f"sudo journalctl -u {unit} -n 30 shows which; if it stands still: sudo systemctl restart {unit}"
        return Finding("service.silent", "fault", what, mend)
    return _stranger(name, at, port, f"what answers is no service of ours ({error or type(error).__name__})")


def _version(name: str, at: str, running: str) -> Iterator[Finding]:
    if running != __version__:
        yield Finding(
            "service.version",
            "warning",
            f"{name} on {at} runs release {running}, installed is {__version__}",
            f"sudo systemctl restart citadel-{name}.service",
        )


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
            f"sudo journalctl -u citadel-{name} -n 200 | grep {part}; {runbook('README')} names the page for it",
        )
    log = health.get("parts", {}).get("log", {})
    # Nothing is known of a log that is not reached.
    if log.get("durable") is False and log.get("status") == "ok":
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
                "sudo journalctl -u citadel-data-streaming-api -n 200 | grep listener; is the gateway running?",
            )


def look_at_links(config: NotificationsConfig) -> Iterator[Finding]:
    """Whether those who are told are told where to look."""
    told = [name for name, on in (("email", config.email.to), ("slack", config.slack.channel)) if on]
    told = [name for name in told if name in config.notification_channels]
    if told and not config.page_url:
        yield Finding(
            "notifications.no_links",
            "warning",
            f"messages by {' and '.join(told)} do not link to the page: nobody knows under which address it is reached",
            "set real_time_notifications.external_url, e.g. https://citadel.example.org",
        )


class Peer(NamedTuple):
    """Another program that the services talk to. `key` names it in the configuration, `kind` is the finding."""

    key: str
    url: str
    kind: str = _NOT_NEEDED


def look_at_peers(streaming: StreamingConfig, processing: ProcessingConfig | None) -> Iterator[Finding]:
    """Other programs that the services talk to: can they be reached from here? Each place once, whoever names it."""
    peers = [*_monitoring(streaming, processing), *_told(streaming.real_time_notifications)]
    if processing is not None:
        peers += _sources(processing)
    places: dict[tuple[str, int], list[Peer]] = {}
    for peer in peers:
        parts = urlsplit(peer.url)
        if parts.hostname:
            places.setdefault((parts.hostname, parts.port or _PORTS.get(parts.scheme, 80)), []).append(peer)
    for (name, port), named in places.items():
        # Whoever needs it most says how bad it is.
        kind = next((peer.kind for peer in named if peer.kind != _NOT_NEEDED), _NOT_NEEDED)
        yield _looked_at(", ".join(peer.key for peer in named), name, port, kind)


def _monitoring(streaming: StreamingConfig, processing: ProcessingConfig | None) -> Iterator[Peer]:
    for name in ("metrics_server_endpoint", "custom_metrics_endpoint", "api_gateway_endpoint"):
        yield Peer(f"monitoring.{name}", getattr(streaming.monitoring, name))
    if processing is None:
        name = "real_time_event_processing_endpoint"
        yield Peer(f"monitoring.{name}", getattr(streaming.monitoring, name), "peers.events")


def _told(config: NotificationsConfig) -> Iterator[Peer]:
    """Who takes our notifications, as far as the address is no secret."""
    if config.email.to:
        yield Peer("real_time_notifications.email", f"smtp://{config.email.host}:{config.email.port}", "peers.mail")
    for number, url in enumerate(config.alertmanager.urls):
        yield Peer(f"real_time_notifications.alertmanager.urls[{number}]", url, "peers.told")
    for endpoint in config.webhook.endpoints:
        yield Peer(f"real_time_notifications.webhook {endpoint.name}", endpoint.url, "peers.told")
    for name, beat in config.heartbeats.items():
        yield Peer(f"real_time_notifications.heartbeats.{name}", beat.url, "peers.told")


def _sources(config: ProcessingConfig) -> Iterator[Peer]:
    for name in ("analytics_engine", "prometheus", "scrape", "gateway", "nats", "redis"):
        yield Peer(f"sources.{name}.endpoint", getattr(config.sources, name).endpoint)


def _looked_at(keys: str, name: str, port: int, kind: str) -> Finding:
    if _connects(name, port):
        return Finding("peers.reachable", "ok", f"{keys}: {name}:{port} can be reached")
    return Finding(
        kind,
        "warning" if kind == _NOT_NEEDED else "fault",
        f"{keys}: nobody answers at {name}:{port}",
        f"is it running, is the address right, does a firewall stand between? curl -v -m 5 telnet://{name}:{port}",
    )


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError:
        return False
    return True
