"""What an answer of Slack means for a delivery. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hxp_enterprise_llm.event.notifications.channels.model import Dead, Retry
from hxp_enterprise_llm.event.notifications.channels.pauses import asked_for

BLOCKED_SECONDS = 300.0
"""Pause after a refusal that only the operator can end: a token or a URL that is not accepted."""
_RATE_LIMIT_SECONDS = 30.0
_NOT_LET_IN = frozenset(
    [
        "not_authed",
        "invalid_auth",
        "token_revoked",
        "token_expired",
        "account_inactive",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "org_login_required",
        "ekm_access_denied",
        "access_denied",
    ]
)
_FOR_GOOD = frozenset(
    [
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "restricted_action",
        "no_text",
        "msg_too_long",
        "msg_blocks_too_long",
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_arguments",
        "invalid_arg_name",
        "invalid_charset",
    ]
)
TOO_MUCH = frozenset(["msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format"])
"""The message itself is the fault: a shorter one may pass."""
CANNOT_BE_CHANGED = frozenset(
    ["message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "is_inactive"]
)
"""The message that was to be changed or answered is gone or closed: a new one may pass."""


def api_error(response: Any) -> str:
    """Slack's word for what is wrong; empty when there is none."""
    data = getattr(response, "data", None)
    return str(data.get("error", "")) if isinstance(data, Mapping) else ""


def api_failure(response: Any) -> Retry | Dead:
    """What an answer of the Web API means; `response` is the library's, or aiohttp's when it was no JSON."""
    status = getattr(response, "status_code", None) or getattr(response, "status", 0)
    error = api_error(response)
    if status == 429 or error in ("ratelimited", "rate_limited"):
        return _rate_limited(response.headers)
    if error in _NOT_LET_IN:
        return Retry(f"Slack refuses the token: {error}", after=BLOCKED_SECONDS, failure="authError")
    if error in _FOR_GOOD:
        return Dead(f"Slack says {error}")
    return Retry(f"Slack says {error or f'HTTP {status}'}", failure="serverError")


def webhook_failure(status: int, body: str, headers: Mapping[str, str]) -> Retry | Dead | None:
    if status == 200:
        return None
    if status == 429:
        return _rate_limited(headers)
    said = f"HTTP {status} {body[:100]}".strip()
    if status in (401, 403, 404):
        return Retry(f"Slack does not know the webhook: {said}", after=BLOCKED_SECONDS, failure="authError")
    if 400 <= status < 500:
        return Dead(f"Slack says {said}")
    return Retry(f"Slack says {said}", failure="serverError")


def _rate_limited(headers: Mapping[str, str]) -> Retry:
    pause = asked_for(headers) or _RATE_LIMIT_SECONDS
    return Retry("Slack limits the rate", after=pause, scope="target", failure="rateLimited")
