"""The answers of an analytics engine, checked and put into the form of our events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hxp_enterprise_llm.event.sources.pollers.model import Item, PollError, Reading
from hxp_enterprise_llm.security.fetch import Fetch, json_object

COUNTS = ("active_nodes", "active_edges")
FIGURES = ("query_rate", "cache_hit_rate", "memory_usage", "cpu_usage", "response_time")
_MAX_FURTHER, _MAX_NAME, _MAX_TEXT = 64, 64, 200
_TAKEN = ("stale", "stale_since")
MAX_ANSWER_BYTES = 1024 * 1024


class EngineView:
    """One path of the engine, and the type of event that its answer becomes."""

    def __init__(self, fetch: Fetch, path: str, type: str, places: Mapping[str, str]) -> None:
        """`places`: our name of a figure → where it is in the engine's answer (`graph.nodes.active`)."""
        self._fetch, self._path, self._type = fetch, path, type
        self._places = {name: place.split(".") for name, place in places.items()}

    async def ask(self) -> Reading:
        """Ask once. Raises PollError."""
        answer = json_object(await self._fetch.get(self._path))
        return Reading([Item(self._type, figures(answer, self._places))])


def stale(items: Sequence[Item], since: str) -> Sequence[Item]:
    """The last good answer, marked."""
    return [item._replace(data={**item.data, "stale": True, "stale_since": since}) for item in items]


def figures(answer: Mapping[str, Any], places: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The data of an event: the known figures, checked, and some further scalars as they are. Raises PollError."""
    given = {**answer, **{name: found for name, place in places.items() if (found := _at(answer, place)) is not None}}
    data: dict[str, Any] = {}
    for name in (*COUNTS, *FIGURES):
        value = given.get(name)
        if value is not None:
            data[name] = _checked(name, value, int if name in COUNTS else float)
    for name, value in given.items():
        if name not in data and name not in _TAKEN and len(data) < _MAX_FURTHER and _is_plain(name, value):
            data[name] = value
    if not any(isinstance(value, int | float) and not isinstance(value, bool) for value in data.values()):
        raise PollError("its answer has no figures; name their places in sources.analytics_engine.fields")
    return data


def _at(answer: Mapping[str, Any], place: Sequence[str]) -> Any:
    found: Any = answer
    for step in place:
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _checked(name: str, value: Any, kind: type[int] | type[float]) -> int | float:
    right = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    if kind is int and isinstance(value, float) and value.is_integer():
        right, value = True, int(value)
    if not right or value < 0 or value >= 2**53:
        words = "a whole number" if kind is int else "a number"
        raise PollError(f"its answer says {name}: {str(value)[:80]!r}, and that must be {words} from 0 on")
    return float(value) if kind is float else int(value)


def _is_plain(name: str, value: Any) -> bool:
    if not 0 < len(name) <= _MAX_NAME:
        return False
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < 2**53
    return isinstance(value, bool | float) or (isinstance(value, str) and len(value) <= _MAX_TEXT)
