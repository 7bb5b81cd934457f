from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.security.hosts import Authority, WebOrigin, parse_authority, parse_origin


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost", ("localhost", None)),
        ("LocalHost:9100", ("localhost", 9100)),
        ("192.168.10.37:9102", ("192.168.10.37", 9102)),
        ("[::1]:9100", ("::1", 9100)),
        ("[FE80::1%25eth0]", ("fe80::1%25eth0", None)),
        ("host:", ("host", None)),
        ("localhost.", ("localhost.", None)),
        ("", None),
        ("a b", None),
        ("host:99999", None),
        ("host:port", None),
        ("[host]", None),
        ("[::1", None),
        ("::1", None),
        ("user@host", None),
        ("host/path", None),
    ],
)
def test_an_authority_is_parsed_strictly(text: str, expected: tuple[str, int | None] | None) -> None:
    assert parse_authority(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://127.0.0.1:9100", WebOrigin("http", "127.0.0.1", 9100)),
        ("HTTPS://Portal.example.org", WebOrigin("https", "portal.example.org", 443)),
        ("http://[::1]:80", WebOrigin("http", "::1", 80)),
        ("null", None),
        ("file://", None),
        ("http://a/b", None),
        ("http://u@a", None),
        ("http://a\\b", None),
        ("chrome-extension://abc", None),
    ],
)
def test_an_origin_is_parsed_strictly(text: str, expected: WebOrigin | None) -> None:
    assert parse_origin(text) == expected


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://127.0.0.1:9100", "127.0.0.1:9100", True),
        ("http://127.0.0.1:8000", "127.0.0.1:9100", False),
        ("http://localhost:9100", "127.0.0.1:9100", False),
        ("http://h", "h", True),
        ("http://h", "h:80", True),
        ("https://h", "h", True),
        ("https://h", "h:80", False),
    ],
)
def test_an_origin_is_ours_when_host_and_port_are(origin: str, host: str, same: bool) -> None:
    parsed, authority = parse_origin(origin), parse_authority(host)
    assert parsed is not None
    assert authority is not None
    assert parsed.is_of(authority) is same


def test_an_origin_is_written_as_a_browser_writes_it() -> None:
    assert str(WebOrigin("http", "::1", 80)) == "http://[::1]"
    assert str(WebOrigin("https", "a.b", 8443)) == "https://a.b:8443"


def test_only_ip_literals_are_addresses() -> None:
    assert Authority("127.0.0.1", None).is_address
    assert Authority("::1", 1).is_address
    assert not Authority("127.1", None).is_address
    assert not Authority("0x7f000001", None).is_address
    assert not Authority("localhost", None).is_address


@given(st.text(max_size=30))
def test_what_is_parsed_is_written_and_parsed_alike(text: str) -> None:
    origin = parse_origin(f"http://{text}")
    if origin is not None:
        assert parse_origin(str(origin)) == origin
