"""How connections end: the code and the reason of each cause, and what the client should do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ending:
    """One row of the table of endings. `word` is the label in the metrics and in log lines."""

    word: str
    code: int
    """The code of the WebSocket close frame; 0: the connection is cut off without one."""
    cause: str
    advice: str
    sse: str
    """How an SSE stream ends for the same cause; empty: it does not."""


NORMAL = Ending("client", 1000, "The client closed; its own code comes back", "Nothing", "The client closes")
PROTOCOL_ERROR = Ending(
    "protocol_error",
    1002,
    "A frame that RFC 6455 does not allow",
    "Do not connect again before the client is repaired",
    "Cut off: an SSE client sent more than 64 KiB after its request",
)
NOT_UTF8 = Ending(
    "not_utf8", 1007, "A text message that is not UTF-8", "Do not connect again before the client is repaired", ""
)
TOO_BIG = Ending(
    "message_too_big",
    1009,
    "A message above `websocket.message_size_limit`",
    "Do not send it again",
    "",
)
RESTART = Ending(
    "shutdown",
    1012,
    "The server stops or restarts, or the channel was changed",
    "Connect again after a random pause of 5 to 10 seconds, with the last offset in `after`",
    "A comment, `retry:` of one to two times `sse.retry_timeout`, end of the stream",
)
SLOW = Ending(
    "slow",
    4408,
    "The client fell behind on a channel with `slow: disconnect`",
    "Connect again with the last offset in `after`; if it comes back, read faster or ask for less",
    "A comment, end of the stream; the `retry:` of its beginning holds",
)
PING_TIMEOUT = Ending(
    "ping_timeout",
    0,
    "No sign of life between two pings (`websocket.heartbeat_interval`)",
    "Connect again at once, with the last offset in `after`",
    "",
)
LOST = Ending(
    "lost",
    0,
    "The network reset the connection, or nothing was acknowledged for 30 seconds",
    "Connect again at once, with the last offset in `after`",
    "Cut off",
)

ENDINGS = (NORMAL, PROTOCOL_ERROR, NOT_UTF8, TOO_BIG, RESTART, SLOW, PING_TIMEOUT, LOST)
BY_CODE = {ending.code: ending for ending in ENDINGS if ending.code}

TOO_SLOW = "the connection fell behind, and this channel keeps only those who keep up"
