"""Values with labels, from PromQL and from pages of metrics, as events `poll.metric`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from hxp_enterprise_llm.event.sources.pollers.model import Item, PollError, Reading
from hxp_enterprise_llm.security.fetch import Fetch
from hxp_enterprise_llm.telemetry.text import clean

MAX_ANSWER_BYTES = 4 * 1024 * 1024
_MAX_LABELS, _MAX_TEXT = 30, 200
_SUFFIXES = ("_total", "_bucket", "_sum", "_count")
_PARSER_ERRORS = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, AssertionError)
"""What the parser raises for pages that are none, seen by throwing such at it."""


class Sample(NamedTuple):
    """One value."""

    name: str
    labels: Mapping[str, str]
    value: float


class _Series(msgspec.Struct):
    value: tuple[float, str]
    metric: dict[str, str] = {}


class _Result(msgspec.Struct):
    resultType: str
    result: msgspec.Raw


class _Queried(msgspec.Struct):
    status: str
    data: _Result | None = None
    error: str = ""


class Queries:
    """Instant queries to a Prometheus server, by the name that each is to have."""

    def __init__(self, fetch: Fetch, queries: Mapping[str, str], max_series: int) -> None:
        self._fetch, self._queries, self._max_series = fetch, queries, max_series

    async def ask(self) -> Reading:
        """Ask all. A query that fails does not stop the others. Raises PollError when none is answered."""
        items: list[Item] = []
        problems: list[str] = []
        failed = 0
        for name, query in self._queries.items():
            try:
                body = await self._fetch.get("/api/v1/query", query={"query": query})
                reading = _reading("prometheus", _queried(name, body), self._max_series)
            except PollError as error:
                failed += 1
                problems.append(f"{name}: {error}")
                continue
            items += reading.items
            problems += [f"{name}: {reading.problem}"] if reading.problem else []
        if failed and failed == len(self._queries):
            raise PollError("; ".join(problems[:3]))
        return Reading(items, "; ".join(problems[:3]))


class Page:
    """A page in Prometheus' text form."""

    def __init__(self, fetch: Fetch, path: str, families: Sequence[str], max_series: int) -> None:
        """`families`: names that are taken; none: all."""
        self._fetch, self._path = fetch, path
        self._families, self._max_series = frozenset(families), max_series

    async def ask(self) -> Reading:
        """Look once. Raises PollError."""
        body = await self._fetch.get(self._path, accept="text/plain;version=0.0.4")
        # A page of megabytes takes the parser seconds.
        return await asyncio.to_thread(self._read, body)

    def _read(self, body: bytes) -> Reading:
        try:
            # One more than is taken, so that it is known whether there are more.
            samples = list(islice(self._samples(body.decode("utf-8")), self._max_series + 1))
        except _PARSER_ERRORS as error:
            raise PollError(f"its page is not in Prometheus' text form: {clean(str(error))[:_MAX_TEXT]}") from None
        found = {name for sample in samples for name in _names(sample.name)}
        missing = sorted(self._families - found)
        reading = _reading("scrape", samples, self._max_series)
        if missing and not reading.problem:
            return reading._replace(problem=f"the page does not have {', '.join(missing[:5])}")
        return reading

    def _samples(self, text: str) -> Iterator[Sample]:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if not self._families or self._families & _names(sample.name):
                    yield Sample(sample.name, sample.labels, sample.value)


def _names(sample: str) -> set[str]:
    """The names under which a value may be asked for: its own, and that of its family (`jobs` for `jobs_total`)."""
    return {sample, *(sample.removesuffix(suffix) for suffix in _SUFFIXES)}


def _reading(poller: str, samples: Iterable[Sample], most: int) -> Reading:
    found = list(samples)
    # NaN and the infinities are no JSON.
    items = [_item(poller, sample) for sample in found[:most] if math.isfinite(sample.value)]
    return Reading(items, f"only the first {most} series are taken" if len(found) > most else "")


def _item(poller: str, sample: Sample) -> Item:
    labels = {name[:_MAX_TEXT]: text[:_MAX_TEXT] for name, text in islice(sample.labels.items(), _MAX_LABELS)}
    data: dict[str, Any] = {"metric": sample.name[:_MAX_TEXT], "value": sample.value, "poller": poller}
    if labels:
        data["labels"] = labels
    return Item("poll.metric", data, data["metric"])


def _queried(name: str, body: bytes) -> list[Sample]:
    try:
        answer = msgspec.json.decode(body, type=_Queried)
        if answer.status != "success" or answer.data is None:
            raise PollError(f"the query fails: {clean(answer.error)[:_MAX_TEXT] or answer.status[:_MAX_TEXT]}")
        kind, result = answer.data.resultType, answer.data.result
        if kind == "scalar":
            return [Sample(name, {}, float(msgspec.json.decode(result, type=tuple[float, str])[1]))]
        if kind != "vector":
            raise PollError(
                f"the query answers a {clean(kind)[:_MAX_TEXT]}, and it must be an instant vector or a scalar"
            )
        series = msgspec.json.decode(result, type=list[_Series])
        return [Sample(name, _without_name(each.metric), float(each.value[1])) for each in series]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise PollError(f"its answer is not one of Prometheus: {clean(str(error))[:_MAX_TEXT]}") from None


def _without_name(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in labels.items() if name != "__name__"}
