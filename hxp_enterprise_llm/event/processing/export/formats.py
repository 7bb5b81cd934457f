"""Rows as bytes: CSV, JSON, NDJSON, Parquet. Each encoder holds no more than one chunk."""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from hxp_enterprise_llm.event.processing.export.model import Column, Row

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Beginnings of a text that a spreadsheet would take for a formula."""
_GROUP_ROWS = 10_000


class Encoder(Protocol):
    """Makes a file out of chunks of rows."""

    def begin(self) -> bytes:
        """What stands before the rows."""
        ...

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Some rows; they may come out later."""
        ...

    def end(self) -> bytes:
        """What stands after them."""
        ...


class MissingPackage(Exception):
    """A format needs a package that is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, extra)
        self.package, self.extra = package, extra

    def __str__(self) -> str:
        return f"this format needs {self.package}, which is not installed"


def harmless(value: Any) -> Any:
    """A cell of CSV: a text that begins like a formula gets an apostrophe; numbers stay numbers."""
    if value is True or value is False:
        return "true" if value else "false"
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value


class Csv:
    """RFC 4180, in UTF-8, with a line of names."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns

    def begin(self) -> bytes:
        return self._lines([tuple(column.name for column in self._columns)])

    def rows(self, rows: Sequence[Row]) -> bytes:
        return self._lines([[harmless(value) for value in row] for row in rows])

    def end(self) -> bytes:
        return b""

    @staticmethod
    def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        return text.getvalue().encode("utf-8", "replace")


class Ndjson:
    """One JSON object a line."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]

    def begin(self) -> bytes:
        return b""

    def rows(self, rows: Sequence[Row]) -> bytes:
        return b"".join(line + b"\n" for line in self._objects(rows))

    def _objects(self, rows: Sequence[Row]) -> list[bytes]:
        return [msgspec.json.encode(dict(zip(self._names, row, strict=True))) for row in rows]

    def end(self) -> bytes:
        return b""


class Json(Ndjson):
    """One array of objects."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(columns)
        self._some = False

    def begin(self) -> bytes:
        return b"[\n"

    def rows(self, rows: Sequence[Row]) -> bytes:
        if not rows:
            return b""
        before, self._some = (b",\n" if self._some else b""), True
        return before + b",\n".join(self._objects(rows))

    def end(self) -> bytes:
        return b"\n]\n"


class _Sink(io.RawIOBase):
    """A file that hands out what was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        text = bytes(data)
        self._parts.append(text)
        self._length += len(text)
        return len(text)

    def tell(self) -> int:
        return self._length

    def drain(self) -> bytes:
        """What came since the last time."""
        found, self._parts = b"".join(self._parts), []
        return found


class Parquet:
    """Row groups of ten thousand rows, compressed."""

    def __init__(self, columns: Sequence[Column]) -> None:
        """Raises MissingPackage."""
        try:
            self._arrow = importlib.import_module("pyarrow")
            parquet = importlib.import_module("pyarrow.parquet")
        except ImportError as error:
            raise MissingPackage("pyarrow", "parquet") from error
        kinds = {"text": "string", "integer": "int64", "number": "float64", "boolean": "bool_"}
        fields = [(column.name, getattr(self._arrow, kinds[column.kind])()) for column in columns]
        self._schema = self._arrow.schema(fields)
        self._sink = _Sink()
        self._writer = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._waiting: list[Row] = []

    def begin(self) -> bytes:
        return self._sink.drain()

    def rows(self, rows: Sequence[Row]) -> bytes:
        self._waiting += rows
        if len(self._waiting) >= _GROUP_ROWS:
            self._write()
        return self._sink.drain()

    def _write(self) -> None:
        columns = zip(*self._waiting, strict=True)
        arrays = [
            self._arrow.array(values, type=field.type) for values, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._arrow.table(arrays, schema=self._schema))
        self._waiting.clear()

    def end(self) -> bytes:
        if self._waiting:
            self._write()
        self._writer.close()
        return self._sink.drain()


class Format(NamedTuple):
    """A format by name."""

    make: Callable[[Sequence[Column]], Encoder]
    media: str


FORMATS: Mapping[str, Format] = {
    "csv": Format(Csv, "text/csv; charset=utf-8"),
    "json": Format(Json, "application/json"),
    "ndjson": Format(Ndjson, "application/x-ndjson"),
    "parquet": Format(Parquet, "application/vnd.apache.parquet"),
}
