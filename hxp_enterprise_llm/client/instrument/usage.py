"""What providers say of the tokens of a call, in one form: input with what was cached, output with reasoning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_INPUT = ("prompt_tokens", "input_tokens", "prompt_token_count")
_OUTPUT = ("completion_tokens", "output_tokens", "candidates_token_count")
_CACHED = (
    "cached_prompt_tokens",
    "cached_input_tokens",
    "cached_tokens",
    "cache_read_tokens",
    "cached_content_token_count",
)
_WRITTEN = ("cache_creation_tokens", "cache_write_tokens")
_REASONING = ("reasoning_tokens", "thoughts_token_count")
_DETAILS = {
    "cached_input_tokens": (("prompt_tokens_details", "cached_tokens"), ("input_tokens_details", "cached_tokens")),
    "reasoning_tokens": (
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"),
    ),
}


def tokens_of(usage: Any) -> dict[str, int]:
    """`input_tokens`, `output_tokens`, and `cached_input_tokens`, `cache_write_tokens`, `reasoning_tokens` if given.

    `usage` is the mapping or object of a provider's library. What is not in it, or is no count, is left out; a total
    alone is no answer to what a call cost, and so none of it.
    """
    found: dict[str, int] = {}
    for name, keys in (
        ("input_tokens", _INPUT),
        ("output_tokens", _OUTPUT),
        ("cached_input_tokens", _CACHED),
        ("cache_write_tokens", _WRITTEN),
        ("reasoning_tokens", _REASONING),
    ):
        _put(found, name, next((count for key in keys if (count := _count(_get(usage, key))) is not None), None))
    for name, paths in _DETAILS.items():
        if name not in found:
            counts = (_count(_get(_get(usage, outer), inner)) for outer, inner in paths)
            _put(found, name, next((count for count in counts if count is not None), None))
    return _with_cache(found, usage)


def _with_cache(found: dict[str, int], usage: Any) -> dict[str, int]:
    """Anthropic's own counts leave the cache out of the input; those that carry its raw names are completed."""
    read, written = _count(_get(usage, "cache_read_input_tokens")), _count(_get(usage, "cache_creation_input_tokens"))
    if read is None and written is None:
        return found
    if "input_tokens" in found:
        found["input_tokens"] += (read or 0) + (written or 0)
    _put(found, "cached_input_tokens", read)
    _put(found, "cache_write_tokens", written)
    return found


def _put(found: dict[str, int], name: str, count: int | None) -> None:
    if count is not None:
        found[name] = count


def _get(usage: Any, key: str) -> Any:
    return usage.get(key) if isinstance(usage, Mapping) else getattr(usage, key, None)


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None
