"""The page and its parts as `web/` built them: a fixed set of files, each with its ETag and its compressed forms.

The build is no part of the source tree: `make run`, `make test` and the build of the wheel make it (`scripts/web`).
"""

from __future__ import annotations

import html
from collections.abc import Callable, Collection, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import msgspec

_TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_ENCODINGS = {"br": ".br", "gzip": ".gz"}
"""Content codings, the better first, and the ending of the file."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'; require-trusted-types-for 'script'"
)
"""Content-Security-Policy of the page: text in an event can never become code."""

FOR_EVER = "public, max-age=31536000, immutable"
"""Cache-Control of the parts: their names change with their content."""


class Asset(NamedTuple):
    """A file as it is sent."""

    body: bytes
    content_type: str
    etag: str
    compressed: Mapping[str, bytes] = {}
    """Content coding → the file in it."""

    def best(self, accepted: Collection[str]) -> tuple[str, bytes]:
        """The smallest form that a client takes: its coding (empty: as it is) and its bytes."""
        for coding, body in self.compressed.items():
            if coding in accepted:
                return coding, body
        return "", self.body


class NoPage(Exception):
    """The page was not built."""

    def __str__(self) -> str:
        return "the page is not built"


class Boot(NamedTuple):
    """What the page knows before it asks."""

    node: str
    version: str
    home: str
    """The dashboard at `/`."""
    dashboards: list[tuple[str, str]]
    """Name and title of each."""
    paths: list[str]
    """Addresses of optional parts of the platform that are served here, so that the page asks for no others."""
    events_in: str
    """Where events are taken in, as the gateway reaches it, without a user and a password."""

    def asset(self) -> Asset:
        """The page that begins with this. Raises NoPage."""
        text = _index().replace("{{boot}}", html.escape(msgspec.json.encode(self._asdict()).decode()))
        body = text.encode()
        return Asset(body, "text/html", _tag(body))


def without_user(url: str) -> str:
    """The address as anybody may read it."""
    split = urlsplit(url)
    return urlunsplit(split._replace(netloc=split.netloc.rpartition("@")[2]))


@cache
def parts() -> Mapping[str, Asset]:
    """The parts of the page by name; empty when it was not built."""
    directory = _directory()
    if not directory.is_dir():
        return {}
    read = {entry.name: entry.read_bytes for entry in directory.iterdir() if entry.is_file()}
    return {name: _part(name, read) for name in sorted(read) if name.rpartition(".")[2] in _TYPES}


def _part(name: str, read: Mapping[str, Callable[[], bytes]]) -> Asset:
    body = read[name]()
    compressed = {coding: read[name + ending]() for coding, ending in _ENCODINGS.items() if name + ending in read}
    return Asset(body, _TYPES[name.rpartition(".")[2]], _tag(body), compressed)


@cache
def _index() -> str:
    try:
        return _directory().joinpath("index.html").read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise NoPage from None


def _directory() -> Traversable:
    return files("hxp_enterprise_llm.event.dashboards").joinpath("static")


def _tag(body: bytes) -> str:
    return sha256(body).hexdigest()[:20]


def accepted(header: str) -> set[str]:
    """The content codings of an `Accept-Encoding`; one with q=0 is not wanted."""
    wanted: set[str] = set()
    for item in header.split(","):
        coding, _, parameters = item.partition(";")
        if parameters.replace(" ", "").rstrip("0.") != "q=":
            wanted.add(coding.strip().lower())
    return wanted
