"""Differences, held against the decoder of the published Python client."""

from __future__ import annotations

from centrifuge.fossil import apply_delta
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.streaming.centrifuge.fossil import delta

pieces = st.lists(st.sampled_from(['"a":"ü"', '"b":"€uro"', '"😀"', "1", "", "x" * 40, '{"n":[1']), max_size=12)
texts = st.one_of(st.text(max_size=80), pieces.map(",".join))


@settings(max_examples=300)
@given(texts, texts)
def test_a_difference_makes_the_new_text_out_of_the_old_and_is_text_itself(old, new):
    difference = delta(old.encode(), new.encode())
    difference.decode()
    assert apply_delta(old.encode(), difference) == new.encode()


def test_a_change_inside_a_character_keeps_the_difference_short():
    old = ('{"same":"' + "я" * 200 + '","word":"привет"}').encode()
    new = old.replace("е".encode(), "ё".encode())
    assert len(delta(old, new)) < 60
    assert apply_delta(old, delta(old, new)) == new


def test_texts_of_nothing():
    for old, new in ((b"", b""), (b"", b"a,b"), (b"a,b", b"")):
        assert apply_delta(old, delta(old, new)) == new
