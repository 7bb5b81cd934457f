"""The page and its parts, read once from the package: a fixed set of names, each with its ETag."""

from __future__ import annotations

import html
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

CONTENT_TYPES = {
    "style.css": "text/css",
    "app.js": "text/javascript",
    "charts.js": "text/javascript",
    "format.js": "text/javascript",
    "model.js": "text/javascript",
    "panels.js": "text/javascript",
    "stream.js": "text/javascript",
}
"""What is served under /static/; nothing else is, whatever the name."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'; require-trusted-types-for 'script'"
)
"""Content-Security-Policy of the page: text in an event can never become code."""


class Asset(NamedTuple):
    """A file as it is sent."""

    body: bytes
    content_type: str
    etag: str


@cache
def static(name: str) -> Asset:
    """A file of the page. Raises KeyError for every name that is not one."""
    content_type = CONTENT_TYPES[name]
    return _asset(_read(name), content_type)


def page(dashboard: str, title: str, node: str, links: list[tuple[str, str]]) -> Asset:
    """The page of one dashboard; `links` are name and title of all of them, for the rail."""
    text = _read("index.html").decode("utf-8")
    rail = "".join(_link(name, label, current=name == dashboard) for name, label in links)
    places = {"dashboard": dashboard, "title": title, "node": node}
    for place, value in places.items():
        text = text.replace(f"{{{{{place}}}}}", html.escape(value))
    return _asset(text.replace("{{rail}}", rail).encode("utf-8"), "text/html")


def _link(name: str, label: str, *, current: bool) -> str:
    mark = ' aria-current="page"' if current else ""
    return f'<a href="/dashboards/{html.escape(name)}"{mark}><span>{html.escape(label)}</span></a>'


def _asset(body: bytes, content_type: str) -> Asset:
    return Asset(body, content_type, sha256(body).hexdigest()[:20])


@cache
def _read(name: str) -> bytes:
    return files("hxp_enterprise_llm.event.dashboards").joinpath("static", name).read_bytes()
