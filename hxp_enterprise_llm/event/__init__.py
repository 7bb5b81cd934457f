"""What happens to an event: sources, log, processing, streaming, notifications, dashboards."""
