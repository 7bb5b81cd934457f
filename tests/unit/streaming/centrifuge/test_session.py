"""The core of the protocol: commands in, replies, pushes and ends out."""

from __future__ import annotations

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from hxp_enterprise_llm.config.secrets import Secret
from hxp_enterprise_llm.config.streaming import CentrifugeConfig
from hxp_enterprise_llm.event.log.model import Bounds
from hxp_enterprise_llm.event.streaming.centrifuge.codes import INTERNAL
from hxp_enterprise_llm.event.streaming.centrifuge.model import AskBounds, AskHistory, AskPublish, Standing
from hxp_enterprise_llm.event.streaming.centrifuge.presence import Info
from hxp_enterprise_llm.event.streaming.centrifuge.session import MAX_WAITING
from hxp_enterprise_llm.event.streaming.centrifuge.signatures import hmac_key
from hxp_enterprise_llm.event.streaming.centrifuge.tokens import Verifier
from tests.unit.streaming.centrifuge.sessions import Table

SECRET = "0123456789abcdef0123456789abcdef"
VERIFIER = Verifier([hmac_key(Secret(SECRET), "test")])
NOW = 1_000_000.0


def signed(**claims):
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))


# Connecting


def test_commands_of_one_message_are_answered_in_one_piece_and_in_order():
    table = Table(connected=False)
    replies = table.tell({"id": 1, "connect": {"name": "js"}}, {"id": 2, "subscribe": {"channel": "a", "flag": 1}})
    assert replies == [
        {"id": 1, "connect": {"client": "c1", "version": "v", "ping": 25, "pong": True}},
        {"id": 2, "subscribe": {"recoverable": True, "positioned": True, "epoch": "e", "offset": 10, "id": 1}},
    ]
    assert table.port.pieces == 1
    assert [(each.channel, each.cursor, each.epoch) for each in table.port.attached] == [("a", 10, "e")]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"[]",
        b'{"id":2}',
        b'{"id":2,"nonsense":{}}',
        b'{"id":-1,"rpc":{}}',
        b'{"subscribe":{"channel":"a"}}',
        b'{"id":2,"connect":{}}',
        b'{"id":2,"subscribe":{"channel":5}}',
        b'{"id":2,"subscribe":{}}',
        b'{"id":2,"subscribe":{"channel":"a","delta":"zstd"}}',
        b'{"id":2,"subscribe":{"channel":"a","recover":true,"offset":-1}}',
        b'{"id":2,"unsubscribe":{}}',
        b'{"id":2,"publish":{"data":1}}',
        b'{"id":2,"presence":{}}',
        b'{"id":2,"history":{}}',
        b'{"id":2,"refresh":{}}',
        b'{"id":2,"sub_refresh":{}}',
        b"{}",
        b"\xff",
    ],
)
def test_what_is_no_command_ends_the_connection(message):
    table = Table()
    table.session.receive(message)
    assert table.code == 3501
    table.session.receive(b'{"id":3,"subscribe":{"channel":"a"}}')
    assert table.port.attached == []


def test_nothing_comes_before_connect():
    table = Table(connected=False)
    table.tell({"id": 1, "subscribe": {"channel": "a"}})
    assert table.code == 3501


def test_who_does_not_connect_is_stale():
    table = Table(connected=False)
    table.clock.now += 14.9
    table.session.tick()
    assert table.code == 0
    table.clock.now += 0.1
    table.session.tick()
    assert table.code == 3502


# Subscriptions


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"channel": "nowhere"}, 102),
        ({"channel": "nowhere", "flag": 1}, 102),
        ({"channel": "b" * 256}, 107),
        ({"channel": "b", "type": 1}, 107),
        ({"channel": "b", "tf": {"key": "x"}}, 107),
        ({"channel": "b", "tf": {"key": "x", "cmp": "ex"}, "delta": "fossil"}, 107),
        ({"channel": "b", "token": "x"}, 103),
        ({"channel": "a"}, 105),
        ({"channel": "b", "recover": True, "offset": 7, "epoch": "other", "flag": 2}, 112),
    ],
)
def test_what_cannot_be_subscribed_to_is_an_error(request_, code):
    table = Table()
    table.ask("subscribe", channel="a")
    assert table.ask("subscribe", **request_)["code"] == code
    assert [each.channel for each in table.port.attached] == ["a"]
    assert table.code == 0


