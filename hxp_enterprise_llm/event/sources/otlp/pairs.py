"""Attributes of spans as they stand on the wire, each read once for all spans that have the very same.

To reach an attribute through its message takes a microsecond, and of a span's dozen nearly all say what those of the
span before said: the model, the tool, the thread. So spans are read with a schema of the same wire form in which an
attribute is bytes, and bytes that are known need no reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from hxp_enterprise_llm.event.sources.genai.model import Attributes
from hxp_enterprise_llm.event.sources.otlp.bounds import MAX_ATTRIBUTES

_MOST, _LONGEST = 4096, 160
"""Attributes that are known at a time, and as many lists, and bytes of one: together about four megabytes."""
_SHARED = frozenset({str, int, float, bool, type(None)})
"""Values that nobody can change, so that several spans may have the same."""


def plain_spans() -> type[Message]:
    """ExportTraceServiceRequest whose spans have `attributes` as bytes."""
    pool = DescriptorPool()
    for module in (common_pb2, resource_pb2, trace_pb2, trace_service_pb2):
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for field in (f for m in file.message_type if m.name == "Span" for f in m.field if f.name == "attributes"):
            field.type = FieldDescriptorProto.TYPE_BYTES
            field.ClearField("type_name")
        pool.AddSerializedFile(file.SerializeToString())
    name = trace_service_pb2.ExportTraceServiceRequest.DESCRIPTOR.full_name
    made: type[Message] = GetMessageClass(pool.FindMessageTypeByName(name))
    return made


class Pairs(dict[bytes, tuple[str, Any]]):
    """Name and value of an attribute by its bytes, which have been found to be one."""

    def __init__(self, value_of: Callable[[Any], Any]) -> None:
        super().__init__()
        self._value_of = value_of
        self._lists: dict[bytes, tuple[str, list[Any]]] = {}

    def __missing__(self, raw: bytes) -> tuple[str, Any]:
        known = self._lists.get(raw)
        if known is None:
            pair = KeyValue.FromString(raw)
            known = pair.key, self._value_of(pair.value)
            if len(raw) <= _LONGEST:
                self._know(raw, known)
        name, value = known
        # Each span has a list of its own, which it may change.
        return (name, value.copy()) if type(value) is list else known

    def _know(self, raw: bytes, found: tuple[str, Any]) -> None:
        value = found[1]
        if type(value) in _SHARED:
            known: dict[bytes, tuple[str, Any]] = self
        elif type(value) is list and set(map(type, value)) <= _SHARED:
            known = self._lists
        else:
            return
        if len(known) >= _MOST:
            known.clear()
        known[raw] = found

    def attributes(self, raws: Iterable[bytes]) -> Attributes:
        """The attributes as plain values, the first of them when there are too many."""
        return dict(map(self.__getitem__, islice(raws, MAX_ATTRIBUTES)))
