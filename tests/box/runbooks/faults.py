"""A fault for each alert that can be had in a box, and the steps of its runbook that mend it.

Faults of one night come together, and are mended one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.box.runbooks.watch import ANSWERS, CONFIG, HERE, MAIL, unit

GATEWAY = "citadel-data-streaming-api.service"
PROCESSING = "citadel-event-processing.service"
TEMPLATES = "/etc/citadel/templates"
ENV = f"{CONFIG}/services/data-streaming-api.env"
YAML = f"{CONFIG}/services/data-streaming-api.yaml"
PROCESSING_YAML = f"{CONFIG}/services/event-processing.yaml"
BOARD = f"{CONFIG}/dashboards/system_health.json"
STATE = "/var/lib/citadel"
LOG = "/var/lib/citadel/event-processing/log"
HISTORY = "/var/lib/citadel/event-processing/history"
RELOAD = f"sudo systemctl reload {GATEWAY}"
RESTART = f"sudo systemctl restart {GATEWAY}"
RELOAD_PROCESSING = f"sudo systemctl reload {PROCESSING}"
RESTART_PROCESSING = f"sudo systemctl restart {PROCESSING}"
KILL, STOP = (f"pkill -{signal} -u citadel -f orchestration.aggregation" for signal in ("KILL", "STOP"))
ZERO = "== 0"
NOISE = unit("noise", "noise.py messages email webhook")


class Hand(str):
    """What a page tells in words, done by somebody: not to be found on the page as it stands."""

    __slots__ = ()


@dataclass(frozen=True)
class Fault:
    """How it comes, how it is mended, and what each line of "Verify it is over" says then.

    `mend`: commands of the page, word for word, and the work of hands. `over`: a comparison that all values hold, or
    what stands in the output. `named`: words of the page that its reader replaces.
    """

    alert: str
    inject: tuple[str, ...]
    mend: tuple[str, ...]
    over: tuple[str, ...]
    named: tuple[tuple[str, str], ...] = ()
    lasts: bool = False
    """Its alert goes on for a minute or more after its cause is gone: the end is looked for after all nights."""
    machine: bool = False
    """A busy machine has it by itself: values below those of the fault are the end, whether the alert fires or not."""


def put(old: str, new: str, file: str) -> str:
    """Replace something that is there."""
    return f"grep -q '{old}' {file} && sed -i 's|{old}|{new}|' {file}"


def drop_in(text: str) -> str:
    """Settings of the unit of event processing; none with an empty text."""
    place = f"/etc/systemd/system/{PROCESSING}.d"
    return f"mkdir -p {place} && printf '{text}' >{place}/box.conf && systemctl daemon-reload"


CHECKED = Hand(f"hxp check-config {YAML} | grep SUCCESS")

DELIVERY = (
    Fault(
        "CitadelHeartbeatFailing",
        (put("8099/heartbeat", "8098/heartbeat", YAML), RELOAD),
        (Hand(put("8098/heartbeat", "8099/heartbeat", YAML)), RELOAD),
        ("^0$",),
    ),
    Fault(
        "CitadelNotificationTemplateFailing",
        (f"echo '{{{{ 1 // (title|length - title|length) }}}}' >{TEMPLATES}/title.j2", RELOAD, NOISE),
        (Hand(f"mv {TEMPLATES}/title.j2 /root/"), RELOAD),
        ("delivered",),
    ),
    Fault(
        "CitadelForeignAlertsRefused",
        (unit("nameless", "noise.py nameless"),),
        (Hand("systemctl stop nameless"),),
        (ZERO,),
    ),
    Fault(
        "CitadelNotificationLoginRefused",
        (f"echo 401 >{ANSWERS}/login",),
        (Hand(f"rm {ANSWERS}/login"), RELOAD),
        ("delivered",),
        (("test email", "test webhook --target login"),),
    ),
    Fault(
        "CitadelNotificationsDead",
        (f"echo 400 >{ANSWERS}/gone",),
        (Hand(f"rm {ANSWERS}/gone"), RELOAD, "hxp notify replay --all"),
        ("delivered",),
        (("test email", "test webhook --target gone"),),
        lasts=True,
    ),
    # While the mail server is away, and it has much to make up for when it is back.
    Fault("CitadelNotificationDeliveryFailing", ("systemctl stop mail",), (Hand(MAIL), RELOAD), ("delivered", "< 0.1")),
    Fault("CitadelNotificationOutboxStuck", (), (RESTART,), ("< 15",)),
    Fault("CitadelNotificationRateLimited", (), (Hand("systemctl stop noise"),), ("< 0.5",)),
)
EVALUATION = (
    Fault(
        "CitadelMetricLabelSetsDropped",
        (unit("models", "noise.py models 40"),),
        (
            Hand(put("limit: 25", "limit: 100", PROCESSING_YAML)),
            RELOAD_PROCESSING,
            Hand("sleep 2; systemctl stop models"),
        ),
        (ZERO,),
    ),
    Fault(
        "CitadelRuleEvaluationFailing",
        (put("limit: 50", "limit: 2", YAML), RELOAD),
        (Hand(put("limit: 2", "limit: 50", YAML)), RELOAD),
        (ZERO,),
    ),
    Fault(
        "CitadelDashboardErrors",
        (f"cp {BOARD} /root/", put("metric:cpu_percent", "metric:no_such_metric", BOARD), RELOAD),
        (Hand(f"cp /root/system_health.json {BOARD}"), RELOAD),
        (ZERO,),
    ),
)
LIMITS = (
    Fault(
        "CitadelConnectionsNearLimit",
        (
            put("WEBSOCKET_MAX_CONNECTIONS=200", "WEBSOCKET_MAX_CONNECTIONS=600", ENV),
            put("SSE_MAX_CONNECTIONS=100", "SSE_MAX_CONNECTIONS=5", ENV),
            put("UPDATE_INTERVAL=1", "UPDATE_INTERVAL=12", ENV),
            put("REFRESH_INTERVAL=1", "REFRESH_INTERVAL=12", ENV),
            RESTART,
            unit("crowd", "crowd.py 520 9102 /ws/system_alerts"),
        ),
        (Hand(put("WEBSOCKET_MAX_CONNECTIONS=600", "WEBSOCKET_MAX_CONNECTIONS=2000", ENV)), RESTART),
        ("< 0.8",),
    ),
    Fault("StreamingConnectionCountHigh", (), (Hand("systemctl stop crowd"),), ("< 500",)),
    Fault(
        "CitadelConnectionsRefused",
        (unit("readers", "crowd.py 12 9102 /sse/system_alerts"),),
        (Hand(put("SSE_MAX_CONNECTIONS=5", "SSE_MAX_CONNECTIONS=100", ENV)), RESTART),
        (ZERO,),
    ),
    Fault(
        "DashboardUpdateFrequencyLow",
        (),
        (Hand(put("_INTERVAL=12", "_INTERVAL=1", ENV)), RESTART),
        ("< 10",),
    ),
    Fault(
        "CitadelConnectionsTurnedAway",
        (
            drop_in("[Service]\\nLimitNOFILE=400"),
            f"systemctl restart {PROCESSING}",
            unit("followers", "crowd.py 300 9100 /events/stream"),
        ),
        (Hand(f"{drop_in('')} && systemctl restart {PROCESSING}"), Hand("systemctl stop followers readers")),
        (ZERO,),
    ),
)
DOWN = (
    Fault(
        "CitadelServiceDown",
        (put("port: 9100", 'port: "91O0"', PROCESSING_YAML), f"systemctl restart {PROCESSING} || true"),
        (
            Hand(put('port: "91O0"', "port: 9100", PROCESSING_YAML)),
            "hxp check-config /opt/citadel/config/services/*.yaml",
            "sudo systemctl reset-failed 'citadel-*'",
            RESTART_PROCESSING,
        ),
        ('"status":"(healthy|degraded)"', '"status":"(healthy|degraded)"'),
    ),
    Fault("CitadelRulesNotEvaluated", (), (RESTART_PROCESSING,), ("< 5",)),
    Fault(
        "CitadelLogAppendErrors",
        (unit("notes", "noise.py messages websocket"),),
        (RESTART_PROCESSING, Hand("systemctl stop notes")),
        (r"\d+", ZERO),
    ),
)
ENDING = (
    Fault(
        "CitadelWorkerRestarting",
        (f"for time in 1 2 3 4; do until {KILL}; do sleep 0.2; done; sleep 1; done",),
        (RESTART_PROCESSING,),
        (ZERO, '"analytics":{"status":"ok"'),
    ),
)
STANDING_STILL = (
    Fault(
        "CitadelWorkerSilent",
        (f"until {STOP}; do sleep 0.2; done",),
        ("sudo pkill -CONT -u citadel -f hxp_enterprise_llm",),
        ("< 5", '"analytics":{"status":"ok"'),
    ),
)
FULL = (
    Fault(
        "CitadelLogFull",
        (f"dd if=/dev/zero of={STATE}/filler bs=64k 2>/dev/null || true",),
        (Hand(f"rm {STATE}/filler*"),),
        (r"\d+", ZERO),
    ),
    Fault("CitadelLogNotGrowing", (), (), (r"\d+", "> 0")),
    Fault("CitadelHistoryErrors", (), (), ('"history":{"status":"ok"',)),
    Fault("CitadelLogDiskLow", (), (), ("> 33554432",)),
    # The log has given its reserve away meanwhile.
    Fault(
        "CitadelStoreErrors",
        (f"sleep 2; dd if=/dev/zero of={STATE}/filler2 bs=4k 2>/dev/null || true",),
        (),
        (ZERO, '"notifications":{"status":"ok"'),
    ),
    Fault(
        "CitadelConfigReloadFailed",
        (
            f"cp {YAML} /root/",
            put("delivery_timeout: 10", "delivery_timeoutt: 10", YAML),
            f"systemctl kill --kill-who=main --signal=HUP {GATEWAY}",
        ),
        (Hand(f"cp /root/data-streaming-api.yaml {YAML}"), CHECKED, RELOAD),
        ("== 1",),
    ),
)
DAMAGED = (
    Fault(
        "CitadelLogDamaged",
        # While it runs: at a start the newest events are read, and damage among them is a reason not to start.
        # The look through the log, once an hour, begins when it is turned on.
        (
            f"python3 {HERE}/noise.py bulk",
            f"python3 {HERE}/damage.py $(ls {LOG}/*.db | tail -n 2 | head -n 1)",
            put("scrub_bytes_per_second: 0", "scrub_bytes_per_second: 4194304", PROCESSING_YAML),
            f"systemctl reload {PROCESSING}",
        ),
        (
            f"sudo systemctl stop {PROCESSING} citadel-event-processing.socket",
            Hand(f"sudo -u citadel hxp log check {LOG} || true"),
            f"sudo -u citadel hxp log repair {LOG}",
            f"sudo systemctl start {PROCESSING}",
        ),
        ('"log":{"status":"ok"', ZERO),
    ),
)
STRANGE = (
    Fault(
        "CitadelLogEpochChanged",
        (
            f"systemctl stop {PROCESSING} citadel-event-processing.socket",
            f"rm {STATE}/event-processing/log.head",
            f"systemctl start {PROCESSING}",
        ),
        (),
        ('"status"', "> 60"),
        lasts=True,
    ),
    Fault(
        "CitadelServiceAbsent",
        (
            "cp /etc/prometheus/prometheus.yml /root/",
            put("citadel-data-streaming-api", "gateway", "/etc/prometheus/prometheus.yml"),
            "systemctl reload prometheus",
        ),
        (Hand("cp /root/prometheus.yml /etc/prometheus/"), "sudo systemctl reload prometheus"),
        ("== 1",),
    ),
)
SLOW = (
    Fault(
        "CitadelEventLoopLagHigh",
        (unit("listeners", "crowd.py 20 9102 /ws/metrics_updates"), unit("heavy", f"heavy.py {GATEWAY}")),
        (Hand("systemctl stop heavy listeners"),),
        ("< 0.2",),
        machine=True,
    ),
    Fault("DataStreamingLatencyHigh", (), (), ("< 0.2",), lasts=True, machine=True),
    Fault(
        "CitadelServiceRestarting",
        (f"systemctl reset-failed {PROCESSING}", *[f"sleep 1; systemctl restart {PROCESSING}"] * 4),
        ("sudo systemctl reset-failed 'citadel-*'", "sudo systemctl start citadel.target"),
        (ZERO,),
    ),
)
MANY = (
    "{name: many_$i, types: [llm.request.completed], kind: quantile, field: data.latency_ms,"
    " by: [data.model, data.agent], limit: 100}"
)
MANY_METRICS = (
    f'for i in $(seq 200); do echo "    - {MANY}"; done >/root/many',
    f"sed -i '/^  metrics:$/r /root/many' {PROCESSING_YAML}",
    RELOAD_PROCESSING,
)
FEWER_METRICS = (Hand(f"sed -i '/name: many_/d' {PROCESSING_YAML}"), RELOAD_PROCESSING)
FLOODED = (
    Fault(
        "CitadelProcessingLagHigh",
        # Two processes on a machine with cores to spare keep pace with any sender here.
        (*MANY_METRICS, unit("behind", f"heavy.py {PROCESSING} counting"), unit("flood", "senders.py flood 10")),
        (*FEWER_METRICS, Hand("systemctl stop flood behind")),
        ("< 1000",),
    ),
    Fault("CitadelHistoryLagging", (), (), ("< 100000",)),
    Fault(
        "CitadelHubLagHigh",
        (unit("many", "crowd.py 10 9102 /ws/events"), unit("burden", f"heavy.py {GATEWAY}")),
        (Hand("systemctl stop burden many"),),
        ("< 1000",),
    ),
    # The log drops what has not been counted.
    Fault(
        "CitadelPlatformEventsLost",
        (),
        (Hand(put("disk_budget_bytes: 33554432", "disk_budget_bytes: 41943040", PROCESSING_YAML)), RELOAD_PROCESSING),
        (ZERO,),
        lasts=True,
    ),
)
SENDERS = (
    Fault(
        "CitadelHistoryFull",
        (
            f"systemctl stop {PROCESSING} citadel-event-processing.socket",
            f"python3 {HERE}/past.py {HISTORY}/history.db 20000000 && chown -R citadel: {HISTORY}",
            f"systemctl start {PROCESSING}",
        ),
        (
            Hand(put("disk_budget_bytes: 16777216", "disk_budget_bytes: 2147483648", PROCESSING_YAML)),
            RELOAD_PROCESSING,
        ),
        (ZERO,),
        lasts=True,
    ),
    # Nobody serves the other addresses of the shipped configuration here.
    Fault(
        "CitadelSourceDown",
        (),
        (
            Hand(unit("api", f"peers.py http 8000 {ANSWERS}")),
            Hand(put("192.168.10.29:8000", "127.0.0.1:8000", PROCESSING_YAML)),
            Hand(f"sed -i '/^  scrape:$/,+1d' {PROCESSING_YAML}"),
            RELOAD_PROCESSING,
        ),
        ("== 1",),
    ),
    Fault("CitadelOtlpRefused", (unit("idless", "senders.py idless"),), (Hand("systemctl stop idless"),), (ZERO,)),
    Fault(
        "CitadelOtlpTracesCutShort",
        (
            put("    quiet: 30s", "&\\n    max_spans: 20000", PROCESSING_YAML),
            f"systemctl restart {PROCESSING}",
            unit("traces", "senders.py traces"),
        ),
        (Hand(put("max_spans: 20000", "max_spans: 200000", PROCESSING_YAML)), RESTART_PROCESSING),
        (ZERO,),
    ),
    Fault(
        "CitadelPlatformNamesFolded",
        (
            f"echo '  limits: {{agents: 5}}' >/root/limits && sed -i '/^platform:$/r /root/limits' {PROCESSING_YAML}",
            RELOAD_PROCESSING,
            unit("agents", "senders.py agents"),
        ),
        (
            Hand("systemctl stop agents"),
            Hand(f"sed -i '/limits: {{agents: 5}}/d' {PROCESSING_YAML}"),
            RELOAD_PROCESSING,
        ),
        ("< 1",),
    ),
)
NIGHTS = {
    "deliveries fail and figures cannot be computed": (*DELIVERY, *EVALUATION),
    "the machine is slow": SLOW,
    "too many come": LIMITS,
    "senders and sources are not what they should be": SENDERS,
    "more comes than the machine can take": FLOODED,
    "event processing is down": DOWN,
    "the process that counts ends again and again": ENDING,
    "the process that counts stands still": STANDING_STILL,
    "the disk is full": FULL,
    "a record of the log is damaged": DAMAGED,
    "the log and Prometheus are not what they were": STRANGE,
}
