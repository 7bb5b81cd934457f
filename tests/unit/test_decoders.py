"""A sample of the decoder fuzzer, and proof that it would find what it looks for."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.campaign import SECONDS_EACH, Campaign, Target
from tests.fuzz.targets import campaigns, targets

INPUTS = 8_000
"""Over all decoders together; `make torture` tries a million."""


async def test_every_decoder_ends_in_a_value_or_in_what_it_declares():
    said: list[str] = []
    assert await campaigns(INPUTS, 1, said.append) == 0, "\n".join(said)
    assert len(said) == 1 + len(targets())


async def test_every_decoder_takes_what_is_well_formed():
    """A corpus that is refused from the start would try nothing out."""
    for target in targets():
        outcome = await Campaign(target, 1).run(0)
        assert outcome.findings == []
        assert any(end.startswith("value") for end in outcome.ends), target.name


async def find(every: list[Target], *inputs: bytes) -> list[str]:
    """What these inputs find in any decoder."""
    found = []
    for target in every:
        outcome = await Campaign(Target(target.name, target.run, target.declared, inputs), 1).run(0)
        found += outcome.findings
    return found


async def test_depth_and_broken_text_are_refused_by_every_decoder():
    deep = (b"[" * 5000, b"{" * 5000, b'{"a":' * 5000, b"(" * 5000, b"!" * 5000, b"-" * 5000)
    assert await find(targets(), b"", b"\x00", b'{"\xff":1}', b"\xff" * 300, *deep) == []


FOUND = {
    "binary headers": b"ce-specversion: 1.0\nce-type: a.b\nContent-Type: text/plain; x=\xe9\n\nbody",
    "tags filter": b'{"key":"\xee","cmp":"ex"}',
    "stored event": b'{"data":{"data":"\xff"}}',
    "lines of a log": b'# ep 1 3 0\n1 {"x":' + b"[" * 5000 + b"\n",
    "answers of a log": b'{"x":' + b"[" * 5000,
    "notification": b"[" * 5000,
    "refresh": b'{"\xff":1}',
    "file of keys": b"[" * 3000,
    "schema file": b'{"minimum":' + b"1" * 5000 + b"}",
}
"""Inputs that once ended in an exception which nobody had declared, by decoder."""


async def test_what_was_found_stays_mended():
    by_name = {target.name: target for target in targets()}
    for name, data in FOUND.items():
        assert await find([by_name[name]], data) == [], name


def test_no_bytes_at_all_surprise_a_decoder():
    """Whatever hypothesis thinks of."""

    async def make() -> list[Target]:
        return targets()

    with asyncio.Runner() as runner:
        every = runner.run(make())

        @settings(max_examples=30, deadline=None)
        @given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
        def check(data: bytes) -> None:
            assert runner.run(find(every, data)) == []

        check()


def campaign(run, count: int = 200) -> list[str]:
    target = Target("planted", run, (ValueError,), (b'{"a": 1}', b"abc"), (b"!",))
    return asyncio.run(Campaign(target, 1).run(count)).findings


def test_an_exception_that_nobody_declared_is_found():
    def run(data: bytes) -> None:
        if b"!" in data:
            raise KeyError(data)

    assert campaign(lambda data: int(data)) == []
    found = campaign(run)
    assert 0 < len(found) <= 10
    assert "planted: KeyError" in found[0]


def test_an_input_that_takes_too_long_is_found():
    def run(data: bytes) -> None:
        while data == b"abc":
            pass

    assert campaign(run, 0) == [f"planted: took more than {SECONDS_EACH:g} s of CPU time\n    b'abc'"]


def test_an_input_that_takes_too_much_memory_is_found():
    found = campaign(lambda data: bytearray(70 << 20 if data == b"abc" else 1), 0)
    assert len(found) == 1
    assert "bytes of memory" in found[0]


def test_a_leak_is_found():
    kept: list[object] = []
    found = campaign(lambda data: kept.append([{} for _ in range(200)]), 2000)
    assert len(found) == 1
    assert "blocks more in use at the end" in found[0]


@pytest.mark.parametrize("seed", [1, 2])
def test_equal_seeds_try_equal_inputs(seed):
    tried: list[list[bytes]] = []
    for _ in range(2):
        seen: list[bytes] = []
        asyncio.run(Campaign(Target("x", seen.append, (), (b'{"a":[1,2]}', b"abc")), seed).run(100))
        tried.append(seen)
    assert tried[0] == tried[1]
