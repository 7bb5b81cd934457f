"""Whatever a source answers, nothing but PollError comes out, and events that the schemas take."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.sources.pollers.engine import COUNTS, FIGURES, figures
from hxp_enterprise_llm.event.sources.pollers.model import PollError, Reading
from hxp_enterprise_llm.event.sources.pollers.samples import Page, _queried, _reading
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.security.fetch import Fetch, json_object

CATALOGUE = SchemaCatalogue.load()
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
NAMES = st.sampled_from([*COUNTS, *FIGURES, "stale", "stale_since", "timestamp", "x", "metric", "status", "data"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
PIECES = st.sampled_from(
    [
        *("# TYPE a counter\n", "# HELP a b\n", "a", "_total", "{", "}", 'x="y"', ",", "=", '"', "\\", " 1", "\n"),
        *(" NaN", " 1e999", " -Inf 99999999999999999999", "#", " 1 2 3", "le", "\u2028", "\x00", "{}", " 0x1", " 1_0"),
    ]
)


def read(page: str) -> Reading:
    fetch: Any = Fetch.__new__(Fetch)
    return Page(fetch, "/metrics", [], 50)._read(page.encode("utf-8", "surrogatepass"))


def take(type: str, data: dict[str, Any]) -> None:
    assert CATALOGUE.check(type, data) == ()
    json.dumps(data, allow_nan=False)


def take_answer(body: bytes) -> None:
    words = ""
    try:
        take("engine.system", figures(json_object(body), {"active_nodes": ["data", "x"]}))
    except PollError as error:
        words = str(error)
    assert len(words) < 1000


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_an_engines_answer(answer: dict[str, Any]) -> None:
    take_answer(json.dumps(answer).encode())


def test_numbers_of_any_length() -> None:
    for text in ("9" * 400, "9" * 5000, "-" + "9" * 5000, "1e400", "0." + "3" * 5000):
        for name in ("active_nodes", "query_rate", "other"):
            take_answer(f'{{"{name}": {text}}}'.encode())


@settings(deadline=None)
@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_an_answer_of_prometheus(body: bytes) -> None:
    try:
        samples = _queried("q", body)
    except PollError:
        return
    for item in _reading("prometheus", samples, 100).items:
        take(item.type, item.data)


@settings(deadline=None)
@given(VALUES, st.sampled_from(["vector", "scalar", "matrix", "string"]))
def test_a_result_of_prometheus(result: Any, kind: str) -> None:
    body = json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()
    try:
        samples = _queried("q", body)
    except PollError:
        return
    for item in _reading("prometheus", samples, 100).items:
        take(item.type, item.data)


@settings(deadline=None, max_examples=400)
@given(st.text(max_size=60) | st.lists(PIECES, max_size=20).map("".join))
def test_a_page(page: str) -> None:
    try:
        reading = read(page)
    except PollError:
        return
    for item in reading.items:
        take(item.type, item.data)
