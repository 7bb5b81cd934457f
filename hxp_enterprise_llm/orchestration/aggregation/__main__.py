"""The process that follows the log.

Its arguments are the release of the first process and descriptors that it hands on: control, private.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import suppress

import uvloop

from hxp_enterprise_llm.orchestration.aggregation.process import aggregate
from hxp_enterprise_llm.orchestration.workers.release import EX_OTHER_RELEASE, refuses
from hxp_enterprise_llm.runtime.collecting import collect_seldom

_NICE = 5
"""Where cores are short, whoever sends events goes before whoever counts them."""


def main(arguments: list[str]) -> int:
    """Follow until the first process says so or is gone; answers the exit status."""
    release, *handles = arguments
    if refuses(release):
        return EX_OTHER_RELEASE
    control, private = (socket.socket(fileno=int(handle)) for handle in handles)
    collect_seldom()
    # Sandboxes may forbid it, ours of systemd does: then the cores are shared alike.
    with suppress(PermissionError):
        os.nice(_NICE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(aggregate(control, private))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
