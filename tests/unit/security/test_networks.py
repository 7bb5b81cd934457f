from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.security.networks import Networks, parse_address, parse_network

LAN = Networks(["192.168.10.0/24", "fd00::/8", "::ffff:10.0.0.0/104"])


@pytest.mark.parametrize(
    ("peer", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("192.168.10.7", "trusted"),
        ("::ffff:192.168.10.7", "trusted"),
        ("192.168.11.7", "other"),
        ("fd12::1%eth0", "trusted"),
        ("fe80::1%eth0", "other"),
        ("10.4.4.4", "trusted"),
        ("8.8.8.8", "other"),
        ("", "other"),
        ("localhost", "other"),
        ("0x7f000001", "other"),
        ("2130706433", "other"),
        ("127.1", "other"),
        ("/run/hxp.sock", "other"),
    ],
)
def test_a_peer_is_classified_by_its_address(peer: str, kind: str) -> None:
    assert LAN.classify(peer) == kind


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("localnet", "'localnet' is no network: write it as CIDR, e.g. 192.168.10.0/24"),
        ("192.168.10.5/24", "'192.168.10.5/24' has bits beyond its prefix: did you mean 192.168.10.0/24?"),
        ("0.0.0.0/0", "'0.0.0.0/0' trusts every address there is: name the networks that are yours"),
        ("::/0", "'::/0' trusts every address there is: name the networks that are yours"),
        ("::ffff:0:0/96", "'::ffff:0:0/96' trusts every address there is: name the networks that are yours"),
    ],
)
def test_a_faulty_network_is_refused_with_a_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_network(text)
    assert str(caught.value) == message


def test_a_single_address_is_a_network() -> None:
    assert Networks(["10.1.1.1"]).classify("10.1.1.1") == "trusted"
    assert Networks(["10.1.1.1"]).classify("10.1.1.2") == "other"


@given(st.ip_addresses(v=4))
def test_a_mapped_address_counts_as_the_address_itself(address: object) -> None:
    assert LAN.classify(f"::ffff:{address}") == LAN.classify(str(address))


@given(st.text(max_size=40))
def test_any_text_is_either_an_address_or_other(text: str) -> None:
    if parse_address(text) is None:
        assert LAN.classify(text) == "other"
