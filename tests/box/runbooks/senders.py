"""Senders that a service could do without, until killed. Standard library only.

python3 senders.py flood NUMBER   so many of them, batches of events of 100 label sets as fast as they are taken
python3 senders.py agents         40 agents that nobody has heard of, twice a second
python3 senders.py traces         200 new traces by OTLP, four times a second
python3 senders.py idless         a span without ids by OTLP, twice a second
"""

from __future__ import annotations

import http.client
import itertools
import json
import secrets
import sys
import threading
import time
from collections.abc import Callable

BATCH = 4000
AGENTS, TRACES = 40, 200


def keep_sending(path: str, bodies: Callable[[], str], pause: float) -> None:
    """One connection, for ever: whatever the answers are, it is the service that is looked at."""
    connection = http.client.HTTPConnection("127.0.0.1", 9100, timeout=20)
    while True:
        try:
            connection.request("POST", path, bodies(), {"Content-Type": "application/json"})
            refused = connection.getresponse()
            refused.read()
            time.sleep(pause if refused.status < 300 else 0.2)
        except (OSError, http.client.HTTPException):
            connection.close()
            time.sleep(0.2)


def request(agent: str, model: str) -> dict[str, object]:
    """An event of an LLM request."""
    data = {"model": model, "agent": agent, "latency_ms": 250, "input_tokens": 100, "output_tokens": 10}
    return {"type": "llm.request.completed", "source": "senders", "data": data}


def spans(ids: list[tuple[str, str]]) -> str:
    """A request of OTLP with a span of each trace."""
    now = time.time_ns()
    times = {"startTimeUnixNano": str(now), "endTimeUnixNano": str(now)}
    made = [{"traceId": trace, "spanId": span, "name": "chat", **times} for trace, span in ids]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": made}]}]})


def main(kind: str, number: str = "1") -> None:
    """Send for ever."""
    if kind == "flood":
        same = json.dumps([request(f"a{i % 10}", f"m{i // 10 % 10}") for i in range(BATCH)])
        for _ in range(int(number)):
            threading.Thread(target=keep_sending, args=("/events", lambda: same, 0.0)).start()
    elif kind == "agents":
        new = itertools.count()
        keep_sending("/events", lambda: json.dumps([request(f"agent {next(new)}", "m") for _ in range(AGENTS)]), 0.5)
    elif kind == "traces":
        keep_sending(
            "/v1/traces", lambda: spans([(secrets.token_hex(16), secrets.token_hex(8)) for _ in range(TRACES)]), 0.25
        )
    else:
        keep_sending("/v1/traces", lambda: spans([("", "")]), 0.5)


if __name__ == "__main__":
    main(*sys.argv[1:])
