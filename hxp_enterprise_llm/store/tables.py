"""The tables as the code reads and writes them; `migrations/` is how a store gets there."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

alert_state = Table(
    "alert_state",
    metadata,
    Column("rule", String(64), primary_key=True),
    Column("labels_fingerprint", String(16), primary_key=True),
    Column("labels", JSON, nullable=False),
    Column("definition", String(32), nullable=False),  # digest of what the rule was when the state was written
    Column("state", String(16), nullable=False),  # ok | pending | firing | recovering
    Column("since", Float, nullable=False),  # …since: wall-clock seconds since 1970, UTC
    Column("since_mono", Float, nullable=False),  # …mono: the same moment in seconds of `watch`
    Column("pending_since", Float),
    Column("pending_mono", Float),
    Column("firing_since", Float),
    Column("firing_mono", Float),
    Column("missing_since", Float),  # since when the metrics have had no value
    Column("missing_mono", Float),
    Column("episode", String(64), nullable=False, default=""),
    Column("value", JSON, nullable=False),  # {metric: value} as last observed
    Column("notification", JSON),  # what was told when it fired: a resolve needs it when the rule is gone
    Column("updated", Float, nullable=False),
)

watch = Table(
    "watch",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("seconds", Float, nullable=False),  # of `rules`: watched, over all runs; of `steady`: its time
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("episode", String(64), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("kind", String(16), nullable=False),  # pending | firing | resolved | message | test
    Column("channel", String(32), nullable=False),
    Column("target", String(320), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", String(16), nullable=False),  # queued | in_flight | retry | merged | sent | dead
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("sent_at", Float),
    Column("last_error", Text, nullable=False, default=""),
    Column("idempotency_key", String(512), nullable=False, unique=True),
    Column("thread", String(320), nullable=False, server_default=""),  # deliveries of a thread go out in order
    Column("fence", BigInteger, nullable=False, server_default="0"),  # token of the lease under which it was taken
    Column("queued_at", Float, nullable=False, server_default="0"),  # steady clock; later when replayed
    Column("finished_at", Float),
    Column("merged_into", BigInteger),  # id of the delivery that tells it as well
    Index("outbox_due", "channel", "state", "next_at"),
    Index("outbox_episode", "episode", "channel", "target"),
    Index("outbox_thread", "thread", "channel", "target"),
    Index("outbox_merged", "merged_into"),
)

lease = Table(
    "lease",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(320), nullable=False),
    Column("token", BigInteger, nullable=False),  # grows with each change of the holder
    Column("expires_at", Float, nullable=False),
)

delivery_thread = Table(
    "delivery_thread",
    metadata,
    Column("thread", String(320), primary_key=True),
    Column("channel", String(32), primary_key=True),
    Column("target", String(320), primary_key=True),
    Column("kept", JSON, nullable=False),  # what the channel needs to go on: the id of a message, alerts
    Column("updated", Float, nullable=False),
)

cursor = Table(
    "cursor",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("epoch", String(64), nullable=False),
    Column("offset", BigInteger, nullable=False),
)

routed_alert = Table(
    "routed_alert",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("episode", String(64), nullable=False),
    Column("known", JSON, nullable=False),
    Index("routed_alert_episode", "episode"),
)

alert_group = Table(
    "alert_group",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("thread", String(64), nullable=False),  # episode of the outbox rows of its incident; empty: none
    Column("content", JSON, nullable=False),
)

silence = Table(
    "silence",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("content", JSON, nullable=False),
)

fact = Table(
    "fact",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

decision = Table(
    "decision",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("episode", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("alertname", String(256), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("group_key", Text, nullable=False),
    Column("receiver", String(64), nullable=False),
    Index("decision_episode", "episode", "id"),
    Index("decision_alertname", "alertname", "id"),
)
