"""What the configuration says about deliveries."""

from __future__ import annotations

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.notifications.delivery.limits import Rate
from hxp_enterprise_llm.event.notifications.delivery.office import DeliverySettings


def delivery_settings(config: NotificationsConfig) -> DeliverySettings:
    """Times and rates."""
    configured = {"email": config.email.rate, "slack": config.slack.rate, "webhook": config.webhook.rate}
    rates = {name: Rate(rate.per_minute, rate.burst) for name, rate in configured.items() if rate.per_minute > 0}
    return DeliverySettings(
        config.delivery_timeout, seconds(config.give_up_after), config.enabled, rates, config.page_url
    )
