"""Answers as bytes, with the headers that every answer has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from hxp_enterprise_llm.security.gate import HEADERS


class Answers:
    """Makes answers of JSON; the date is written once a second."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now`: wall-clock seconds."""
        self._now = now
        self._second, self._date = -1, ""

    def make(self, status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
        """A whole answer. The values of `headers` must not come from a client unchecked."""
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{_begin(status)}{more}Content-Length: {len(body)}\r\nDate: {self._today()}\r\n\r\n"
        return head.encode("latin-1") + body

    def _today(self) -> str:
        second = int(self._now())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True)
        return self._date


@lru_cache(maxsize=64)
def _begin(status: int) -> str:
    headers = {"Content-Type": "application/json", **HEADERS}
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines) + "\r\n"