def test_a_connection_has_so_many_channels_and_no_more():
    table = Table(CentrifugeConfig(max_subscriptions=1, tags_filter=False))
    assert table.ask("subscribe", channel="b", tf={"key": "x", "cmp": "ex"})["code"] == 107
    table.ask("subscribe", channel="a")
    assert table.ask("subscribe", channel="b")["code"] == 106
    table.ask("unsubscribe", channel="a")
    assert "epoch" in table.ask("subscribe", channel="b")


def test_recovery_at_hand_comes_with_the_reply():
    table = Table()
    result = table.ask("subscribe", channel="a", recover=True, offset=8, epoch="e", delta="fossil")
    assert result["recovered"] is result["was_recovering"] is result["delta"] is True
    assert result["offset"] == 8
    assert [each["offset"] for each in result["publications"]] == [9, 10]
    assert table.port.attached[0].cursor == 10


@pytest.mark.parametrize(
    ("offset", "bounds", "recovered"),
    [
        (3, Bounds("e", 4, 20), True),
        (2, Bounds("e", 4, 20), False),
        (20, Bounds("e", 4, 20), True),
        (21, Bounds("e", 4, 20), False),
        (3, Bounds("f", 1, 20), False),
    ],
)
def test_recovery_is_what_the_log_still_has(offset, bounds, recovered):
    """Commands behind it wait for the answer."""
    table = Table()
    wish = {"id": 2, "subscribe": {"channel": "a", "recover": True, "offset": offset, "epoch": "e"}}
    assert table.tell(wish, {"id": 3, "unsubscribe": {"channel": "b"}}) == []
    assert table.port.asked == [AskBounds()]
    table.session.answer(bounds)
    first, second = table.port.sent
    assert first["subscribe"].get("recovered", False) is recovered
    assert first["subscribe"]["offset"] == (offset if recovered else 10)
    assert second == {"id": 3, "unsubscribe": {}}


def test_what_the_log_cannot_say_now_is_tried_again_by_the_client():
    table = Table()
    table.tell({"id": 2, "subscribe": {"channel": "a", "recover": True, "offset": 1}})
    table.session.fail(INTERNAL)
    error = {"code": 100, "message": "internal server error", "temporary": True}
    assert table.port.sent == [{"id": 2, "error": error}]
    table.session.answer(Bounds("e", 1, 2))
    assert table.port.attached == []


def test_a_client_cannot_pile_up_commands():
    table = Table()
    table.tell({"id": 2, "subscribe": {"channel": "a", "recover": True, "offset": 1}})
    table.tell(*[{"id": 3, "unsubscribe": {"channel": "a"}}] * (MAX_WAITING + 1))
    assert table.code == 3013


def test_a_lost_cursor_asks_the_client_to_subscribe_again():
    table = Table()
    table.ask("subscribe", channel="a")
    (attachment,) = table.port.attached
    table.port.sent.clear()
    table.session.lost(attachment)
    table.session.lost(attachment)
    push = {"channel": "a", "unsubscribe": {"code": 2500, "reason": "insufficient state"}}
    assert table.port.sent == [{"push": push}]
    assert table.port.attached == []


def test_leaving_in_the_same_message_never_begins():
    table = Table()
    table.tell({"id": 2, "subscribe": {"channel": "a"}}, {"id": 3, "unsubscribe": {"channel": "a"}})
    assert table.port.attached == []


# Questions about a channel


