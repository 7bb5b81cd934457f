"""redis-py takes half a second and some 30 MB: only those who have a Redis pay for it."""

from __future__ import annotations

import subprocess
import sys


def test_a_service_without_redis_does_not_read_its_client() -> None:
    program = (
        "import sys, hxp_enterprise_llm.event.processing.service, hxp_enterprise_llm.event.streaming.service;"
        "sys.exit('redis' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
