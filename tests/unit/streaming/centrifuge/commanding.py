"""What clients may send, and a model of what must come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from hxp_enterprise_llm.event.log.model import Bounds
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.event.streaming.centrifuge.wire import METHODS

MOST_CHANNELS, EPOCH, BOUNDS = 2, "e", Bounds("e", Offset(3), Offset(20))
"""As the table of the tests has it: channels at offset 10 of epoch `e`, at hand from 5 on, in the log from 3 on."""

BROKEN = [
    b"[]",
    b"1",
    b"{",
    b'"connect"',
    b"null",
    b"\xff",
    b'{"id":"1","connect":{}}',
    b'{"id":-1,"rpc":{}}',
    b'{"id":1.5,"rpc":{}}',
    b'{"id":true,"rpc":{}}',
    b'{"id":99999999999999999999999,"rpc":{}}',
    b'{"id":1,"subscribe":[]}',
    b'{"id":1,"subscribe":{"channel":null}}',
    b'{"id":1,"subscribe":{"channel":"a","offset":"1"}}',
    b'{"id":1,"subscribe":{"channel":"a","recover":1}}',
    b'{"id":1,"connect":{"subs":[]}}',
    b'{"id":1,"connect":{"subs":{"a":1}}}',
    b'{"id":1,"history":{"since":1}}',
    b'{"id":1,"refresh":{"token":1}}',
    b'{"id":1,"rpc":' + b'{"a":' * 2000 + b"}",
    b'{"id":1} {"id":2}',
]
"""Lines that are no commands."""

channels = st.sampled_from(["a", "a", "b", "c", "nowhere", "", "ü" * 128])
offsets = st.sampled_from([0, 2, 4, 5, 7, 10, 11, 20, 21, -1, 2**53, 2**63 - 1])
epochs = st.sampled_from(["", EPOCH, "other"])
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
filters = st.sampled_from([{"key": "k", "cmp": "ex"}, {"key": "", "cmp": "ex"}, {"op": "not"}, 5, {"cmp": "zz"}])


def _some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={**members, "unheard_of": json})


requests: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "connect": _some(name=st.text(max_size=3), data=json, token=st.sampled_from(["", "x"])),
    "subscribe": _some(
        channel=channels,
        token=st.sampled_from(["", "", "x"]),
        recover=st.booleans(),
        offset=offsets,
        epoch=epochs,
        delta=st.sampled_from(["", "fossil", "zstd"]),
        tf=filters,
        flag=st.integers(0, 3),
        type=st.sampled_from([0, 0, 0, 1, 4]),
    )
    | _some(channel=channels)
    | _some(channel=channels, recover=st.just(True), offset=offsets, epoch=epochs, flag=st.integers(0, 3)),
    "unsubscribe": _some(channel=channels),
    "publish": _some(channel=channels, data=json),
    "presence": _some(channel=channels),
    "presence_stats": _some(channel=channels),
    "history": _some(
        channel=channels,
        limit=st.sampled_from([-2, -1, 0, 1, 10**9]),
        since=_some(offset=offsets, epoch=epochs),
        reverse=st.booleans(),
    ),
    "rpc": _some(method=st.text(max_size=3), data=json),
    "send": _some(data=json),
    "refresh": _some(token=st.sampled_from(["", "x"])),
    "sub_refresh": _some(channel=channels, token=st.sampled_from(["", "x"])),
}
commands = st.sampled_from(list(METHODS)).flatmap(
    lambda method: st.builds(lambda id, request: {"id": id, method: request}, st.integers(0, 9), requests[method])
)


class End(Exception):
    """The connection ends with this code."""


class Refusal(Exception):
    """An error with this code."""


def stop(condition: object, kind: type[End] | type[Refusal], code: int) -> None:
    if condition:
        raise kind(code)


@dataclass
class Model:
    """A session as the protocol has it. `hear` answers what is replied: the id and a method, or an error's code."""

    code: int = 0
    tried: bool = False
    connected: bool = False
    subs: set[str] = field(default_factory=set)

    def hear(self, command: dict[str, Any]) -> list[tuple[int, str | int]]:
        if self.code:
            return []
        method = next((name for name in METHODS if name in command), "")
        try:
            stop(not method, End, 3501)
            stop(not command["id"] and method != "send", End, 3501)
            stop(self.tried if method == "connect" else not self.connected, End, 3501)
            self.tried = True
            getattr(self, method)(**command[method])
        except End as end:
            self.code = end.args[0]
            return []
        except Refusal as refusal:
            return [(command["id"], refusal.args[0])]
        return [] if method == "send" else [(command["id"], method)]

    def connect(self, token="", **_):
        stop(token, End, 3500)
        self.connected = True

    def subscribe(self, channel="", token="", delta="", tf=None, flag=0, type=0, **since):
        stop(not channel or delta == "zstd", End, 3501)
        stop(channel in self.subs, Refusal, 105)
        stop(len(channel.encode()) > 255 or type or (tf is not None and delta), Refusal, 107)
        stop(len(self.subs) >= MOST_CHANNELS, Refusal, 106)
        stop(tf is not None and tf != {"key": "k", "cmp": "ex"}, Refusal, 107)
        stop(token, Refusal, 103)
        self.known(channel)
        if since.get("recover"):
            stop(not self.recovered(since.get("offset", 0), since.get("epoch", "")) and flag & 2, Refusal, 112)
        self.subs.add(channel)

    def recovered(self, offset: int, epoch: str) -> bool:
        stop(not 0 <= offset < 2**53, End, 3501)
        return epoch in ("", EPOCH) and BOUNDS.first - 1 <= offset <= BOUNDS.head

    def known(self, channel: str) -> None:
        stop(not channel, End, 3501)
        stop(channel not in ("a", "b", "c"), Refusal, 102)

    def unsubscribe(self, channel="", **_):
        stop(not channel, End, 3501)
        self.subs.discard(channel)

    def publish(self, channel="", **members):
        stop(not channel, End, 3501)
        stop("data" not in members, Refusal, 107)
        self.known(channel)

    def presence(self, channel="", **_):
        self.known(channel)

    presence_stats = presence

    def history(self, channel="", limit=0, since=None, reverse=False, **_):
        stop(not channel, End, 3501)
        offset, epoch = (since or {}).get("offset", 0), (since or {}).get("epoch", "")
        stop(limit < -1 or not 0 <= offset < 2**53 or (reverse and since is not None and not offset), Refusal, 107)
        self.known(channel)
        stop(since is not None and epoch not in ("", EPOCH), Refusal, 112)

    def rpc(self, **_):
        raise Refusal(108)

    def send(self, **_):
        pass

    def refresh(self, token="", **_):
        raise End(3500 if token else 3501)

    def sub_refresh(self, channel="", **_):
        stop(not channel, End, 3501)
        stop(channel not in self.subs, Refusal, 103)
        raise End(3500)
