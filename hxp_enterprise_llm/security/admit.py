"""The one decision at the edge: who may use this route, taken before a byte of the body is read.

    peer (behind trusted proxies) → Host → Origin → body → credentials → scope

Each step answers a Refusal, or lets the request go on. Nothing here waits, logs or looks anywhere but at its arguments.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from multidict import CIMultiDict, CIMultiDictProxy

from hxp_enterprise_llm.security.hosts import Authority, parse_authority, parse_origin
from hxp_enterprise_llm.security.keys import ApiKey
from hxp_enterprise_llm.security.model import Principal, Refusal, Route
from hxp_enterprise_llm.security.networks import PeerKind
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.text import clean

__all__ = ["Policy", "RequestHead", "admit"]

ANONYMOUS_SCOPES = frozenset({"open", "read", "publish", "notify", "dashboards:refresh", "metrics"})
"""What loopback and trusted networks may do without a credential."""
SERVICE_SCOPES = ANONYMOUS_SCOPES | {"publish:own"}
"""What our own services may do beside, by an address of this host or from another one: they put alerts and refreshes
into the log."""
LOOPBACK_SCOPES = SERVICE_SCOPES | {"silence", "dashboards:write"}
"""What loopback may do beside: nobody silences an alert or changes a dashboard from elsewhere without a name."""

ENCODINGS = ("gzip", "deflate", "identity")
"""Content encodings of a body that are taken, one layer of them."""

_BELIEVED = "X-Forwarded-For"
_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Proto", "X-Forwarded-Host")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_NO_SCOPES: frozenset[str] = frozenset()
_SCHEMES = ("bearer", "apikey")
_HOW_TO_SEND = "send X-API-Key: KEY, or Authorization: Bearer KEY"
_HOW_TO_MAKE = "make one with `hxp keys new`, add its line to the file of security.api_keys_file, and reload"


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What is known of a request before its body: enough to decide."""

    peer: str
    """Address of the socket's other end; empty when it has none (a Unix socket)."""
    version: tuple[int, int]
    method: str
    target: str
    """The request target as it was sent."""
    headers: CIMultiDictProxy[str] | CIMultiDict[str]
    port: int
    """Port on which the request arrived; used in hints when there is no Host."""
    now: float = 0.0
    """Wall-clock seconds of the arrival: keys expire."""
    local: str = ""
    """Address at which the request arrived. One that comes from there comes from this host, by whatever name."""
    vouched: bool = False
    """Whether `peer` is a client that a trusted proxy has named."""


def admit(head: RequestHead, route: Route, policy: Policy) -> Principal | Refusal:
    """Decide on one request. Pure: the same arguments give the same answer."""
    seen = behind_proxies(head, policy)
    if isinstance(seen, Refusal):
        return seen
    head, network = seen, classify(seen, policy)
    for step in _STEPS:
        refusal = step(head, route, policy, network)
        if refusal is not None:
            return refusal
    caller = _identify(head, route, policy, network)
    if isinstance(caller, Refusal):
        return caller
    return _check_scope(route, caller) or caller


def behind_proxies(head: RequestHead, policy: Policy) -> RequestHead | Refusal:
    """The request as its client sent it: from the client that a trusted proxy names, or as it came."""
    if not policy.proxies or _BELIEVED not in head.headers or head.peer not in policy.proxies:
        return head
    client = policy.proxies.client(head.headers.getall(_BELIEVED))
    if client is None:
        text = f"the proxy {clean(head.peer)} names no client: {_BELIEVED} holds what is no address"
        return Refusal(400, "bad_forwarding", text, "have the proxy add the address of its peer at the right end")
    return replace(head, peer=client, vouched=True)


def classify(head: RequestHead, policy: Policy) -> PeerKind:
    """Where the client is. Loopback is what the socket says, never what a header says."""
    network = policy.networks.classify(head.peer)
    return "other" if head.vouched and network == "loopback" else network


def _check_host(head: RequestHead, route: Route, policy: Policy, network: PeerKind) -> Refusal | None:
    hosts = head.headers.getall("Host", [])
    if len(hosts) > 1:
        return Refusal(400, "bad_host", f"the request has {len(hosts)} Host headers", "send exactly one")
    if not hosts:
        if network == "loopback" and head.version == (1, 0) and _target_authority(head) is None:
            return None
        return Refusal(400, "bad_host", "the request has no Host header", "send the name or address that you dialled")
    host = parse_authority(hosts[0])
    if host is None:
        return Refusal(400, "bad_host", f"Host {clean(hosts[0])!r} is malformed", "send HOST or HOST:PORT")
    target = _target_authority(head)
    if target is not None and (parse_authority(target) or target) != host:
        text = f"the request target names {clean(target)!r}, the Host header {clean(hosts[0])!r}"
        return Refusal(400, "bad_host", text, "send a target that begins with '/'")
    return None if _is_ours(host, policy) else _foreign_host(host)


