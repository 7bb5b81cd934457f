"""Where the subscribers of a channel stand, for status pages and metrics."""

from __future__ import annotations

from collections.abc import Sequence

from hxp_enterprise_llm.event.streaming.channel import Channel
from hxp_enterprise_llm.telemetry.channels import ChannelFigures


def figures(name: str, family: Sequence[Channel]) -> ChannelFigures:
    """A channel with those that narrow it, taken together."""
    subscribers = sum(len(channel.subscribers) for channel in family)
    behind = sum(len(channel.subscribers) - channel.live_count for channel in family)
    return ChannelFigures(name, subscribers, behind, max(map(lag, family), default=0))


def lag(channel: Channel) -> int:
    """Distance of the slowest subscriber from what the hub has read, in offsets.

    The cursor of a live one moves only when it is given something, so for those counts what waits for them all.
    """
    position = channel.position.offset
    slowest = min((each.cursor for each in channel.subscribers if not each.live), default=position)
    if channel.live_count:
        slowest = min(slowest, channel.settled)
    return max(0, position - slowest)
