"""Finds the prices of a model, once for each (provider, model) that events name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.config.platform import PriceConfig
from hxp_enterprise_llm.event.processing.memo import Memo
from hxp_enterprise_llm.event.processing.prices.matching import dashed, matches
from hxp_enterprise_llm.event.processing.prices.rates import (
    NANO,
    ModelPrices,
    Period,
    Tiers,
    make_prices,
    make_rate,
    read_periods,
)

_MOST_NAMES = 4096


class Provenance(msgspec.Struct, frozen=True):
    """Where the snapshot's prices come from."""

    package: str
    version: str
    fetched: str
    url: str
    licence: str
    unit: str
    note: str


class Snapshot(msgspec.Struct, frozen=True):
    """The prices that the package carries."""

    provenance: Provenance
    providers: list[dict[str, Any]]


def shipped() -> Snapshot:
    """Read the snapshot; some milliseconds."""
    path = resources.files("hxp_enterprise_llm.event.processing.prices").joinpath("snapshot.json")
    return msgspec.json.decode(path.read_bytes(), type=Snapshot)


class _Own(NamedTuple):
    model: str
    provider: str
    prices: ModelPrices


class PriceTable:
    """Prices by provider and model. The operator's own go before the snapshot's, the first that fits before the rest.

    `found[provider, model]` are the prices, or None for a model that nobody knows: its cost is not known, not 0.
    """

    def __init__(self, own: Iterable[PriceConfig] = (), snapshot: Snapshot | None = None) -> None:
        self._own = tuple(_Own(each.model.lower(), each.provider.lower(), _own_prices(each)) for each in own)
        self._providers = {each["id"]: each for each in (snapshot.providers if snapshot else ())}
        self.found: Memo[tuple[str | None, str], ModelPrices | None] = Memo(self._find, _MOST_NAMES)

    def _find(self, key: tuple[str | None, str]) -> ModelPrices | None:
        provider, model = (key[0] or "").strip().lower(), key[1].strip().lower()
        for each in self._own:
            if each.provider in ("", provider) and _fits(each.model, model):
                return each.prices
        for provider_name, name in _readings(provider, model):
            prices = self._look(provider_name, name)
            if prices is not None:
                # A model that is listed without prices is known to cost nobody knows what.
                return prices if prices.periods else None
        return None

    def _look(self, provider: str, model: str) -> ModelPrices | None:
        known = self._named(provider) if provider else self._of_model(model)
        if known is None:
            return None
        found = self._in(known, model)
        return self._in(known, dashed(model)) if found is None else found

    def _named(self, provider: str) -> Mapping[str, Any] | None:
        if provider in self._providers:
            return self._providers[provider]
        return next((p for p in self._providers.values() if _clause(p, "provider_match", provider)), None)

    def _of_model(self, model: str) -> Mapping[str, Any] | None:
        return next((p for p in self._providers.values() if _clause(p, "model_match", model)), None)

    def _in(self, provider: Mapping[str, Any], model: str) -> ModelPrices | None:
        others = (self._providers[name] for name in provider.get("fallback", ()) if name in self._providers)
        for each in (provider, *others):
            for candidate in each["models"]:
                if matches(candidate["match"], model):
                    return read_periods(candidate["prices"])
        return None


def _readings(provider: str, model: str) -> Iterator[tuple[str, str]]:
    """What a name may mean: as it stands; `openai/gpt-4o` also as gpt-4o of the provider, or of openai."""
    yield provider, model
    prefix, slash, rest = model.partition("/")
    if slash and rest:
        if provider:
            yield provider, rest
        yield prefix, rest


def _clause(provider: Mapping[str, Any], key: str, text: str) -> bool:
    return key in provider and matches(provider[key], text)


def _fits(pattern: str, model: str) -> bool:
    return model.startswith(pattern[:-1]) if pattern.endswith("*") else model == pattern


def _own_prices(config: PriceConfig) -> ModelPrices:
    rate = make_rate(
        _flat(config.input_usd),
        _flat(config.output_usd),
        _optional(config.cache_read_usd),
        _optional(config.cache_write_usd),
        _optional(config.reasoning_usd),
        round(config.request_usd * NANO),
    )
    return make_prices([Period(rate)])


def _flat(usd: float) -> Tiers:
    return ((-1, round(usd * NANO)),)


def _optional(usd: float | None) -> Tiers | None:
    return None if usd is None else _flat(usd)
