"""Answers as bytes, with the headers that every answer has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus

from hxp_enterprise_llm.security.gate import HEADERS


class Answers:
    """Makes answers of JSON; what those of a second have in common is written once."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now`: wall-clock seconds."""
        self._now = now
        self._second = -1
        self._heads: dict[int, bytes] = {}

    def make(self, status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
        """A whole answer. The values of `headers` must not come from a client unchecked."""
        head = self._head(status)
        if headers:
            head += "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")
        return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)

    def _head(self, status: int) -> bytes:
        second = int(self._now())
        if second != self._second:
            self._second = second
            self._heads.clear()
        head = self._heads.get(status)
        if head is None:
            head = self._heads[status] = _begin(status, formatdate(second, usegmt=True))
        return head


def _begin(status: int, date: str) -> bytes:
    headers = {"Content-Type": "application/json", **HEADERS, "Date": date}
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")
