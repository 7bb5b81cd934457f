"""A worker process.

Its arguments are the release of the first process and descriptors that it hands on: control, port, private, counts.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import uvloop

from hxp_enterprise_llm.orchestration.workers.counts import SharedCounts
from hxp_enterprise_llm.orchestration.workers.release import EX_OTHER_RELEASE, refuses
from hxp_enterprise_llm.orchestration.workers.worker import Sockets, work


def main(arguments: list[str]) -> int:
    """Serve until the first process says so or is gone; answers the exit status."""
    release, *handles = arguments
    if refuses(release):
        return EX_OTHER_RELEASE
    control, port, private, counts = map(int, handles)
    sockets = Sockets(*(socket.socket(fileno=handle) for handle in (control, port, private)))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work(sockets, lambda number: SharedCounts(counts, number)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
