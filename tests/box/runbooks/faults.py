"""A fault for each alert that can be had in a box, and the steps of its runbook that mend it.

Faults of one night come together, and are mended one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.box.runbooks.watch import ANSWERS, CONFIG, MAIL, unit

GATEWAY = "citadel-data-streaming-api.service"
PROCESSING = "citadel-event-processing.service"
TEMPLATES = "/etc/citadel/templates"
ENV = f"{CONFIG}/services/data-streaming-api.env"
YAML = f"{CONFIG}/services/data-streaming-api.yaml"
PROCESSING_YAML = f"{CONFIG}/services/event-processing.yaml"
BOARD = f"{CONFIG}/dashboards/system_health.json"
LOG = "/var/lib/citadel/event-processing/log"
RELOAD = f"sudo systemctl reload {GATEWAY}"
RESTART = f"sudo systemctl restart {GATEWAY}"
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


def put(old: str, new: str, file: str) -> str:
    """Replace something that is there."""
    return f"grep -q '{old}' {file} && sed -i 's|{old}|{new}|' {file}"


CHECK = f"hxp check-config {YAML}"

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
    ),
    # While the mail server is away, and it has much to make up for when it is back.
    Fault("CitadelNotificationDeliveryFailing", ("systemctl stop mail",), (Hand(MAIL), RELOAD), ("delivered", "< 0.1")),
    Fault("CitadelNotificationOutboxStuck", (), (RESTART,), ("< 15",)),
    Fault("CitadelNotificationRateLimited", (), (Hand("systemctl stop noise"),), ("< 0.5",)),
)
EVALUATION = (
    Fault(
        "CitadelMetricLabelSetsDropped",
        (unit("models", "noise.py models 60"),),
        (Hand("systemctl stop models"),),
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
    Fault(
        "CitadelConfigReloadFailed",
        (
            f"cp {YAML} /root/",
            put("delivery_timeout: 10", "delivery_timeoutt: 10", YAML),
            f"systemctl kill -s HUP {GATEWAY}",
        ),
        (Hand(f"cp /root/data-streaming-api.yaml {YAML}"), RELOAD),
        ("== 1",),
    ),
)