def test_history_asks_the_log_within_the_limit():
    table = Table(CentrifugeConfig(history_limit=5))
    assert table.ask("history", channel="a") == {"epoch": "e", "offset": 10}
    table.tell({"id": 3, "history": {"channel": "a", "limit": -1, "since": {"offset": 4, "epoch": "e"}}})
    (ask,) = table.port.asked
    assert isinstance(ask, AskHistory)
    assert (ask.channel, ask.limit, ask.reverse) == ("a", 5, False)
    table.session.answer([{"data": 1, "offset": 5}])
    assert table.port.sent[-1]["history"] == {"publications": [{"data": 1, "offset": 5}], "epoch": "e", "offset": 10}


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"channel": "nowhere"}, 102),
        ({"channel": "a", "limit": -2}, 107),
        ({"channel": "a", "since": {"offset": -1}}, 107),
        ({"channel": "a", "reverse": True, "since": {"offset": 0}}, 107),
        ({"channel": "a", "since": {"offset": 1, "epoch": "other"}}, 112),
    ],
)
def test_history_that_cannot_be_given(request_, code):
    assert Table().ask("history", **request_)["code"] == code


def test_what_is_switched_off_is_not_available():
    table = Table(CentrifugeConfig(history_limit=0, presence=False))
    assert table.ask("history", channel="a")["code"] == 108
    assert table.ask("presence", channel="a")["code"] == 108
    assert table.ask("presence_stats", channel="a")["code"] == 108
    assert table.ask("rpc", method="x")["code"] == 108
    assert table.tell({"send": {"data": 1}}) == []
    assert table.code == 0


def test_publishing_is_a_permission():
    assert Table().ask("publish", channel="a", data=1)["code"] == 103
    table = Table(CentrifugeConfig(publish_from_clients=True))
    assert table.ask("publish", channel="a")["code"] == 107
    assert table.ask("publish", channel="nowhere", data=1)["code"] == 102
    assert table.tell({"id": 2, "publish": {"channel": "a", "data": {"x": [1, "ü"]}}}) == []
    assert table.port.asked == [AskPublish("a", '{"x":[1,"ü"]}'.encode(), Info("", "c1"))]
    table.session.answer(None)
    assert table.port.sent[-1] == {"id": 2, "publish": {}}


def test_who_comes_and_goes_is_told_to_all_and_to_himself():
    first = Table(CentrifugeConfig(join_leave=True))
    first.tell({"id": 2, "subscribe": {"channel": "a", "flag": 1}})
    assert first.port.sent[-1] == {"push": {"id": 1, "join": {"info": {"user": "", "client": "c1"}}}}
    second = Table(beside=first)
    second.tell({"id": 2, "subscribe": {"channel": "a"}})
    info = {"user": "", "client": "c2"}
    assert second.port.sent[-1] == {"push": {"channel": "a", "join": {"info": info}}}
    assert first.port.sent[-1] == {"push": {"id": 1, "join": {"info": info}}}
    assert set(first.ask("presence", channel="a")["presence"]) == {"c1", "c2"}
    assert first.ask("presence_stats", channel="a") == {"num_clients": 2, "num_users": 1}
    second.session.gone()
    assert first.port.sent[-1] == {"push": {"id": 1, "leave": {"info": info}}}
    first.ask("unsubscribe", channel="a")
    assert first.ask("presence_stats", channel="a") == {}


@pytest.mark.parametrize("data", ["1e999", "[" * 100 + "]" * 100, '{"a":1,"a":2}', "1" * 30])
def test_what_the_log_would_not_take_cannot_be_published(data):
    """The same rules as at the way in of events: it would be in the log for all who read it."""
    table = Table(CentrifugeConfig(publish_from_clients=True))
    table.session.receive(b'{"id":2,"publish":{"channel":"a","data":%b}}' % data.encode())
    assert table.port.sent[-1]["error"]["code"] == 107
    assert table.port.sent[-1]["error"]["message"].startswith("bad request: data: ")
    assert table.port.asked == []


def test_a_channel_may_take_no_publications():
    table = Table(CentrifugeConfig(publish_from_clients=True))
    table.port.standings["a"] = Standing("e", 10, 5, publications=False)
    assert table.ask("publish", channel="a", data=1)["code"] == 108


