"""States of several processes as one."""

from __future__ import annotations

from hxp_enterprise_llm.orchestration.workers.joined import add_up


def test_what_each_counts_is_added_and_the_rest_is_the_first_ones():
    """Connections and subscribers are each process' own; offsets, limits and rates are not."""
    one = {
        "status": "ok",
        "offset": 7,
        "filtered_channels": 1,
        "connections": {"websocket": 2, "sse": 0},
        "channels": {"events": {"subscribers": 2, "behind": 1, "lag": 2, "settled": 7, "messages": 5}},
    }
    two = {
        "status": "degraded",
        "offset": 6,
        "filtered_channels": 0,
        "connections": {"websocket": 3, "sse": 1},
        "channels": {
            "events": {"subscribers": 3, "behind": 0, "lag": 4, "settled": 6, "messages": 5},
            "late": {"subscribers": 1},
        },
    }
    assert add_up(one, two) == {
        "status": "ok",
        "offset": 7,
        "filtered_channels": 1,
        "connections": {"websocket": 5, "sse": 1},
        "channels": {
            "events": {"subscribers": 5, "behind": 1, "lag": 4, "settled": 7, "messages": 5},
            "late": {"subscribers": 1},
        },
    }


def test_counts_by_channel_are_added():
    """`/websocket/status`: a map of counts, and a limit that is one for all."""
    one = {"connections": 3, "max_connections": 200, "channels": {"events": 3}}
    two = {"connections": 2, "max_connections": 200, "channels": {"events": 1, "alerts": 1}}
    assert add_up(one, two) == {"connections": 5, "max_connections": 200, "channels": {"events": 4, "alerts": 1}}
