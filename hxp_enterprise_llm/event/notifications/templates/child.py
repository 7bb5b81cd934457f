"""The process that renders: it reads templates and data from stdin, writes texts to stdout, and has nothing else.

`python -I -m hxp_enterprise_llm.event.notifications.templates.child`. A message is its length in four bytes and JSON.
The first one carries the templates; each further one asks for parts over some data. The end of stdin is its end.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import Any, BinaryIO

import msgspec

from hxp_enterprise_llm.event.notifications.templates.sandbox import Failure, Sandbox

MEMORY_BYTES = 256 * 1024 * 1024
CPU_SECONDS = 2
_HEAD_BYTES = 4


def main() -> None:
    """Render until nobody asks any more."""
    _confine()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    first = _read(source)
    sandbox = Sandbox(first["templates"]) if first else None
    while sandbox is not None and (request := _read(source)):
        _allow_cpu()
        _write(sink, _answer(sandbox, request))


def _confine() -> None:
    """No files, no core, little memory."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _allow_cpu() -> None:
    """So many seconds from here on; the kernel ends what takes longer."""
    limit = int(time.process_time()) + 1 + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def _answer(sandbox: Sandbox, request: dict[str, Any]) -> bytes:
    try:
        rendered = sandbox.render(tuple(request["parts"]), request["data"])
        return msgspec.json.encode({"parts": rendered.parts, "failures": rendered.failures})
    except MemoryError:
        failure = Failure("", 0, "it takes too much memory")
        return msgspec.json.encode({"parts": {}, "failures": dict.fromkeys(request["parts"], failure)})


def _read(source: BinaryIO) -> dict[str, Any]:
    head = source.read(_HEAD_BYTES)
    if len(head) < _HEAD_BYTES:
        return {}
    found: dict[str, Any] = msgspec.json.decode(source.read(int.from_bytes(head, "big")))
    return found


def _write(sink: BinaryIO, message: bytes) -> None:
    sink.write(len(message).to_bytes(_HEAD_BYTES, "big") + message)
    sink.flush()


if __name__ == "__main__":
    main()
    os._exit(0)
