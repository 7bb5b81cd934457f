"""Something to do for a service, until killed. Standard library only.

python3 noise.py messages CHANNEL…   a message by hand to each channel, twice a second
python3 noise.py nameless             an alert without a label, as Alertmanager posts it, twice a second
python3 noise.py models NUMBER       an event of each of so many models, twice a second
python3 noise.py bulk                five megabytes of events, once
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from contextlib import suppress


def post(url: str, body: object) -> None:
    """Whatever the answer is: it is the service that is looked at."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with suppress(OSError):
        urllib.request.urlopen(request, timeout=5).close()


def fill() -> None:
    """What cannot be packed: the log has several segments after it."""
    for _ in range(6):
        texts = [os.urandom(4000).hex() for _ in range(100)]
        post("http://127.0.0.1:9100/events", [{"type": "operator.note", "data": {"text": text}} for text in texts])


def main(kind: str, *wanted: str) -> None:
    """Send for ever, or once."""
    while kind != "bulk":
        if kind == "messages":
            for channel in wanted:
                message = {"type": "noise", "message": f"noise by {channel}", "channel": channel}
                post("http://127.0.0.1:9102/notifications/send", message)
        elif kind == "nameless":
            post("http://127.0.0.1:9102/notifications/alertmanager", {"version": "4", "alerts": [{"labels": {}}]})
        else:
            models = [{"model": f"m{number}", "agent": "a"} for number in range(int(wanted[0]))]
            events = [{"type": "llm.request.completed", "data": each} for each in models]
            post("http://127.0.0.1:9100/events", events)
        time.sleep(0.5)
    fill()


if __name__ == "__main__":
    main(*sys.argv[1:])
