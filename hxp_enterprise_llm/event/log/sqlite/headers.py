"""What the segments of a directory say about themselves, and what their neighbours say of one that cannot.

A sealed segment that is damaged, or of another log, takes nothing but its own events from the readers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from hxp_enterprise_llm.event.log.model import LogCorrupt
from hxp_enterprise_llm.event.log.sqlite.errors import explain
from hxp_enterprise_llm.event.log.sqlite.examine import Damage
from hxp_enterprise_llm.event.log.sqlite.segment import Header, SegmentReader, size_on_disk
from hxp_enterprise_llm.event.model import Offset


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What goes wrong with this file is told with its name. Raises LogError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise explain(error, path) from error
    except UnicodeDecodeError as error:
        raise LogCorrupt(str(path), "its header is damaged") from error


def read_header(path: Path, *, sealed: bool) -> Header:
    """What a segment says about itself. Raises LogCorrupt, LogFull, LogUnavailable, each with its name."""
    if path.is_dir():
        raise LogCorrupt(str(path), "is a directory")
    with naming(path), closing(SegmentReader(path, sealed=sealed)) as reader:
        return reader.header()


def read_headers(paths: Sequence[Path], read: Callable[[Path], Header]) -> list[Header]:
    """The headers, oldest first; `fault` says which of them are not to be believed. Raises LogFull, LogUnavailable."""
    return _placed(_marked([_read(path, read) for path in paths]))


def _read(path: Path, read: Callable[[Path], Header]) -> Header:
    try:
        return read(path)
    except LogCorrupt as error:
        return Header(path, int(path.stem), "", Offset(1), Offset(0), size_on_disk(path), f"its header: {error.reason}")


def _marked(headers: Sequence[Header]) -> list[Header]:
    """Find what is of another log: it lies between two segments of one epoch, and that does not come back."""
    spans: dict[str, tuple[int, int]] = {}
    for index, header in enumerate(headers):
        if not header.fault:
            spans[header.epoch] = spans.get(header.epoch, (index, index))[0], index
    return [header if header.fault else _judged(header, index, spans) for index, header in enumerate(headers)]


def _judged(header: Header, index: int, spans: Mapping[str, tuple[int, int]]) -> Header:
    for epoch, (start, end) in spans.items():
        # Of two epochs that are mixed the later one is the log's own.
        if start < index < end and end > spans[header.epoch][1] and not _differ_little(epoch, header.epoch):
            fault = f"it is of another log: its epoch is {header.epoch}, that around it {epoch}"
            return header._replace(fault=fault)
    return header


def _differ_little(epoch: str, other: str) -> bool:
    """Whether a flipped bit made one of the other; then its records are our own, each with its checksum."""
    return len(epoch) == len(other) and sum(a != b for a, b in zip(epoch, other, strict=True)) == 1


def _placed(headers: Sequence[Header]) -> list[Header]:
    """Give each with a fault the place that the others leave it; behind the last of them nothing is known of it."""
    found: list[Header] = []
    for index, header in enumerate(headers):
        if header.fault:
            above = next((each.first for each in headers[index + 1 :] if not each.fault), None)
            first = found[-1].last + 1 if found else _oldest_first(header, above)
            header = header._replace(first=Offset(first), last=Offset((above or first) - 1))
        found.append(header)
    return found


def _oldest_first(header: Header, above: int | None) -> int:
    # Before the first segment there was nothing; of a later one it is only known that it was not empty.
    return 1 if header.number == 1 or above is None else max(1, above - 1)


def unreadable(header: Header) -> LogCorrupt:
    """The error of whoever reads there."""
    return LogCorrupt(str(header.path), header.fault)


def lost_with(header: Header) -> Damage:
    """What cannot be read because of a header's fault."""
    return Damage(header.path, header.first, header.last, header.size, header.fault)
