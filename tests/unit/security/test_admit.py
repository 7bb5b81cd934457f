"""The table of who may come in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from multidict import CIMultiDict

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.security.admit import Policy, RequestHead, admit
from hxp_enterprise_llm.security.keys import ApiKey, Keyring, digest_of
from hxp_enterprise_llm.security.model import EVENT_BODY, Principal, Refusal, Route
from hxp_enterprise_llm.security.policy import PolicyError

JSON = {"Content-Type": "application/json", "Content-Length": "2"}
POLICY = Policy.of(
    SecurityConfig(
        trusted_networks=["192.168.10.0/24"],
        allowed_hosts=["hx-metrics-server"],
        allowed_origins=["https://portal.example.org"],
    )
)


async def nothing(request: web.Request) -> web.StreamResponse:
    raise NotImplementedError


READ = Route("GET", "/events", nothing, "read", "")
PUBLISH = Route("POST", "/events", nothing, "publish", "", body=(*EVENT_BODY, "*/*"))
REFRESH = Route("POST", "/dashboards/refresh", nothing, "dashboards:refresh", "")
LIVE = Route("GET", "/health/live", nothing, "open", "")


def head(
    *,
    peer: str = "127.0.0.1",
    method: str = "GET",
    target: str = "/events",
    version: tuple[int, int] = (1, 1),
    host: str | None = "127.0.0.1:9100",
    more: Any = (),
    **headers: str,
) -> RequestHead:
    found = CIMultiDict([] if host is None else [("Host", host)])
    found.extend(more)
    found.extend({name.replace("_", "-"): value for name, value in headers.items()})
    return RequestHead(peer, version, method, target, found, 9100)


def post(media: str | None = "application/json", **more: Any) -> RequestHead:
    content = {} if media is None else {"Content_Type": media}
    return head(method="POST", **({"Content_Length": "2"} | content | more))


def decide(request: RequestHead, route: Route = READ, policy: Policy = POLICY) -> Principal | Refusal:
    return admit(request, route, policy)


def refused(request: RequestHead, route: Route = READ, policy: Policy = POLICY) -> Refusal:
    decision = decide(request, route, policy)
    assert isinstance(decision, Refusal), decision
    return decision


@pytest.mark.parametrize(
    ("peer", "network"), [("127.0.0.1", "loopback"), ("::1", "loopback"), ("192.168.10.9", "trusted")]
)
def test_loopback_and_trusted_networks_pass_without_a_credential(peer: str, network: str) -> None:
    decision = decide(head(peer=peer))
    assert isinstance(decision, Principal)
    assert (decision.kind, decision.network, decision.address) == ("anonymous", network, peer)
    assert {"read", "publish", "notify", "dashboards:refresh", "metrics"} <= decision.scopes
    assert ("silence" in decision.scopes) is (network == "loopback")


def test_only_this_host_and_our_own_services_publish_what_the_services_make_themselves() -> None:
    policy = Policy.of(SecurityConfig(trusted_networks=["192.168.10.0/24"], service_networks=["192.168.10.9/32"]))
    for peer, may in (("127.0.0.1", True), ("192.168.10.9", True), ("192.168.10.10", False)):
        decision = decide(head(peer=peer), READ, policy)
        assert isinstance(decision, Principal)
        assert ("publish:own" in decision.scopes) is may
        assert ("silence" in decision.scopes) is (peer == "127.0.0.1")


def test_who_comes_from_the_address_that_was_dialled_is_this_host_unless_a_proxy_says_so() -> None:
    policy = Policy.of(SecurityConfig(trusted_networks=["192.168.10.0/24"], trusted_proxies=["192.168.10.29"]))
    here = replace(head(peer="192.168.10.29"), local="192.168.10.29")
    direct = Policy.of(SecurityConfig(trusted_networks=["192.168.10.0/24"]))
    decision = decide(here, READ, direct)
    assert isinstance(decision, Principal)
    assert "publish:own" in decision.scopes
    assert "silence" not in decision.scopes
    forwarded = head(peer="192.168.10.29", X_Forwarded_For="192.168.10.29")
    decision = decide(replace(forwarded, local="192.168.10.29"), READ, policy)
    assert isinstance(decision, Principal)
    assert "publish:own" not in decision.scopes


def test_a_service_network_opens_nothing_by_itself() -> None:
    policy = Policy.of(SecurityConfig(service_networks=["192.168.10.9/32"]))
    assert refused(head(peer="192.168.10.9"), READ, policy).code == "not_trusted"


def test_a_trusted_network_silences_nothing_without_a_key() -> None:
    silence = Route("POST", "/api/v2/silences", nothing, "silence", "", body=("application/json",))
    found = refused(head(peer="192.168.10.9", method="POST"), silence)
    text = "POST /api/v2/silences takes the scope 'silence', which only this host has without a key"
    assert (found.status, found.message) == (403, text)


def test_everybody_else_is_told_how_to_get_in() -> None:
    assert refused(head(peer="10.1.2.3")) == Refusal(
        401,
        "not_trusted",
        "10.1.2.3 is neither this host nor in a trusted network",
        "use the service from its own host, add your network to security.trusted_networks, or send an API key",
    )


def test_an_own_address_is_told_the_one_that_counts() -> None:
    own = replace(head(peer="192.0.2.29"), local="192.0.2.29")
    assert refused(own) == Refusal(
        401,
        "not_trusted",
        "192.0.2.29 is this service's own address, and in no trusted network",
        "on this host use 127.0.0.1 or localhost, add 192.0.2.29 or its network to security.trusted_networks,"
        " or send an API key",
    )


def test_an_open_route_answers_everybody_without_giving_rights() -> None:
    decision = decide(head(peer="10.1.2.3", Authorization="Basic eDp5"), LIVE)
    assert isinstance(decision, Principal)
    assert (decision.network, decision.scopes) == ("other", frozenset())


@pytest.mark.parametrize(
    ("host", "status", "code"),
    [
        ("127.0.0.1:9100", 0, ""),
        ("127.0.0.1", 0, ""),
        ("[::1]:9100", 0, ""),
        ("localhost:1", 0, ""),
        ("LOCALHOST", 0, ""),
        ("hx-metrics-server:9100", 0, ""),
        ("evil", 421, "foreign_host"),
        ("evil.example.org:9100", 421, "foreign_host"),
        ("localhost.", 421, "foreign_host"),
        ("127.1", 421, "foreign_host"),
        ("a b", 400, "bad_host"),
        ("host:99999", 400, "bad_host"),
        ("", 400, "bad_host"),
        (None, 400, "bad_host"),
    ],
)
@pytest.mark.parametrize("route", [READ, LIVE])
def test_host_must_be_an_address_or_one_of_our_names(host: str | None, status: int, code: str, route: Route) -> None:
    decision = decide(head(host=host), route)
    if status:
        assert isinstance(decision, Refusal)
        assert (decision.status, decision.code) == (status, code)
    else:
        assert isinstance(decision, Principal)


def test_a_foreign_host_is_named_with_the_way_out() -> None:
    refusal = refused(head(host="evil.example.org:9100"))
    assert refusal.message == "this service does not answer to the name 'evil.example.org'"
    assert refusal.hint == "use its IP address or localhost, or add 'evil.example.org' to security.allowed_hosts"


def test_two_hosts_are_refused() -> None:
    refusal = refused(head(more=[("Host", "127.0.0.1")]))
    assert (refusal.status, refusal.message) == (400, "the request has 2 Host headers")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://127.0.0.1:9100/events", 0),
        ("HTTP://127.0.0.1:9100/events?after=1", 0),
        ("http://evil/events", 400),
        ("HTTPS://evil/events", 400),
        ("ws://evil/events", 400),
        ("ftp://evil/events", 400),
        ("://evil/events", 400),
        ("ws://127.0.0.1:9100/events", 0),
        ("http://evil@127.0.0.1:9100/events", 400),
        ("http://127.0.0.1:9100#@evil/", 0),
        ("/events?next=http://evil/", 0),
        ("http:///events", 400),
    ],
)
def test_an_absolute_target_names_the_same_host(target: str, status: int) -> None:
    decision = decide(head(target=target))
    assert (decision.status if isinstance(decision, Refusal) else 0) == status


def test_http_1_0_without_host_reaches_only_open_routes_and_only_from_this_host() -> None:
    assert isinstance(decide(head(version=(1, 0), host=None), LIVE), Principal)
    assert refused(head(version=(1, 0), host=None)).code == "came_through_proxy"
    assert refused(head(version=(1, 0), host=None, peer="192.168.10.9"), LIVE).code == "bad_host"


@pytest.mark.parametrize(
    ("origin", "passes"),
    [
        ("http://127.0.0.1:9100", True),
        ("https://portal.example.org", True),
        ("https://portal.example.org:443", True),
        ("http://127.0.0.1:8000", False),
        ("http://localhost:9100", False),
        ("http://portal.example.org", False),
        ("null", False),
        ("", False),
        ("nonsense", False),
    ],
)
@pytest.mark.parametrize("route", [READ, REFRESH, LIVE])
def test_an_origin_is_ours_or_allowed(origin: str, passes: bool, route: Route) -> None:
    decision = decide(head(method=route.method, Origin=origin), route)
    assert isinstance(decision, Principal) is passes
    if isinstance(decision, Refusal):
        assert (decision.status, decision.code) == (403, "foreign_origin")


def test_a_foreign_origin_is_named_with_the_way_out() -> None:
    refusal = refused(head(Origin="http://evil.example.org"))
    assert refusal.message == "a page of 'http://evil.example.org' may not use this service"
    assert refusal.hint.endswith("or add 'http://evil.example.org' to security.allowed_origins")
    assert "allowed_origins" not in refused(head(Origin="null")).hint


def test_two_origins_are_none_of_ours() -> None:
    same = "http://127.0.0.1:9100"
    assert refused(head(more=[("Origin", same), ("Origin", same)])).code == "foreign_origin"


@pytest.mark.parametrize(
    "media", ["application/json", "Application/JSON; charset=utf-8", "application/x-ndjson", "application/json;"]
)
def test_the_content_types_of_the_route_are_taken(media: str) -> None:
    assert isinstance(decide(post(media), PUBLISH), Principal)


def test_another_content_type_is_answered_with_the_line_to_use() -> None:
    assert refused(post("text/plain"), PUBLISH) == Refusal(
        415,
        "content_type",
        "content type 'text/plain' is not taken here; taken: application/json, application/cloudevents+json, "
        "application/cloudevents-batch+json, application/x-ndjson",
        "curl -X POST http://127.0.0.1:9100/events -H 'Content-Type: application/json' --data-binary @FILE",
    )


def test_the_line_to_use_is_quoted_for_the_shell() -> None:
    hint = refused(post("text/plain", target="/events?a='$(id)"), PUBLISH).hint
    assert hint.startswith("""curl -X POST 'http://127.0.0.1:9100/events?a='"'"'$(id)' -H""")


def test_a_body_without_content_type_is_refused() -> None:
    assert refused(post(None), PUBLISH).message.startswith("the body has no content type; taken: application/json")


def test_any_content_type_is_taken_in_binary_mode_only() -> None:
    assert isinstance(decide(post("image/png", ce_specversion="1.0"), PUBLISH), Principal)
    assert refused(post("image/png"), PUBLISH).status == 415


def test_a_route_without_body_takes_none() -> None:
    assert refused(post(), REFRESH).code == "no_body_taken"
    assert refused(post(), REFRESH).hint == "send it without; what it takes goes into the query: ?name=value"
    assert refused(head(method="POST", Transfer_Encoding="chunked"), REFRESH).code == "no_body_taken"
    assert isinstance(decide(head(method="POST", Content_Length="0"), REFRESH), Principal)


def test_the_body_of_a_get_is_nobodys_concern() -> None:
    assert isinstance(decide(head(Content_Length="2")), Principal)


def test_an_upgrade_with_a_body_is_refused() -> None:
    refusal = refused(head(Upgrade="websocket", Content_Length="2"))
    assert (refusal.status, refusal.code) == (400, "upgrade_with_body")


@pytest.mark.parametrize(("encoding", "passes"), [("gzip", True), ("Deflate", True), ("identity", True), ("br", False)])
def test_content_encodings(encoding: str, passes: bool) -> None:
    assert isinstance(decide(post(Content_Encoding=encoding), PUBLISH), Principal) is passes


@pytest.mark.parametrize(
    "headers", [[("Content-Encoding", "gzip, gzip")], [("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")]]
)
def test_one_layer_of_compression_is_taken(headers: list[tuple[str, str]]) -> None:
    refusal = refused(post(more=headers), PUBLISH)
    assert (refusal.status, refusal.message) == (415, "content encoding 'gzip, gzip' is not taken")
    assert refusal.headers == {"Accept-Encoding": "gzip, deflate"}


@pytest.mark.parametrize(
    "name", ["X-Forwarded-For", "forwarded", "X-REAL-IP", "Via", "X-Forwarded-Proto", "x-forwarded-host"]
)
@pytest.mark.parametrize("peer", ["127.0.0.1", "192.168.10.9"])
def test_what_came_through_a_proxy_is_never_anonymous(name: str, peer: str) -> None:
    refusal = refused(head(peer=peer, more=[(name, "10.0.0.1")]))
    assert (refusal.status, refusal.code) == (401, "came_through_proxy")


def test_the_trace_of_a_proxy_is_named() -> None:
    assert refused(head(version=(1, 0))).message == (
        "the request from 127.0.0.1 came through a proxy (HTTP/1.0), so it does not count as coming from 127.0.0.1"
    )
    assert "(the header Via)" in refused(head(Via="x")).message


def test_anonymous_none_lets_nobody_in() -> None:
    policy = Policy.of(SecurityConfig(anonymous="none", trusted_networks=["192.168.10.0/24"]))
    for peer in ("127.0.0.1", "192.168.10.9"):
        assert refused(head(peer=peer), policy=policy).code == "anonymous_off"
    assert isinstance(decide(head(), LIVE, policy), Principal)


def test_a_credential_that_nobody_knows_is_not_downgraded() -> None:
    refusal = refused(head(Authorization="Bearer abc"))
    assert (refusal.status, refusal.code) == (401, "bad_credentials")
    assert "abc" not in refusal.message + refusal.hint


KEY, OLD_KEY = "hxk_ci_abcdef", "hxk_old_abcdef"
KEYED = replace(
    POLICY,
    keys=Keyring(
        [
            ApiKey("ci", digest_of(KEY), frozenset({"read"})),
            ApiKey("old", digest_of(OLD_KEY), frozenset({"read"}), expires=100.0),
        ]
    ),
)


@pytest.mark.parametrize(
    "headers",
    [
        {"X_API_Key": KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"apikey {KEY}"},
        {"Authorization": f"BEARER  {KEY} "},
    ],
)
@pytest.mark.parametrize(
    ("peer", "network"), [("127.0.0.1", "loopback"), ("192.168.10.9", "trusted"), ("10.1.2.3", "other")]
)
def test_a_key_lets_in_from_everywhere_with_its_own_scopes(headers: dict[str, str], peer: str, network: str) -> None:
    decision = decide(head(peer=peer, **headers), policy=KEYED)
    assert decision == Principal("service", network, peer, frozenset({"read"}), "ci")  # type: ignore[arg-type]


def test_a_key_lets_in_through_a_proxy_and_when_nobody_else_may() -> None:
    assert isinstance(decide(head(peer="10.1.2.3", X_API_Key=KEY, Via="1.1 proxy"), policy=KEYED), Principal)
    closed = replace(KEYED, anonymous="none")
    assert isinstance(decide(head(X_API_Key=KEY), policy=closed), Principal)
    assert refused(head(), policy=closed).code == "anonymous_off"


def test_a_key_does_not_widen_what_loopback_may_but_narrows_it() -> None:
    refusal = refused(post(X_API_Key=KEY), PUBLISH, KEYED)
    assert (refusal.status, refusal.code) == (403, "scope")
    assert refusal.message == "POST /events takes the scope 'publish', which the key 'ci' does not have"


def test_a_key_does_not_open_foreign_origins_and_hosts() -> None:
    assert refused(head(X_API_Key=KEY, Origin="http://evil.example.org"), policy=KEYED).code == "foreign_origin"
    assert refused(head(X_API_Key=KEY, host="evil"), policy=KEYED).code == "foreign_host"


@pytest.mark.parametrize("peer", ["127.0.0.1", "192.168.10.9", "10.1.2.3"])
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([("X-API-Key", "hxk_ci_wrong")], "carries an unknown API key"),
        ([("X-API-Key", "hxk_who_abcdef")], "carries an unknown API key"),
        ([("X-API-Key", "")], "carries an unknown API key"),
        ([("X-API-Key", "\udcff")], "carries an unknown API key"),
        ([("Authorization", "Bearer")], "carries an unknown API key"),
        ([("Authorization", "Basic eDp5")], "carries an Authorization header that is no API key"),
        ([("Authorization", KEY)], "carries an Authorization header that is no API key"),
        ([("X-API-Key", OLD_KEY)], "carries an API key that has expired"),
        ([("X-API-Key", KEY), ("X-API-Key", KEY)], "carries 2 credentials"),
        ([("X-API-Key", KEY), ("Authorization", f"Bearer {KEY}")], "carries 2 credentials"),
    ],
)
def test_a_bad_credential_is_never_downgraded(peer: str, more: list[tuple[str, str]], message: str) -> None:
    request = replace(head(peer=peer, more=more), now=100.0)
    refusal = refused(request, policy=KEYED)
    assert (refusal.status, refusal.code, refusal.message) == (401, "bad_credentials", f"the request {message}")
    assert refusal.headers == {"WWW-Authenticate": "Bearer"}
    assert not [text for text in ("hxk_", "abcdef", "eDp5") if text in refusal.message + refusal.hint]


def test_a_key_holds_until_it_expires() -> None:
    assert isinstance(decide(replace(head(X_API_Key=OLD_KEY), now=99.9), policy=KEYED), Principal)


def test_a_service_without_keys_says_so() -> None:
    refusal = refused(head(X_API_Key=KEY))
    assert refusal.message == "the request carries an API key, but this service knows none"
    assert "security.api_keys_file" in refusal.hint


def test_a_scope_that_nobody_has_is_refused() -> None:
    route = Route("POST", "/x", nothing, "admin", "")  # type: ignore[arg-type]
    assert refused(head(method="POST"), route).status == 403


def test_a_local_socket_is_no_loopback() -> None:
    assert refused(head(peer="")).message.startswith("a local socket is neither")


def test_the_order_of_the_steps() -> None:
    everything_wrong = {"Origin": "http://evil", "Content_Encoding": "br"}
    wrong = {"peer": "10.0.0.1", **everything_wrong}
    assert refused(post("text/plain", host="evil", **wrong), PUBLISH).code == "foreign_host"
    assert refused(post("text/plain", **wrong), PUBLISH).code == "foreign_origin"
    del wrong["Origin"]
    assert refused(post("text/plain", **wrong), PUBLISH).code == "content_type"
    assert refused(post(**wrong), PUBLISH).code == "content_encoding"
    del wrong["Content_Encoding"]
    assert refused(post(**wrong), PUBLISH).code == "not_trusted"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            SecurityConfig(trusted_networks=["lan"]),
            "security.trusted_networks: 'lan' is no network: write it as CIDR, e.g. 192.168.10.0/24",
        ),
        (
            SecurityConfig(allowed_hosts=["http://a"]),
            "security.allowed_hosts: 'http://a' is no host name: write it without scheme and port",
        ),
        (
            SecurityConfig(allowed_origins=["portal"]),
            "security.allowed_origins: 'portal' is no origin: write e.g. https://portal.example.org:8443",
        ),
    ],
)
def test_a_faulty_policy_is_refused_with_its_key(config: SecurityConfig, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.of(config)
    assert str(caught.value) == message
