"""Sections that both services have."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hxp_enterprise_llm.config.types import Port, Positive, Seconds, Section, about


class LoggingConfig(Section, frozen=True, kw_only=True):
    format: Annotated[
        Literal["auto", "console", "journal", "json"],
        about("Form of log lines; auto: journal under systemd, console on a terminal, else plain text"),
    ] = "auto"


class PerformanceConfig(Section, frozen=True, kw_only=True):
    memory_limit_gb: Annotated[
        float, about("Memory the service may use; checked against the cgroup, not enforced", gt=0)
    ] = 2
    cpu_cores: Annotated[float, about("Cores the service may use; checked against the cgroup, not enforced", gt=0)] = 4
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], about("Least level that is logged", live=True)
    ] = "INFO"


class EgressConfig(Section, frozen=True, kw_only=True):
    """To whom the service connects on its own: Slack, mail server, webhooks. Link-local addresses never."""

    deny_private: Annotated[bool, about("Connect to no private address either, loopback included")] = False


class SecurityConfig(Section, frozen=True, kw_only=True):
    """Who may come in. Loopback always may, over plain HTTP/1.1 without forwarding headers."""

    anonymous: Annotated[
        Literal["trusted", "none"],
        about("trusted: loopback and trusted_networks pass without a credential; none: nobody does", live=True),
    ] = "trusted"
    trusted_networks: Annotated[
        list[str], about("Networks (CIDR) whose peers pass without a credential", live=True)
    ] = []
    service_networks: Annotated[
        list[str],
        about(
            "Those of them in which our other services run: they publish alerts and snapshots without a key",
            live=True,
        ),
    ] = []
    trusted_proxies: Annotated[
        list[str],
        about("Networks (CIDR) of proxies whose X-Forwarded-For is believed: it names the client", live=True),
    ] = []
    allowed_hosts: Annotated[
        list[str], about("Names accepted in the Host header besides IP addresses and localhost", live=True)
    ] = []
    allowed_origins: Annotated[
        list[str], about("Origins of web pages, besides our own, that may use the service", live=True)
    ] = []
    api_keys_file: Annotated[
        str,
        about(
            "File with the digests of the API keys, made by `hxp keys new`; empty: none. Read again at each reload",
            live=True,
        ),
    ] = ""
    max_half_open_per_address: Annotated[
        Positive,
        about(
            "Connections of one address (IPv6: /64) that may stand for more than a second or two without a request",
            live=True,
        ),
    ] = 256
    refused_credentials_per_minute: Annotated[
        int,
        about(
            "Wrong API keys of one address (IPv6: /64) a minute that are answered 401, then 429; 0: no bound",
            live=True,
            ge=0,
        ),
    ] = 30
    notify_per_minute: Annotated[
        int,
        about(
            "Notifications by hand that one address of trusted_networks may send a minute without a key; 0: no bound",
            live=True,
            ge=0,
        ),
    ] = 10
    egress: EgressConfig = msgspec.field(default_factory=EgressConfig)


class StateConfig(Section, frozen=True, kw_only=True):
    directory: Annotated[
        str,
        about(
            "Directory for what must survive a restart; relative paths start at the working directory."
            " Where nobody names one, systemd's `StateDirectory=`"
        ),
    ] = "data"


class ServiceConfig(Section, frozen=True, kw_only=True):
    """Where a service listens; each service has its own name and port."""

    name: Annotated[str, about("Name of the service in /health and in logs")] = "service"
    port: Annotated[Port, about("TCP port; 0 takes a free one")] = 0
    host: Annotated[str, about("Address to listen on; 0.0.0.0 for every interface")] = "127.0.0.1"
    workers: Annotated[Positive, about("Processes that share the port and its limits; event processing is one")] = 1
    worker_timeout: Annotated[
        float,
        about("Seconds that a process beside the first may stand still before it is killed and replaced", ge=1),
    ] = 30
    timeout: Annotated[Seconds, about("Seconds for an orderly stop; requests have bounds of their own")] = 30
