"""A publication: what somebody sends to one channel. In the log it is an event like any other, its subject the channel.

{"type": "stream.publication", "subject": CHANNEL, "data": {"channel": CHANNEL, "data": …, "tags": {…}, "info": {…}}}
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.event.model import Encoded, Event, encode

PUBLICATION = "stream.publication"


class Publication(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The data of the event."""

    channel: str
    data: Any
    tags: dict[str, str] | None = None
    skip_history: bool = False
    """Whether the history of the channel leaves it out. It is in the log, and a cursor meets it, all the same."""
    info: Any = None
    """Who published it, of a Centrifuge client: `user`, `client` and what its tokens say, as presence shows it."""


class Content(NamedTuple):
    """What the history of a channel tells of an event."""

    data: msgspec.Raw
    tags: dict[str, str] | None = None
    skip_history: bool = False
    info: msgspec.Raw = msgspec.Raw()
    """Empty when nobody is named."""


class _Written(msgspec.Struct):
    data: msgspec.Raw
    tags: dict[str, str] | None = None
    skip_history: bool = False
    info: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    data: _Written


_event = msgspec.json.Decoder(_Event)


def encode_publication(publication: Publication, *, source: str, id: str, time: str) -> Encoded:
    """The event of a publication. A repeated (source, id) is stored once."""
    return encode(
        Event(id=id, source=source, type=PUBLICATION, time=time, subject=publication.channel, data=publication)
    )


def content_of(type: str, raw: bytes) -> Content:
    """A publication as it was sent; of any other event, the event itself."""
    if type == PUBLICATION:
        try:
            written = _event.decode(raw).data
            info = written.info if bytes(written.info).startswith(b"{") else msgspec.Raw()
            return Content(written.data, written.tags, written.skip_history, info)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # somebody stored another thing under this type: it is shown as it is
    return Content(msgspec.Raw(raw))