def _is_ours(host: Authority, policy: Policy) -> bool:
    return host.host == "localhost" or host.is_address or host.host in policy.allowed_hosts


def _foreign_host(host: Authority) -> Refusal:
    return Refusal(
        421,
        "foreign_host",
        f"this service does not answer to the name {clean(host.host)!r}",
        f"use its IP address or localhost, or add {clean(host.host)!r} to security.allowed_hosts",
    )


def _target_authority(head: RequestHead) -> str | None:
    """The authority of an absolute request target; None when the target is a path."""
    _, mark, rest = head.target.partition("://")
    # Whatever the scheme: what reads the request behind us may take its host from there.
    if head.target.startswith("/") or not mark:
        return None
    for end in "/?#":
        rest = rest.partition(end)[0]
    return rest


def _check_origin(head: RequestHead, route: Route, policy: Policy, network: PeerKind) -> Refusal | None:
    origins = head.headers.getall("Origin", [])
    if not origins:
        return None
    origin = parse_origin(origins[0]) if len(origins) == 1 else None
    host = parse_authority(head.headers.get("Host", ""))
    if origin is not None and (origin in policy.allowed_origins or (host is not None and origin.is_of(host))):
        return None
    name = clean(origins[0])
    return Refusal(
        403,
        "foreign_origin",
        f"a page of {name!r} may not use this service",
        "open the page that this service serves itself"
        + (f", or add {str(origin)!r} to security.allowed_origins" if origin else ""),
    )


def _has_body(head: RequestHead) -> bool:
    return "Transfer-Encoding" in head.headers or head.headers.get("Content-Length", "0").strip() != "0"


def _check_body(head: RequestHead, route: Route, policy: Policy, network: PeerKind) -> Refusal | None:
    if not _has_body(head):
        return None
    if "Upgrade" in head.headers:
        return Refusal(400, "upgrade_with_body", "a request that asks for an upgrade carries a body", "send it without")
    if head.method in _SAFE_METHODS:
        return None
    return _check_content_type(head, route) or _check_encoding(head)


def _check_content_type(head: RequestHead, route: Route) -> Refusal | None:
    if not route.body:
        hint = "send it without; what it takes goes into the query: ?name=value"
        return Refusal(415, "no_body_taken", f"{route.method} {route.path} takes no body", hint)
    sent = head.headers.get("Content-Type", "")
    media = sent.partition(";")[0].strip().lower()
    if media in route.body:
        return None
    # A page may post any content type across origins only together with a header that forces a preflight.
    if "*/*" in route.body and "ce-specversion" in head.headers:
        return None
    taken = [media for media in route.body if media != "*/*"]
    if not taken:
        return None  # an unknown path or method: nothing reads the body, and the answer says what is wrong
    text = f"content type {clean(media)!r} is not taken here" if media else "the body has no content type"
    return Refusal(415, "content_type", f"{text}; taken: {', '.join(taken)}", _curl(head, taken[0]))


def _curl(head: RequestHead, media: str) -> str:
    host = head.headers.get("Host", f"localhost:{head.port}")
    path = head.target if head.target.startswith("/") else "/"
    url = shlex.quote(clean(f"http://{host}{path}"))
    return f"curl -X {head.method} {url} -H 'Content-Type: {media}' --data-binary @FILE"


def _check_encoding(head: RequestHead) -> Refusal | None:
    sent = ", ".join(head.headers.getall("Content-Encoding", ["identity"]))
    if sent.strip().lower() in ENCODINGS:
        return None
    return Refusal(
        415,
        "content_encoding",
        f"content encoding {clean(sent)!r} is not taken",
        "send the body plain or compressed once with gzip or deflate",
        {"Accept-Encoding": "gzip, deflate"},
    )


def _identify(head: RequestHead, route: Route, policy: Policy, network: PeerKind) -> Principal | Refusal:
    """Who asks. A credential that is no good is never passed over for the rights of the network."""
    unwelcome = _unwelcome(head, policy, network)
    if route.scope == "open":
        return Principal("anonymous", network, head.peer, _NO_SCOPES if unwelcome else ANONYMOUS_SCOPES)
    credentials = [*head.headers.getall("X-API-Key", []), *head.headers.getall("Authorization", [])]
    if credentials:
        key = _find_key(head, policy, credentials)
        if isinstance(key, Refusal):
            return key
        expires = math.inf if key.expires is None else key.expires
        return Principal("service", network, head.peer, key.scopes, key.id, expires)
    return unwelcome or Principal("anonymous", network, head.peer, _scopes_without_key(head, policy, network))


