"""What each command does. A handler yields the questions it has for the log, and returns its result.

Raises Refused for an error reply, Ended for the end of the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from math import ceil
from typing import TYPE_CHECKING, Any

import msgspec

from hxp_enterprise_llm.event.log.model import Bounds
from hxp_enterprise_llm.event.streaming.centrifuge.codes import (
    ALREADY_SUBSCRIBED,
    BAD_CONNECTION_REQUEST,
    BAD_REQUEST,
    CHANNEL_LIMIT,
    EXPIRED,
    INVALID_TOKEN,
    LIMIT_EXCEEDED,
    NOT_AVAILABLE,
    PERMISSION_DENIED,
    TOKEN_EXPIRED,
    UNRECOVERABLE,
    Ended,
    Refused,
)
from hxp_enterprise_llm.event.streaming.centrifuge.model import (
    AskBounds,
    AskHistory,
    AskNewest,
    AskPublish,
    Attachment,
    Question,
    Standing,
)
from hxp_enterprise_llm.event.streaming.centrifuge.tags import TagsFilter
from hxp_enterprise_llm.event.streaming.centrifuge.tokens import (
    ConnectionClaims,
    ExpiredToken,
    InvalidToken,
    SubscriptionClaims,
    expiry,
)
from hxp_enterprise_llm.event.streaming.centrifuge.wire import (
    COMPACT,
    MAX_OFFSET,
    REJECT_UNRECOVERED,
    Connect,
    History,
    OnChannel,
    Position,
    Publish,
    Refresh,
    SubRefresh,
    Subscribe,
    Unread,
)

if TYPE_CHECKING:
    from hxp_enterprise_llm.event.streaming.centrifuge.session import Session

Result = dict[str, Any]
Steps = Generator[Question, Any, Result | None]

MAX_NAME = 255
DELTAS = ("", "fossil")


def connect(session: Session, request: Connect) -> Steps:
    """Who the client is, and the channels that it need not ask for."""
    _identify(session, request.token)
    names: dict[str, None] = dict.fromkeys(session.granted)
    if session.bare:
        names |= dict.fromkeys(request.subs)
    if len(names) > session.shared.config.max_subscriptions:
        raise Ended(CHANNEL_LIMIT)
    subs: dict[str, Result] = {}
    for name in names:
        subs[name] = yield from _subscribe_for(session, name, request.subs.get(name, Position()))
    session.connected = True
    result: Result = {"client": session.client, "version": session.shared.version}
    result |= _times(session, session.expires)
    if subs:
        result["subs"] = subs
    if not session.native_ping:
        result["ping"] = ceil(session.shared.config.ping_interval)
        if not session.bare:
            result["pong"] = True
    return result | session.echo


def _identify(session: Session, token: str) -> None:
    verifier = session.shared.verifier
    if token:
        _admit(session, _connection_claims(session, token))
    elif verifier is not None and session.shared.config.token_required:
        raise Ended(BAD_CONNECTION_REQUEST)


def _admit(session: Session, claims: ConnectionClaims) -> None:
    session.user, session.conn_info = claims.sub, claims.info
    session.granted, session.expires = claims.granted(), expiry(claims)


def _connection_claims(session: Session, token: str) -> ConnectionClaims:
    shared = session.shared
    if shared.verifier is None:
        raise Ended(INVALID_TOKEN)
    try:
        return shared.verifier.connection(token, shared.clock.time())
    except ExpiredToken:
        raise Refused(TOKEN_EXPIRED) from None
    except InvalidToken:
        raise Ended(INVALID_TOKEN) from None


def _times(session: Session, expires: float) -> Result:
    """When the client should come with a new token, in whole seconds from now."""
    if not expires:
        return {}
    return {"expires": True, "ttl": max(1, round(expires - session.shared.clock.time()))}


def _subscribe_for(session: Session, channel: str, since: Position) -> Generator[Question, Any, Result]:
    info = session.info_on(session.granted.get(channel, msgspec.UNSET))
    attachment = Attachment(channel, info, session.port, bare=session.bare, server_side=True)
    recovery = yield from _place(session, attachment, since)
    session.start(attachment)
    return _positioned(attachment) | recovery


def subscribe(session: Session, request: Subscribe) -> Steps:
    """A channel, from what comes next or behind the position that the client had."""
    _check(session, request)
    attachment = _attachment(session, request)
    recovery = yield from _place(session, attachment, Position(request.recover, request.offset, request.epoch))
    if request.flag & REJECT_UNRECOVERED and recovery and "recovered" not in recovery:
        raise Refused(UNRECOVERABLE)
    session.start(attachment)
    result = _positioned(attachment) | recovery | _times(session, attachment.expires)
    if attachment.id:
        result["id"] = attachment.id
    if attachment.delta:
        result["delta"] = True
    return result


def _check(session: Session, request: Subscribe) -> None:
    config = session.shared.config
    if not request.channel or request.delta not in DELTAS:
        raise Ended(BAD_CONNECTION_REQUEST)
    if request.channel in session.subs:
        raise Refused(ALREADY_SUBSCRIBED)
    if len(request.channel.encode()) > MAX_NAME or request.type or (request.tf and request.delta):
        raise Refused(BAD_REQUEST)
    if request.tf and not config.tags_filter:
        raise Refused(BAD_REQUEST)
    if len(session.subs) >= config.max_subscriptions:
        raise Refused(LIMIT_EXCEEDED)


def _attachment(session: Session, request: Subscribe) -> Attachment:
    filter = TagsFilter.parse(bytes(request.tf)) if request.tf else None
    claims = _subscription_claims(session, request.channel, request.token) if request.token else None
    return Attachment(
        request.channel,
        session.info_on(claims.info if claims else msgspec.UNSET),
        session.port,
        id=session.shared.id_of(request.channel) if request.flag & COMPACT and _known(session, request) else 0,
        delta=bool(request.delta) and session.shared.config.delta,
        filter=filter,
        expires=expiry(claims) if claims else 0.0,
    )


def _known(session: Session, request: Subscribe) -> bool:
    # Only names that there are get a number: a client must not fill the table.
    return bool(session.port.standing(request.channel, None))


def _subscription_claims(session: Session, channel: str, token: str) -> SubscriptionClaims:
    shared = session.shared
    if shared.verifier is None:
        raise Refused(PERMISSION_DENIED)
    try:
        claims = shared.verifier.subscription(token, shared.clock.time())
    except ExpiredToken:
        raise Refused(TOKEN_EXPIRED) from None
    except InvalidToken:
        raise Refused(PERMISSION_DENIED) from None
    if claims.channel != channel or claims.sub != session.user or claims.client not in ("", session.client):
        raise Ended(INVALID_TOKEN)
    return claims


def _place(session: Session, attachment: Attachment, since: Position) -> Generator[Question, Any, Result]:
    """Set the cursor; answers how recovery went. Offsets have gaps: what counts is whether the log still has it all."""
    standing = session.port.standing(attachment.channel, attachment.filter)
    if not since.recover:
        attachment.cursor, attachment.epoch = standing.offset, standing.epoch
        return {}
    if not 0 <= since.offset <= MAX_OFFSET:
        raise Ended(BAD_CONNECTION_REQUEST)
    if standing.cached:
        return (yield from _newest(session, attachment, since))
    recovered = _epochs_agree(since, standing) and standing.floor <= since.offset <= standing.offset
    if not recovered and _epochs_agree(since, standing):
        bounds: Bounds = yield AskBounds()
        standing = session.port.standing(attachment.channel, attachment.filter)
        recovered = _epochs_agree(since, standing) and _holds(bounds, standing.epoch, since.offset)
    attachment.cursor, attachment.epoch = since.offset if recovered else standing.offset, standing.epoch
    if not recovered:
        session.port.unrecovered()
        return {"was_recovering": True}
    attachment.returning = True
    # With the reply as far as they are at hand: clients lose what comes too close behind it. The rest follows.
    publications = session.port.recover(attachment)
    found: Result = {"was_recovering": True, "recovered": True}
    return found | {"offset": since.offset, "publications": publications} if publications else found


def _newest(session: Session, attachment: Attachment, since: Position) -> Generator[Question, Any, Result]:
    """Recovery is the newest publication, whatever was missed; one that the client has is not given again."""
    port = session.port
    newest = port.newest(attachment)
    if newest is None:
        stored = yield AskNewest(attachment.channel, attachment.filter)
        newest = port.newest(attachment) or stored
    standing = port.standing(attachment.channel, attachment.filter)
    attachment.cursor, attachment.epoch = standing.offset, standing.epoch
    if newest is None or newest.epoch != standing.epoch:
        port.unrecovered()
        return {"was_recovering": True}
    attachment.returning = True
    found: Result = {"was_recovering": True, "recovered": True}
    has_it = since.epoch == standing.epoch and newest.offset <= since.offset <= standing.offset
    return found if has_it else found | {"publications": port.give(attachment, newest)}


def _epochs_agree(since: Position, standing: Standing) -> bool:
    return since.epoch in ("", standing.epoch)


def _holds(bounds: Bounds, epoch: str, offset: int) -> bool:
    return bounds.epoch == epoch and bounds.first - 1 <= offset <= bounds.head


def _positioned(attachment: Attachment) -> Result:
    result: Result = {"recoverable": True, "positioned": True, "epoch": attachment.epoch}
    return result | ({"offset": attachment.cursor} if attachment.cursor else {})


def unsubscribe(session: Session, request: OnChannel) -> Steps:
    """Leave a channel; one that the client is not on is no error."""
    yield from ()
    _named(request.channel)
    session.leave(request.channel)
    return {}


def publish(session: Session, request: Publish) -> Steps:
    """An event for the log."""
    _named(request.channel)
    if not session.shared.config.publish_from_clients:
        raise Refused(PERMISSION_DENIED)
    if not request.data:
        raise Refused(BAD_REQUEST)
    if not session.port.standing(request.channel, None).publications:
        raise Refused(NOT_AVAILABLE)
    try:
        _, data = session.shared.read_json(bytes(request.data))
    except ValueError as error:
        raise Refused(BAD_REQUEST._replace(message=f"bad request: data: {error}")) from None
    yield AskPublish(request.channel, data, session.info_on(_info_on(session, request.channel)))
    return {}


def _info_on(session: Session, channel: str) -> msgspec.Raw | msgspec.UnsetType:
    attachment = session.subs.get(channel)
    return attachment.info.chan_info if attachment is not None else msgspec.UNSET


def presence(session: Session, request: OnChannel) -> Steps:
    """Who is on a channel."""
    yield from ()
    _require_presence(session, request.channel)
    return {"presence": session.shared.presence.clients(request.channel)}


def presence_stats(session: Session, request: OnChannel) -> Steps:
    """How many are on a channel."""
    yield from ()
    _require_presence(session, request.channel)
    return dict(session.shared.presence.stats(request.channel))


def _require_presence(session: Session, channel: str) -> None:
    _named(channel)
    if not session.shared.config.presence:
        raise Refused(NOT_AVAILABLE)
    session.port.standing(channel, None)


def history(session: Session, request: History) -> Steps:
    """Publications that the log still has."""
    _named(request.channel)
    most, since = session.shared.config.history_limit, request.since
    if not most:
        raise Refused(NOT_AVAILABLE)
    if request.limit < -1 or (since and not 0 <= since.offset <= MAX_OFFSET):
        raise Refused(BAD_REQUEST)
    if request.reverse and since is not None and not since.offset:
        raise Refused(BAD_REQUEST)
    standing = session.port.standing(request.channel, None)
    if since is not None and not _epochs_agree(since, standing):
        raise Refused(UNRECOVERABLE)
    limit = most if request.limit < 0 else min(request.limit, most)
    publications = (yield AskHistory(request.channel, limit, since, request.reverse)) if limit else []
    standing = session.port.standing(request.channel, None)
    result: Result = {"publications": publications} if publications else {}
    return result | {"epoch": standing.epoch} | ({"offset": standing.offset} if standing.offset else {})


def rpc(session: Session, request: Unread) -> Steps:
    """There are no procedures here."""
    yield from ()
    raise Refused(NOT_AVAILABLE)


def send(session: Session, request: Unread) -> Steps:
    """A message to nobody: it has no reply, not even this."""
    yield from ()
    return None


def refresh(session: Session, request: Refresh) -> Steps:
    """A new token for the connection."""
    yield from ()
    if not request.token:
        raise Ended(BAD_CONNECTION_REQUEST)
    claims = _connection_claims(session, request.token)
    if claims.sub != session.user:
        raise Ended(INVALID_TOKEN)
    session.expires = expiry(claims)
    return {"client": session.client, "version": session.shared.version} | _times(session, session.expires)


def sub_refresh(session: Session, request: SubRefresh) -> Steps:
    """A new token for a subscription."""
    yield from ()
    _named(request.channel)
    attachment = session.subs.get(request.channel)
    if attachment is None:
        raise Refused(PERMISSION_DENIED)
    try:
        claims = _subscription_claims(session, request.channel, request.token)
    except Refused as refusal:
        if refusal.error is TOKEN_EXPIRED:
            raise Refused(EXPIRED) from None
        raise Ended(INVALID_TOKEN) from None
    attachment.expires = expiry(claims)
    return _times(session, attachment.expires)


def _named(channel: str) -> None:
    if not channel:
        raise Ended(BAD_CONNECTION_REQUEST)


HANDLERS: dict[str, Callable[[Session, Any], Steps]] = {
    handler.__name__: handler
    for handler in (
        connect,
        subscribe,
        unsubscribe,
        publish,
        presence,
        presence_stats,
        history,
        rpc,
        send,
        refresh,
        sub_refresh,
    )
}
