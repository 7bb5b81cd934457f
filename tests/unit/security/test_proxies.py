"""Whose word on the client is taken, and what of it."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.security.admit import RequestHead, admit
from hxp_enterprise_llm.security.model import Principal, Refusal
from hxp_enterprise_llm.security.policy import Policy, PolicyError
from hxp_enterprise_llm.security.proxies import Proxies
from tests.unit.security.serving import serving
from tests.unit.security.test_admit import READ, head
from tests.unit.security.test_edge import ROUTES

POLICY = Policy.of(
    SecurityConfig(trusted_networks=["192.168.10.0/24"], trusted_proxies=["127.0.0.1/32", "10.0.0.0/30", "fd00::/64"])
)


def decide(peer: str, *forwarded: str, version: tuple[int, int] = (1, 1), **headers: str) -> Principal | Refusal:
    more = [("X-Forwarded-For", value) for value in forwarded]
    return admit(head(peer=peer, version=version, more=more, **headers), READ, POLICY)


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (["192.168.10.7"], "192.168.10.7"),
        (["127.0.0.1, 10.1.2.3"], "10.1.2.3"),
        (["192.168.10.7, 10.1.2.3"], "10.1.2.3"),
        (["10.1.2.3, 192.168.10.7"], "192.168.10.7"),
        (["192.168.10.7, 10.0.0.2, 10.0.0.1"], "192.168.10.7"),
        (["192.168.10.7", "10.0.0.2"], "192.168.10.7"),
        (["rubbish, <script>,, 192.168.10.7 ,\t10.0.0.2"], "192.168.10.7"),
        (["::ffff:192.168.10.7"], "192.168.10.7"),
        (["::ffff:10.1.2.3, ::ffff:10.0.0.2"], "10.1.2.3"),
        (["192.168.10.7:50123"], "192.168.10.7"),
        (["[2001:db8::1]:443"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["[2001:db8::1]"], "2001:db8::1"),
        (["10.0.0.2, 10.0.0.1"], "10.0.0.2"),
        ([""], None),
        (["192.168.10.7, "], None),
        (["192.168.10.7, unknown"], None),
        (["192.168.10.7, 10.1.2.3.4"], None),
        (["192.168.10.7, 010.1.2.3"], None),
        (["192.168.10.7, fe80::1%eth0"], None),
        (["192.168.10.7, [::1"], None),
        (["192.168.10.7, 2130706433"], None),
        (["192.168.10.7, rubbish, 10.0.0.2"], None),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy(forwarded: list[str], client: str | None) -> None:
    assert Proxies(["10.0.0.0/30"]).client(forwarded) == client


def test_a_client_behind_a_trusted_proxy_has_the_rights_of_its_own_network() -> None:
    caller = decide("127.0.0.1", "203.0.113.9, 192.168.10.7")
    assert isinstance(caller, Principal)
    assert (caller.network, caller.address) == ("trusted", "192.168.10.7")
    assert isinstance(decide("::ffff:10.0.0.1", "192.168.10.7"), Principal)
    assert isinstance(decide("fd00::7", "192.168.10.7"), Principal)


def test_a_trusted_proxy_may_speak_http_1_0_and_add_further_headers() -> None:
    assert isinstance(decide("127.0.0.1", "192.168.10.7", version=(1, 0), X_Real_IP="1.2.3.4", Via="1.1 x"), Principal)


@pytest.mark.parametrize("client", ["10.1.2.3", "127.0.0.1, 10.1.2.3", "2001:db8::1"])
def test_a_stranger_behind_a_trusted_proxy_stays_a_stranger(client: str) -> None:
    refusal = decide("127.0.0.1", client)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (401, "not_trusted")


def test_nobody_becomes_loopback_by_a_header() -> None:
    for client in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        refusal = decide("10.0.0.1", client)
        assert isinstance(refusal, Refusal)
        assert refusal.code == "not_trusted"


@pytest.mark.parametrize("peer", ["192.168.10.9", "10.0.0.4", "::1"])
def test_who_is_no_trusted_proxy_is_not_believed(peer: str) -> None:
    refusal = decide(peer, "192.168.10.7")
    assert isinstance(refusal, Refusal)
    assert refusal.code in ("came_through_proxy", "not_trusted")


def test_a_list_that_cannot_be_read_is_refused_and_not_guessed() -> None:
    refusal = decide("127.0.0.1", "192.168.10.7, unknown")
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (400, "bad_forwarding")


def test_a_trusted_proxy_that_names_nobody_speaks_for_nobody() -> None:
    policy = Policy.of(SecurityConfig(trusted_networks=["10.0.0.0/8"], trusted_proxies=["10.0.0.1/32"]))
    headers = CIMultiDict({"Host": "10.0.0.9"})
    for more in ({}, {"Forwarded": "for=10.0.0.8"}, {"X-Real-IP": "10.0.0.8"}):
        sent = CIMultiDict({**headers, **more})
        refusal = admit(RequestHead("10.0.0.1", (1, 1), "GET", "/events", sent, 9100), READ, policy)
        assert isinstance(refusal, Refusal)
        assert (refusal.status, refusal.code) == (401, "came_through_proxy")


def test_programs_on_the_host_of_the_proxy_still_come_in() -> None:
    caller = decide("127.0.0.1")
    assert isinstance(caller, Principal)
    assert caller.network == "loopback"


@pytest.mark.parametrize("text", ["0.0.0.0/0", "10.0.0.1/24", "proxy.example.org"])
def test_a_faulty_network_of_proxies_is_named(text: str) -> None:
    with pytest.raises(PolicyError, match=r"security\.trusted_proxies") as caught:
        Policy.of(SecurityConfig(trusted_proxies=[text]))
    assert text in str(caught.value)


async def test_a_request_through_a_trusted_proxy_is_answered_as_its_client() -> None:
    security = SecurityConfig(trusted_networks=["192.168.10.0/24"], trusted_proxies=["127.0.0.1/32"])
    async with serving(ROUTES, security) as served:
        answer = await served.ask("GET", "/hello", X_Forwarded_For="10.1.2.3, 192.168.10.7")
        assert (answer.status, answer.json) == (200, {"network": "trusted"})
        answer = await served.ask("GET", "/hello", X_Forwarded_For="192.168.10.7, 10.1.2.3")
        assert (answer.status, answer.error["code"]) == (401, "not_trusted")
        answer = await served.ask("GET", "/hello", X_Forwarded_For="192.168.10.7, x")
        assert (answer.status, answer.error["code"]) == (400, "bad_forwarding")
