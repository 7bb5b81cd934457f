"""E-mail addresses."""

from __future__ import annotations

from email.errors import HeaderParseError
from email.headerregistry import Address


def is_address(text: str) -> bool:
    """Whether it is one plain address; a list in one field would write to people whom nobody named."""
    try:
        address = Address(addr_spec=text)
    except (ValueError, IndexError, HeaderParseError):
        return False
    return bool(address.username and address.domain) and text.isascii() and text.isprintable()
