"""How the subscribers of the channels stand, read when somebody looks: no count can drift from the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry


class ChannelFigures(NamedTuple):
    """A channel with all that narrow it."""

    name: str
    subscribers: int
    behind: int
    """Of them, those that are not given events as they come."""
    lag: int
    """Distance of the slowest from what the hub has read, in offsets."""


class HubFigures(NamedTuple):
    """All channels, and the filters in use."""

    channels: tuple[ChannelFigures, ...] = ()
    filters: int = 0
    most_filters: int = 0


class ChannelCollector(Collector):
    """The figures of a hub as gauges; none while there is no hub. The label is the channel, never its filters."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.source: Callable[[], HubFigures] = HubFigures
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        figures = self.source()
        yield _by_channel("citadel_streaming_subscriptions", "Subscriptions now", figures, 1)
        yield _by_channel("citadel_streaming_subscriptions_behind", "Subscriptions that catch up", figures, 2)
        yield _by_channel(
            "citadel_streaming_channel_lag_events", "Distance of the slowest subscription, in offsets", figures, 3
        )
        yield GaugeMetricFamily("citadel_streaming_filters", "Different filters in use", figures.filters)
        yield GaugeMetricFamily("citadel_streaming_filters_limit", "Most different filters", figures.most_filters)


def _by_channel(name: str, documentation: str, figures: HubFigures, field: int) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=["channel"])
    for channel in figures.channels:
        family.add_metric([channel.name], float(channel[field]))
    return family