def _scopes_without_key(head: RequestHead, policy: Policy, network: PeerKind) -> frozenset[str]:
    if network == "loopback":
        return LOOPBACK_SCOPES
    here = head.peer == head.local and not head.vouched
    return SERVICE_SCOPES if here or policy.services.classify(head.peer) == "trusted" else ANONYMOUS_SCOPES


def _find_key(head: RequestHead, policy: Policy, credentials: Sequence[str]) -> ApiKey | Refusal:
    if len(credentials) > 1:
        return _bad_credentials(f"carries {len(credentials)} credentials", "send exactly one")
    text = credentials[0].strip()
    if "X-API-Key" not in head.headers:
        scheme, _, text = text.partition(" ")
        if scheme.lower() not in _SCHEMES:
            return _bad_credentials("carries an Authorization header that is no API key", _HOW_TO_SEND)
    if not len(policy.keys):
        hint = "name a file of keys in security.api_keys_file, or send the request without one from this host"
        return _bad_credentials("carries an API key, but this service knows none", hint)
    found = policy.keys.find(text.strip(), head.now)
    if found == "expired":
        return _bad_credentials("carries an API key that has expired", _HOW_TO_MAKE)
    return _bad_credentials("carries an unknown API key", _HOW_TO_MAKE) if found == "unknown" else found


def _bad_credentials(what: str, hint: str) -> Refusal:
    return Refusal(401, "bad_credentials", f"the request {what}", hint, {"WWW-Authenticate": "Bearer"})


def _unwelcome(head: RequestHead, policy: Policy, network: PeerKind) -> Refusal | None:
    """Why this peer may not come in without a credential; None when it may."""
    peer = clean(head.peer) or "a local socket"
    if policy.anonymous == "none":
        return Refusal(
            401,
            "anonymous_off",
            f"nobody comes in without a credential here, {peer} neither",
            "send an API key, or set security.anonymous to 'trusted' to let this host and security.trusted_networks in",
        )
    if network == "other":
        return _stranger(head, peer)
    return None if head.vouched else _through_proxy(head, policy, peer)


def _stranger(head: RequestHead, peer: str) -> Refusal:
    # Some container networks give all that comes in the address of the container: that one proves nothing.
    if head.peer and head.peer == head.local and not head.vouched:
        text = f"{peer} is this service's own address, and in no trusted network"
        hint = f"on this host use 127.0.0.1 or localhost, add {peer} or its network to security.trusted_networks"
        return Refusal(401, "not_trusted", text, f"{hint}, or send an API key")
    return Refusal(
        401,
        "not_trusted",
        f"{peer} is neither this host nor in a trusted network",
        "use the service from its own host, add your network to security.trusted_networks, or send an API key",
    )


def _through_proxy(head: RequestHead, policy: Policy, peer: str) -> Refusal | None:
    # A proxy on this host makes the whole world look like loopback; these are the traces that one leaves.
    trace = next((name for name in _FORWARDED if name in head.headers), None)
    if trace is None and head.version == (1, 1):
        return _silent_proxy(head, policy, peer)
    seen = f"the header {trace}" if trace else f"HTTP/{head.version[0]}.{head.version[1]}"
    return Refusal(
        401,
        "came_through_proxy",
        f"the request from {peer} came through a proxy ({seen}), so it does not count as coming from {peer}",
        "talk to the service directly, over plain HTTP/1.1, send an API key, or, when the proxy is yours and tells"
        " its clients apart, add it to security.trusted_proxies",
    )


def _silent_proxy(head: RequestHead, policy: Policy, peer: str) -> Refusal | None:
    # On this host programs and a proxy share an address, so there the traces alone have to tell.
    if head.peer not in policy.proxies or policy.networks.classify(head.peer) == "loopback":
        return None
    text = f"the proxy {peer} does not say who its client is"
    return Refusal(401, "came_through_proxy", text, f"have it send {_BELIEVED}, or send an API key")


def _check_scope(route: Route, caller: Principal) -> Refusal | None:
    if route.scope == "open" or route.scope in caller.scopes:
        return None
    if caller.kind == "service":
        who = f"the key {caller.id!r} does not have"
    else:
        who = "only this host has without a key" if route.scope in LOOPBACK_SCOPES else "nobody has without a key"
    text = f"{route.method} {route.path} takes the scope {route.scope!r}, which {who}"
    return Refusal(403, "scope", text, "use a key with this scope")


_Step = Callable[[RequestHead, Route, Policy, PeerKind], Refusal | None]
_STEPS: tuple[_Step, ...] = (_check_host, _check_origin, _check_body)
