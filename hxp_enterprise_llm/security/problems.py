"""The one form in which a service says no: `{"error": {"code", "message", "hint", …}}`."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web


class Problem(Exception):
    """A request that cannot be served. Raised anywhere below a handler, answered as JSON by the edge.

    `message` says what and where, `hint` what to do; `details` are further members of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str = "",
        *,
        headers: dict[str, str] | None = None,
        **details: Any,
    ) -> None:
        super().__init__(status, code, message)
        self.status, self.code, self.message, self.hint = status, code, message, hint
        self.headers = headers or {}
        self.details = details

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"

    def body(self) -> dict[str, Any]:
        """The answer as it is encoded."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.hint:
            error["hint"] = self.hint
        return {"error": error | self.details}

    def content(self) -> bytes:
        """The same, encoded."""
        return encode_json(self.body())

    def response(self) -> web.Response:
        """The answer as it is sent."""
        return json_response(self.body(), status=self.status, headers=self.headers)


def encode_json(value: Any) -> bytes:
    """The body of a JSON answer; ends with a line feed, for people at a shell."""
    return msgspec.json.encode(value) + b"\n"


def json_response(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(
        body=encode_json(value),
        status=status,
        headers=headers,
        content_type="application/json",
    )
