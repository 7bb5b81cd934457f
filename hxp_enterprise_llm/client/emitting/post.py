"""One POST of events, by the standard library alone: what it came to, and over which connection."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.client.answers import Refused, Unreachable, found, refusal, words
from hxp_enterprise_llm.client.headers import sendable

_MAX_ANSWER = 8 * 1024 * 1024
_MAX_PAUSE = 60.0
_WITHOUT_RIGHT = frozenset({401, 403, 407})
_NO_RIGHT_PAUSE = 15.0


class Stored(NamedTuple):
    """All events are stored; `repeats` of them had been before."""

    repeats: int


class Later(NamedTuple):
    """The events may be stored or not: the same are to be sent again, after so many seconds if it says so."""

    reason: str
    after: float | None = None


class Unwanted(NamedTuple):
    """Nothing was stored: events at these indices will never be taken, whoever sends them. Empty: it may be any."""

    at: frozenset[int]
    reason: str


Outcome = Stored | Later | Unwanted


class _Accepted(msgspec.Struct):
    duplicate: bool = False


class _Receipt(msgspec.Struct):
    events: list[_Accepted]


def outcome(status: int, retry_after: str, body: bytes, count: int) -> Outcome:
    """What an answer to `count` events means; `retry_after` is its header of this name."""
    if status == 202:
        return _stored(body, count)
    refused = refusal(status, body)
    if status in (400, 413, 422):
        return Unwanted(_indices(refused, count), str(refused))
    if status in _WITHOUT_RIGHT:
        return Later(str(refused), _NO_RIGHT_PAUSE)
    return Later(str(refused), _pause(retry_after))


def _stored(body: bytes, count: int) -> Outcome:
    try:
        receipt = msgspec.json.decode(body, type=_Receipt)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Later(f"an answer that is none of event processing: {found(body)}")
    if len(receipt.events) != count:
        return Later(f"{len(receipt.events)} answers for {count} events")
    return Stored(sum(event.duplicate for event in receipt.events))


def _indices(refused: Refused, count: int) -> frozenset[int]:
    items: Any = refused.details.get("items")
    found = [item.get("index") for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    found.append(refused.details.get("index"))
    return frozenset(at for at in found if isinstance(at, int) and 0 <= at < count)


def _pause(text: str) -> float | None:
    return min(float(text), _MAX_PAUSE) if text.isascii() and text.isdecimal() and len(text) < 7 else None


class Poster:
    """Posts to event processing over one connection that is kept open. For one thread; waits `timeout` seconds at most
    for the connection and for each piece of an answer."""

    def __init__(self, base_url: str, headers: Mapping[str, str], timeout: float) -> None:
        """Raises Unreachable when `base_url` is no address of HTTP, and BadHeader."""
        self.url = base_url.rstrip("/") + "/events"
        try:
            parts = urlsplit(self.url)
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError:  # of an IPv6 address without its end, or a port that is none
            self._host, parts = "", urlsplit("")
        printable = parts.path.isascii() and not any(character <= " " for character in self.url)
        if parts.scheme not in ("http", "https") or not self._host or not printable:
            raise Unreachable(self.url, "this is no address; it begins with http:// or https://")
        self._secure, self._path, self._timeout = parts.scheme == "https", parts.path, timeout
        self._headers = {
            "Content-Type": "application/x-ndjson",
            "Accept-Encoding": "identity",
            "User-Agent": f"hxp/{__version__}",
            **sendable(headers),
        }
        self._connection: http.client.HTTPConnection | None = None

    def __call__(self, lines: Sequence[bytes]) -> Outcome:
        """Send the events, each a JSON object in a line. Nothing is raised for what the network or the peer does."""
        kept = self._connection is not None
        try:
            return self._post(lines)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # A connection that was idle may have been closed by the service: that says nothing about it.
            if not kept or isinstance(error, TimeoutError):
                return Later(str(Unreachable(self.url, words(error))))
        try:
            return self._post(lines)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Later(str(Unreachable(self.url, words(error))))

    def _post(self, lines: Sequence[bytes]) -> Outcome:
        connection = self._connection = self._connection or self._connect()
        connection.request("POST", self._path, b"\n".join(lines) + b"\n", self._headers)
        with connection.getresponse() as answer:
            body = answer.read(_MAX_ANSWER + 1)
            if len(body) > _MAX_ANSWER:
                self.close()
                return Later(f"{self.url} answers with more than {_MAX_ANSWER:,} bytes")
            return outcome(answer.status, answer.headers.get("Retry-After", ""), body, len(lines))

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