def test_a_publication_names_who_published_it():
    """With the info of the subscription, where there is one."""
    table = Table(CentrifugeConfig(publish_from_clients=True), verifier=VERIFIER, connected=False)
    table.tell({"id": 1, "connect": {"token": signed(sub="ann", info={"n": 1}, subs={"a": {"info": 2}})}})
    for channel, info in (("a", 2), ("b", None)):
        table.tell({"id": 2, "publish": {"channel": channel, "data": 1}})
        ask = table.port.asked.pop()
        shown = msgspec.json.decode(msgspec.json.encode(ask.info))
        wanted = {"user": "ann", "client": "c1", "conn_info": {"n": 1}}
        assert shown == wanted | ({"chan_info": info} if info else {})
        table.session.answer(None)


# Pings


def test_pings_must_be_answered_once_and_only_when_asked_for():
    table = Table()
    table.clock.now += 25
    table.session.tick()
    assert table.port.pings == 1
    table.session.receive(b"{}")
    table.clock.now += 25
    table.session.tick()
    table.session.tick()
    assert table.port.pings == 2
    table.clock.now += 9
    table.session.busy()
    table.clock.now += 9.9
    table.session.tick()
    assert table.code == 0
    table.clock.now += 0.1
    table.session.tick()
    assert table.code == 3012
    table.session.tick()


def test_native_pings_are_answered_by_anything():
    table = Table(native_ping=True, connected=False)
    (reply,) = table.tell({"id": 1, "connect": {}})
    assert "ping" not in reply["connect"]
    table.clock.now += 25
    table.session.tick()
    table.session.alive()
    table.clock.now += 11
    table.session.tick()
    assert table.code == 0


# Tokens


def test_a_token_names_the_user_his_channels_and_when_it_ends():
    token = signed(sub="ann", exp=NOW + 60, info={"n": 1}, channels=["b"], subs={"a": {"info": 2}})
    table = Table(CentrifugeConfig(join_leave=True), verifier=VERIFIER, connected=False)
    connect, *joins = table.tell({"id": 1, "connect": {"token": token, "subs": {"a": {"recover": True, "offset": 9}}}})
    result = connect["connect"]
    assert (result["expires"], result["ttl"]) == (True, 60)
    assert [each["offset"] for each in result["subs"]["a"]["publications"]] == [10]
    assert "recovered" not in result["subs"]["b"]
    infos = {each["push"]["channel"]: each["push"]["join"]["info"] for each in joins}
    assert infos["a"] == {"user": "ann", "client": "c1", "conn_info": {"n": 1}, "chan_info": 2}
    assert table.ask("refresh", token=signed(sub="ann", exp=NOW + 90))["ttl"] == 90
    table.clock.now += 90 + 24
    table.session.receive(b"{}") if table.port.pings else None
    table.session.tick()
    assert table.code == 0
    table.clock.now += 1
    table.session.tick()
    assert table.code == 3005


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("", 3501),
        ("nonsense", 3500),
        (signed(sub="ann", channel="a"), 3500),
        (signed(sub="ann", nbf=NOW + 9), 3500),
        (signed(sub=5), 3500),
    ],
)
def test_who_has_no_good_token_does_not_come_in(token, code):
    table = Table(verifier=VERIFIER, connected=False)
    table.tell({"id": 1, "connect": {"token": token}})
    assert table.code == code


def test_without_a_key_no_token_is_good_and_none_is_needed():
    table = Table(connected=False)
    table.tell({"id": 1, "connect": {"token": signed(sub="ann")}})
    assert table.code == 3500


def test_anonymous_clients_may_be_let_in_beside_those_with_tokens():
    table = Table(CentrifugeConfig(token_required=False), verifier=VERIFIER, connected=False)
    (reply,) = table.tell({"id": 1, "connect": {}})
    assert reply["connect"]["client"] == "c1"


def test_an_expired_token_is_an_error_after_which_nothing_is_done():
    table = Table(verifier=VERIFIER, connected=False)
    (reply,) = table.tell({"id": 1, "connect": {"token": signed(exp=NOW - 1)}})
    assert reply["error"]["code"] == 109
    table.tell({"id": 2, "subscribe": {"channel": "a"}})
    assert table.code == 3501


def user_table():
    table = Table(verifier=VERIFIER, connected=False)
    table.tell({"id": 1, "connect": {"token": signed(sub="ann")}})
    return table


