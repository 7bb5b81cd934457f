"""Query parameters of the log's routes; each fault names the parameter and what is taken."""

from __future__ import annotations

import re

from multidict import MultiMapping

from hxp_enterprise_llm.event.model import EARLIEST, Offset, TypePatterns, parse_patterns
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.telemetry.text import clean

MAX_OFFSET = 2**53 - 1
MAX_EPOCH = 64
MAX_PATTERNS = 100

Query = MultiMapping[str]
_INTEGER = re.compile(r"[0-9]{1,16}")
_OF_A_STREAM = re.compile(r"[0-9a-zA-Z-]+\.[0-9]{1,16}")


def after(query: Query) -> Offset | None:
    """`after`: an offset, or `earliest` (also -1) for whatever is still there; None when it is not given."""
    text = _single(query, "after")
    if text is None:
        return None
    if text in ("earliest", "-1"):
        return EARLIEST
    if not _INTEGER.fullmatch(text) or int(text) > MAX_OFFSET:
        if _OF_A_STREAM.fullmatch(text):
            raise _bad("after", text, "the EPOCH.OFFSET of a stream is epoch=EPOCH&after=OFFSET here")
        raise _bad("after", text, f"send an offset from 0 to {MAX_OFFSET}, or earliest")
    return Offset(int(text))


def epoch(query: Query) -> str | None:
    """`epoch`: that of the log which the offset belongs to."""
    text = _single(query, "epoch")
    if text is not None and (not text or len(text) > MAX_EPOCH):
        raise _bad("epoch", text, "send the epoch as the log answered it, or leave it out")
    return text


def limit(query: Query, most: int) -> int | None:
    """`limit`: most events of the answer; None when it is not given."""
    text = _single(query, "limit")
    if text is None:
        return None
    if not _INTEGER.fullmatch(text) or not 1 <= int(text) <= most:
        raise _bad("limit", text, f"send a number from 1 to {most}")
    return int(text)


def types(query: Query) -> TypePatterns | None:
    """`type`: patterns, separated by commas or in several parameters; None: all."""
    texts = [part.strip() for text in query.getall("type", []) for part in text.split(",")]
    if not texts:
        return None
    if len(texts) > MAX_PATTERNS:
        raise _bad("type", texts[0], f"at most {MAX_PATTERNS} patterns are taken")
    try:
        return parse_patterns(texts)
    except ValueError as error:
        raise Problem(400, "bad_parameter", f"type: {clean(str(error))}", "e.g. ?type=llm.*,bench.tick") from None


def flag(query: Query, name: str, default: bool) -> bool:
    """A parameter that is true or false (also 1 or 0)."""
    text = _single(query, name)
    if text is None:
        return default
    if text not in ("true", "false", "1", "0"):
        raise _bad(name, text, "send true or false")
    return text in ("true", "1")


def _single(query: Query, name: str) -> str | None:
    values = query.getall(name, [])
    if len(values) > 1:
        raise Problem(400, "bad_parameter", f"{name} is there {len(values)} times", "send it once")
    return values[0] if values else None


def _bad(name: str, text: str, hint: str) -> Problem:
    return Problem(400, "bad_parameter", f"{name}={clean(text, 60)} is not taken", hint)
