"""What a service is handed when it is made: the world outside it, replaceable in tests and in the simulator."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.runtime.clock import Clock, SystemClock
from hxp_enterprise_llm.runtime.tasks import Supervisor


@dataclass(frozen=True, slots=True)
class Context:
    """Clock, tasks, metrics, randomness, environment, and the way to say that the process must end."""

    supervisor: Supervisor
    on_fatal: Callable[[BaseException], None]
    clock: Clock = field(default_factory=SystemClock)
    registry: CollectorRegistry = field(default_factory=lambda: CollectorRegistry(auto_describe=True))
    random: random.Random = field(default_factory=random.Random)
    environ: Mapping[str, str] = field(default_factory=dict)
    node: str = "localhost"
    hide: Callable[[str], None] = lambda _: None
    """Takes secrets that must never stand in a log line."""
    processes: bool = True
    """Whether child processes can be started; in the simulator there are none."""
