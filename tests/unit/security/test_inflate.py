from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.security.inflate import MAX_MEMBERS, STEP_BYTES, Bomb, Corrupt, Inflater


def inflate(encoding: str, data: bytes, step: int = 1000) -> bytes:
    inflater = Inflater(encoding)
    made = b"".join(piece for at in range(0, len(data), step) for piece in inflater.feed(data[at : at + step]))
    inflater.finish()
    return made


def bare_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


@given(st.binary(max_size=5000), st.integers(1, 200))
def test_what_was_compressed_comes_back_however_it_is_cut(data: bytes, step: int) -> None:
    assert inflate("gzip", gzip.compress(data), step) == data
    assert inflate("deflate", zlib.compress(data), step) == data
    assert inflate("deflate", bare_deflate(data), step) == data


def test_several_gzip_members_are_one_body() -> None:
    assert inflate("gzip", gzip.compress(b"one,") + gzip.compress(b"") + gzip.compress(b"two")) == b"one,two"


def test_pieces_are_small() -> None:
    pieces = list(Inflater("gzip").feed(gzip.compress(b"abcd" * 100_000, 1)))
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= STEP_BYTES


def test_a_bomb_is_noticed_early() -> None:
    inflater, bomb = Inflater("gzip"), gzip.compress(bytes(300_000_000))
    with pytest.raises(Bomb, match=r"compressed bytes became more than [0-9,]+, which is over 200 times as much"):
        list(inflater.feed(bomb))
    assert inflater.made < 16 * 1024 * 1024


def test_a_small_body_may_compress_well() -> None:
    assert len(inflate("gzip", gzip.compress(bytes(1_000_000)), 100)) == 1_000_000


@pytest.mark.parametrize("cut", [1, 10, 15, -1])
def test_a_cut_off_body_is_told(cut: int) -> None:
    data = gzip.compress(b"x" * 10)
    part = data[:cut]
    with pytest.raises(Corrupt) as caught:
        inflate("gzip", part)
    assert str(caught.value) == f"the body is no valid gzip: it is cut off after {len(part)} bytes"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_is_no_compressed_body_is_told(encoding: str) -> None:
    with pytest.raises(Corrupt, match=f"the body is no valid {encoding}: "):
        inflate(encoding, b"\xff" * 30)


def test_something_after_the_end_is_refused() -> None:
    with pytest.raises(Corrupt, match="something follows its end"):
        inflate("deflate", zlib.compress(b"x") + b"y")
    with pytest.raises(Corrupt, match="too many members"):
        inflate("gzip", gzip.compress(b"") * (MAX_MEMBERS + 1))
