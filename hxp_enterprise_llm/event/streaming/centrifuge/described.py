"""What the routes of the Centrifuge protocol take and answer. The commands themselves are the protocol's."""

from __future__ import annotations

from typing import Any

from hxp_enterprise_llm.security.described import EVENTS, JSON, Answer, Described, Parameter

_CONNECT = Parameter("cf_connect", "The connect command as JSON")
_UPGRADED = (Answer("The connection is a WebSocket", media="", status=101),)
_STREAM = (Answer("The stream", media=EVENTS),)
_LINES = (Answer("Replies, one a line", media="application/x-ndjson"),)

WEBSOCKET = Described(answers=_UPGRADED, refusals=(426,), endless=True)
UNI_WEBSOCKET = Described(parameters=(_CONNECT,), answers=_UPGRADED, refusals=(426,), endless=True)
SSE = Described(parameters=(_CONNECT,), answers=_STREAM, endless=True)
SSE_POST = Described(answers=_STREAM, refusals=(404, 429), optional_body=True, endless=True)
HTTP_STREAM = Described(answers=_LINES, refusals=(404, 429), optional_body=True, endless=True)


def emulation(request: Any) -> Described:
    """`POST /emulation` with this type of body."""
    answers = (Answer("The commands are handed over", media="", status=204),)
    return Described(request={JSON: request}, answers=answers, refusals=(404,))
