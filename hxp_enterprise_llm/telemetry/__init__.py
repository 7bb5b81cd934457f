"""What the services say about themselves: metrics from an injected registry, log lines, health."""
