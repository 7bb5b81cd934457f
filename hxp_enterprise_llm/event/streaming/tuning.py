"""What a configuration means for channels: how they hold and write, and whose turn is first."""

from __future__ import annotations

from hxp_enterprise_llm.config.streaming import OptimizationConfig, StreamingConfig
from hxp_enterprise_llm.event.streaming.channel import Options

RANKS = {"high": 0, "normal": 1, "low": 2}


def options(config: StreamingConfig) -> Options:
    """How channels hold and write under a configuration."""
    made = Options(ring_events=config.high_frequency_streams.buffer_size)
    tune(made, config.performance_optimization)
    return made


def tune(made: Options, config: OptimizationConfig) -> None:
    """Apply what can change while the gateway runs."""
    joins = config.enabled and "message_batching" in config.optimization_strategies
    made.flush_seconds = config.flush_interval / 1000 if joins else 0.0
    made.flush_events = config.batch_size


def ranks(config: StreamingConfig) -> dict[str, int]:
    """The turn of each channel that is not in the middle."""
    optimization, fast = config.performance_optimization, config.high_frequency_streams
    if not (optimization.enabled and "priority_queuing" in optimization.optimization_strategies):
        return {}
    return dict.fromkeys(fast.streams, RANKS[fast.priority])
