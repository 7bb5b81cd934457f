"""Addresses of mails and of pages."""

from __future__ import annotations

from email.errors import HeaderParseError
from email.headerregistry import Address
from typing import Final

_ENDS_A_LINK: Final = frozenset(" <>|\"'`\\")
"""What ends a link, or begins another one, in a mail, in HTML or in Slack."""


def is_address(text: str) -> bool:
    """Whether it is one plain address; a list in one field would write to people whom nobody named."""
    try:
        address = Address(addr_spec=text)
    except (ValueError, IndexError, HeaderParseError):
        return False
    return bool(address.username and address.domain) and text.isascii() and text.isprintable()


def stays_one_link(url: str) -> bool:
    """Whether a URL is one link wherever it is written: in a mail, in HTML, in Slack."""
    return url.isprintable() and _ENDS_A_LINK.isdisjoint(url)


def link(url: str) -> str:
    """The URL if it leads to a page, else nothing: a link may come from outside."""
    leads = url.lower().startswith(("https://", "http://", "file:///"))
    return url if leads and stays_one_link(url) else ""
