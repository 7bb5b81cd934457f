"""An installation of the release before, as `make install` left it: settings changed by hand, deliveries, events."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import aiohttp
import msgspec
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from hxp_enterprise_llm.store.migrations import MIGRATIONS
from tests.box.box import ROOT, Box
from tests.integration.daemon import Daemon
from tests.unit.notifications.support import NOW, notification

EVENTS = 25
EDITED = "config/services/data-streaming-api.yaml"
UNTOUCHED = "config/services/event-processing.yaml"
OWN_RULE = "our_own_rule"
DEAD = """INSERT INTO outbox (id, episode, seq, kind, channel, target, payload, state, attempts, next_at, created_at,
    sent_at, last_error, idempotency_key) VALUES (1, 'ep-1', 1, 'firing', 'email', 'ops@x', :payload, 'dead', 9,
    :now, :now, NULL, 'mailbox full', 'k1')"""


def _make_store(path: Path) -> None:
    """At the first revision of the tables, with a delivery that was given up."""
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        values = {"payload": json.dumps(msgspec.to_builtins(notification())), "now": NOW}
        connection.execute(text(DEAD), values)
    engine.dispose()


async def _make_log(data: Path) -> None:
    """A log with some events."""
    body = [{"type": "order.placed", "data": {"number": number}} for number in range(EVENTS)]
    async with Daemon(data) as daemon, aiohttp.ClientSession() as session:
        async with session.post(f"{daemon.events}/events", json=body) as answer:
            assert answer.status == 202, await answer.text()
        assert await daemon.end() == 0


def _make_config(old: Path) -> None:
    """One file edited since it was installed, one as that release shipped it, in its own wording."""
    shutil.copytree(ROOT / "config", old / "config")
    shipped = old / UNTOUCHED
    shipped.write_text("# As the last release shipped it.\n" + shipped.read_text())
    edited = old / EDITED
    edited.write_text("# As the last release shipped it.\n" + edited.read_text())


def make(share: Path) -> None:
    """Everything that an installation of the last release had, below share/old."""
    old = share / "old"
    _make_config(old)
    asyncio.run(_make_log(share / "data"))
    state = old / "state"
    (state / "data-streaming-api").mkdir(parents=True)
    shutil.move(share / "data" / "processing", state / "event-processing")
    _make_store(state / "data-streaming-api" / "state.db")


def lay(box: Box) -> None:
    """Put it where it belongs, as that release's installation did, then edit a setting."""
    rule = f"    - name: {OWN_RULE}\\n      condition: latency > 1000000\\n      channel: websocket"
    box.run(
        "systemd-sysusers /src/deploy/sysusers.d/citadel.conf",
        "mkdir -p /opt/citadel/env/bin /opt/citadel/hxp-enterprise-llm /var/lib/citadel",
        "ln -s /usr/bin/python3 /opt/citadel/env/bin/python",
        "touch /opt/citadel/env/last-release",
        "cp -R /share/old/config /opt/citadel/config",
        "chgrp -R citadel /opt/citadel/config",
        "chmod -R u=rwX,g=rX,o= /opt/citadel/config",
        "cd /opt/citadel/config",
        "find . -type f | sed 's|^./||' | sort | xargs sha256sum > ../hxp-enterprise-llm/config.sha256",
        f"sed -i 's/^  notification_rules:$/&\\n{rule}/' services/data-streaming-api.yaml",
        "cp -R /share/old/state/* /var/lib/citadel/",
        "chown -R citadel:citadel /var/lib/citadel/*",
    )
