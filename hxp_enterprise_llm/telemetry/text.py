"""Text from outside made safe for a line that a person or a terminal reads."""

from __future__ import annotations

VALUE_LIMIT = 256
MESSAGE_LIMIT = 1024

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def clean(text: str, limit: int = VALUE_LIMIT) -> str:
    """At most `limit` characters, none of which moves the cursor, breaks the line or turns the writing direction.

    Such characters (C0, C1, U+2028, bidirectional controls, lone surrogates) appear as escapes; a cut is counted.
    """
    kept = text[:limit]
    safe = kept if kept.isprintable() else "".join(map(_visible, kept))
    return safe if len(text) <= limit else f"{safe}…(+{len(text) - limit})"


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    number = ord(char)
    if number < 0x100:
        return _NAMED.get(char, f"\\x{number:02x}")
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def pair(key: str, value: object) -> str:
    """`key=value`, quoted when the value would not read as one word. The value has been cleaned."""
    text = value if isinstance(value, str) else str(value)
    if text and not any(char in ' "=' for char in text):
        return f"{key}={text}"
    escaped = text.replace('"', '\\"')
    return f'{key}="{escaped}"'
