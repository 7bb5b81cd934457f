"""The commands by which task 4.4 is validated, word for word, with what it expects of each.

Changed are these: streams are left after some seconds, and the WebSocket client is Python's `websockets`, which is
installed, instead of `wscat`.
"""

from __future__ import annotations

HOST = "http://192.168.10.29"
GATEWAY = "citadel-data-streaming-api.service"
JSON = '-H "Content-Type: application/json"'
COMMANDS: tuple[tuple[str, str], ...] = (
    # Implementation and its validation
    (f"systemctl enable {GATEWAY} 2>&1", r"Created symlink"),
    (f"systemctl start {GATEWAY}", r""),
    (f"systemctl status {GATEWAY}", r"Active: active \(running\)"),
    # Architecture
    (f"curl -X GET {HOST}:9102/health", r'"status":"healthy","service":"data-streaming-api","timestamp":"'),
    (
        f"curl -X GET {HOST}:9102/streams",
        r'"streams":\["metrics_updates","system_alerts","business_events","performance_data"\]',
    ),
    (
        "sleep 3 | /opt/citadel/env/bin/python -P -m websockets ws://192.168.10.29:9102/ws/metrics_updates",
        r"Connected to ws.*analytics.snapshot",
    ),
    (f"timeout 4 curl -N {HOST}:9102/sse/real_time_metrics || true", r"\nid: .*\ndata: \{"),
    (f"curl -X GET {HOST}:8501", r"(?i)<!doctype html>"),
    (
        f"curl -X GET {HOST}:9102/notifications/status",
        r'"notifications_enabled":true,"delivery_channels":\["websocket","sse"',
    ),
    (f"curl -X GET {HOST}:9102/metrics", r"(?=.*\ndata_streaming_latency_seconds)(?=.*\nstreaming_connections_total )"),
    # Integration
    (f"curl -X GET {HOST}:9100/analytics", r'"metrics"'),
    (f"curl -X GET {HOST}:9102/dashboards/operational_overview/data", r'"panels"'),
    (
        f"curl -X POST {HOST}:9102/notifications/send {JSON}"
        """ -d '{"type": "test", "message": "Test notification", "channel": "websocket"}'""",
        r'"id"',
    ),
    (f"curl -X GET {HOST}:9102/streams/high_frequency/system_metrics", r"system_metrics"),
    ("curl -X GET http://192.168.10.37:9090/api/v1/query?query=data_streaming_latency", r'"status":"success".*"value"'),
    # Troubleshooting: WebSockets
    (f"curl -X GET {HOST}:9102/websocket/status", r'"connections"'),
    (f"sudo journalctl -u {GATEWAY} | grep websocket", r"INFO streaming: gateway.opened websocket=200"),
    ("sleep 1 | telnet 192.168.10.29 9102 || true", r"Connected to 192.168.10.29"),
    # Troubleshooting: dashboards
    (f"curl -X GET {HOST}:9102/dashboards/status", r"operational_overview"),
    (f"sudo journalctl -u {GATEWAY} | grep dashboard", r"INFO streaming: dashboards.started dashboards=5"),
    # Troubleshooting: notifications
    (
        f"curl -X POST {HOST}:9102/notifications/send {JSON}"
        """ -d '{"type": "test", "message": "Test", "channel": "websocket"}'""",
        r'"id"',
    ),
    (f"sudo journalctl -u {GATEWAY} | grep notification", r"INFO notifications: started"),
    (f"curl -X GET {HOST}:9102/notifications/channels", r'"email"'),
    # Maintenance: daily, weekly, monthly
    (f"sudo systemctl status {GATEWAY}", r"Active: active \(running\)"),
    (f"""sudo journalctl -u {GATEWAY} --since "1 week ago" | grep ERROR""", r"ERROR process: "),
    (f"curl -X GET {HOST}:9102/streams/status", r'"metrics_updates"'),
    (f"sudo systemctl restart {GATEWAY}", r""),
    (f"curl -X POST {HOST}:9102/dashboards/refresh", r'"refreshed"|"dashboards"'),
    (f"curl -X GET {HOST}:9102/health", r'"service":"data-streaming-api"'),
)
