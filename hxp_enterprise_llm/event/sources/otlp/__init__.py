"""The way in by OpenTelemetry: OTLP over HTTP, as protobuf and as JSON."""