@pytest.mark.parametrize(
    ("claims", "error", "end"),
    [
        ({"sub": "ann", "channel": "a", "exp": NOW - 1}, 109, 0),
        ({"sub": "eve", "channel": "a"}, 0, 3500),
        ({"sub": "ann", "channel": "b"}, 0, 3500),
        ({"sub": "ann", "channel": "a", "client": "other"}, 0, 3500),
        ({"sub": "ann"}, 103, 0),
    ],
)
def test_a_subscription_token_is_for_one_user_and_one_channel(claims, error, end):
    table = user_table()
    replies = table.tell({"id": 2, "subscribe": {"channel": "a", "token": signed(**claims)}})
    assert table.code == end
    assert [each["error"]["code"] for each in replies] == ([error] if error else [])


def test_a_subscription_ends_with_its_token_unless_there_is_a_new_one():
    table = user_table()
    result = table.ask("subscribe", channel="a", token=signed(sub="ann", channel="a", exp=NOW + 10))
    assert (result["expires"], result["ttl"]) == (True, 10)
    assert table.ask("sub_refresh", channel="b", token="x")["code"] == 103
    fresh = signed(sub="ann", channel="a", exp=NOW + 11)
    assert table.ask("sub_refresh", channel="a", token=fresh)["ttl"] == 11
    table.clock.now += 11
    assert table.ask("sub_refresh", channel="a", token=fresh)["code"] == 110
    table.port.sent.clear()
    table.clock.now += 25
    table.session._pinged = None
    table.session.tick()
    assert table.port.sent == [
        {"push": {"channel": "a", "unsubscribe": {"code": 2501, "reason": "subscription expired"}}}
    ]


@pytest.mark.parametrize("method", ["refresh", "sub_refresh"])
def test_a_bad_new_token_ends_the_connection(method):
    table = user_table()
    table.ask("subscribe", channel="a")
    table.tell({"id": 9, method: {"channel": "a", "token": signed(sub="eve", channel="a" * (method != "refresh"))}})
    assert table.code == 3500


def test_a_lost_cursor_of_a_channel_of_the_server_ends_the_connection():
    table = Table(verifier=VERIFIER, connected=False)
    table.tell({"id": 1, "connect": {"token": signed(sub="ann", channels=["a"])}})
    table.session.lost(table.port.attached[0])
    assert table.code == 3010


def test_a_token_with_too_many_channels_is_refused():
    table = Table(CentrifugeConfig(max_subscriptions=1), verifier=VERIFIER, connected=False)
    table.tell({"id": 1, "connect": {"token": signed(sub="ann", channels=["a", "b"])}})
    assert table.code == 3505


# Unidirectional


def test_a_unidirectional_client_reads_bare_pushes():
    table = Table(bare=True, connected=False)
    table.session.receive(b'{"subs":{"a":{"recover":true,"offset":9,"epoch":"e"}}}')
    (push,) = table.port.sent
    assert push["connect"]["subs"]["a"]["recovered"] is True
    assert "pong" not in push["connect"]
    table.clock.now += 30
    table.session.tick()
    assert table.port.pings == 1
    table.clock.now += 20
    table.session.tick()
    assert table.code == 0
    table.session.shut_down()
    assert table.port.sent[-1] == {"disconnect": {"code": 3001, "reason": "shutdown"}}
    assert table.code == 3001


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (b"{", 3501, "bad request"),
        (b'{"subs":{"nowhere":{}}}', 3004, "unknown channel"),
        (b'{"token":"x"}', 3500, "invalid token"),
    ],
)
def test_a_unidirectional_client_is_told_by_the_end(message, code, reason):
    table = Table(bare=True, connected=False)
    table.session.receive(message)
    assert table.code == code
    assert table.port.sent[-1]["disconnect"] == {"code": code, "reason": reason}


def test_a_unidirectional_client_has_nothing_more_to_say():
    table = Table(bare=True, connected=False)
    table.session.receive(b"{}")
    table.session.receive(b"{}")
    assert table.code == 3501
