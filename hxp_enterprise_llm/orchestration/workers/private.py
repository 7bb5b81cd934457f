"""Serving our own processes over a Unix socket: they come in, nobody else."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.runtime.cleanup import CleanupStack
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics

OURS = Policy.of(SecurityConfig())
"""What holds on the Unix sockets."""


async def serve_ours(
    name: str,
    routes: Sequence[Route],
    sock: socket.socket,
    cleanup: CleanupStack,
    metrics: ServiceMetrics | None = None,
) -> None:
    """Serve these routes on a listening Unix socket until the stack is run.

    `metrics` None: requests are not counted, as what one of our processes asks another for counts where it was asked.
    """
    uncounted = metrics or ServiceMetrics(CollectorRegistry())
    listener = Listener(build_app(routes, policy=lambda: OURS, metrics=uncounted), "", 0, name=name)
    cleanup.push(name, lambda: listener.stop(1.0))
    await listener.start(sock)
