"""What our own processes append by the Unix socket: stored byte for byte, and refused as a whole or not at all."""

from __future__ import annotations

import msgspec
import pytest

from hxp_enterprise_llm.event.model import Event, encode
from hxp_enterprise_llm.event.sources.inside import encoded
from hxp_enterprise_llm.security.problems import Problem


def test_events_stay_as_they_were_encoded():
    """Also with spaces, unknown members and text beyond ASCII."""
    made = [encode(Event(id=str(number), source="/p", type="a.b", data={"n": number})) for number in range(3)]
    odd = '{"specversion":"1.0", "id":"x","source":"/ü","type":"a.c","traceparent":"00-1","data":null}'.encode()
    body = b"[" + b",".join([*(event.raw for event in made), odd]) + b"]"
    found = encoded(body)
    assert found[:3] == made
    assert found[3].raw == odd
    assert found[3][:3] == ("/ü", "x", "a.c")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[", b'[{"id":"1","source":"/p"}]', b"[1]", b'[{"id":1,"source":"","type":"a"}]']
)
def test_what_is_no_array_of_events_is_refused(body):
    with pytest.raises(Problem) as refused:
        encoded(body)
    assert refused.value.status == 400


def test_nothing_is_an_array_of_no_events():
    assert encoded(msgspec.json.encode([])) == []
